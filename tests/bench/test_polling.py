"""The comparison of polling and informers measures what it says."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "bench" / "polling.py"


@pytest.fixture(scope="module")
def polling() -> ModuleType:
    spec = importlib.util.spec_from_file_location("polling", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["polling"] = module
    spec.loader.exec_module(module)
    return module


def test_a_change_counts_as_seen_with_its_own_version_or_a_later_one(polling: ModuleType) -> None:
    acknowledged = [("pods/a", 5, 1.0), ("pods/a", 7, 1.5), ("pods/b", 6, 1.0), ("pods/c", 9, 2.0)]
    seen = [("pods/a", 4, 1.1), ("pods/a", 7, 2.0), ("pods/b", 6, 0.9)]
    assert polling.staleness_ms(acknowledged, seen) == ([0.0, 500.0, 1000.0], 1)


def test_percentiles_are_of_what_was_measured(polling: ModuleType) -> None:
    assert polling.percentile([], 0.5) is None
    assert [polling.percentile(list(range(1, 101)), share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]


def test_on_a_small_cluster_both_sides_see_every_change(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    command = [sys.executable, str(SCRIPT), "--objects", "60", "--nodes", "3", "--seconds", "1", "--interval", "0.3"]
    ran = subprocess.run(
        [*command, "--writes", "20", "--json", str(result)],
        cwd=SCRIPT.parents[1],
        env={"PYTHONPATH": str(SCRIPT.parents[1]), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    sides = {side["name"]: side for side in json.loads(result.read_text())["sides"]}
    for name in ("polling", "informers"):
        assert sides[name]["writes"] == 20
        assert sides[name]["unseen"] == 0
    assert sides["informers"]["startup_requests"] == 4
    assert sides["informers"]["requests"] < sides["polling"]["requests"]
    assert 20 * 100 < sides["informers"]["bytes_received"] < sides["polling"]["bytes_received"]
