"""The core gives back what it took: memory does not grow with the number of times that something is done."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROUNDS = 2_000 if os.environ.get("ENGINE_FULL") else 60
SMALLEST = 16  # bytes that can leak in a round at least; what the interpreter takes and gives back is less
PROGRAM = Path(__file__).with_name("rounds.py")  # not imported: the caches it makes are for its own process
ROOT = PROGRAM.parents[2]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc what it has handed out")
@pytest.mark.skipif("libasan" in os.environ.get("LD_PRELOAD", ""), reason="the sanitizer keeps what is freed")
def test_memory_does_not_grow_with_rounds() -> None:
    """Bytes that stay after ROUNDS rounds more, after these again, and after twice as many, by kind of use."""
    environment = os.environ | {
        "PYTHONMALLOC": "malloc",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(ROOT),
        # What lies in malloc's own caches would count as handed out.
        "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0",
    }
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(ROUNDS)],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    growth: dict[str, tuple[int, int, int]] = json.loads(done.stdout)
    assert len(growth) == 10
    leaks = {use: (once, again, twice) for use, (once, again, twice) in growth.items()
             if min(once, again, twice // 2) >= SMALLEST * ROUNDS}  # fmt: skip
    assert leaks == {}
