"""The core gives back what it took: memory does not grow with the number of times that something is done."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.core import rounds

ROUNDS = 2_000 if os.environ.get("ENGINE_FULL") else 60
SMALLEST = 16  # bytes that can leak in a round at least; what the interpreter takes and gives back is less
ROOT = Path(rounds.__file__).parents[2]

pytestmark = [
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc what it has handed out"),
    pytest.mark.skipif("libasan" in os.environ.get("LD_PRELOAD", ""), reason="the sanitizer keeps what is freed"),
]


@pytest.fixture(scope="module")
def growth() -> dict[str, list[int]]:
    """Bytes that stayed after ROUNDS more rounds, after these again, and after twice as many, by kind of use."""
    environment = os.environ | {
        "PYTHONMALLOC": "malloc",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(ROOT),
        # What lies in malloc's own caches would count as handed out.
        "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0",
    }
    done = subprocess.run(
        [sys.executable, rounds.__file__, str(ROUNDS)],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, list[int]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("use", [use.__name__ for use in rounds.KINDS])
def test_memory_does_not_grow_with_rounds(use: str, growth: dict[str, list[int]]) -> None:
    once, again, twice = growth[use]
    assert min(once, again, twice // 2) < SMALLEST * ROUNDS, growth[use]
