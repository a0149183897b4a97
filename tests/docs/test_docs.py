"""What the documents say is so: their code runs, the files they name are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_readmes_first_snippet_runs_as_printed() -> None:
    exec(compile(SNIPPETS[0], "README.md", "exec"), {})


def test_the_readmes_informer_is_the_one_in_the_examples() -> None:
    example = (ROOT / "examples" / "informer.py").read_text()
    printed = [line.strip() for line in SNIPPETS[1].splitlines() if "load(" not in line and "asyncio.run" not in line]
    for line in printed:
        line = line.replace("main() ->", "main(kubeconfig: str) ->").replace("Client, H", "Client, ConfigError, H")
        assert line in example, line


@pytest.mark.parametrize("command", sorted(set(re.findall(r"\b(?:bench|examples)/[\w./-]+\.(?:py|yml)", README))))
def test_the_readmes_files_are_there(command: str) -> None:
    assert (ROOT / command).is_file()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([\w/]+\.(?:py|pyi|pyx|pxd|json|toml))`", ARCHITECTURE))))
def test_the_files_that_the_architecture_names_are_there(name: str) -> None:
    found = [path for path in ROOT.glob(f"**/{name}") if ".venv" not in path.parts and "build" not in path.parts]
    assert found, name
