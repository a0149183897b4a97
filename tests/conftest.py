"""What the tests measured, told at the end of a run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

FIGURES: pytest.StashKey[list[str]] = pytest.StashKey()


@pytest.fixture(scope="session")
def figure(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Notes a line for the summary."""
    return pytestconfig.stash.setdefault(FIGURES, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if lines := config.stash.get(FIGURES, []):
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.write_line(line)
