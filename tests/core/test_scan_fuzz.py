"""The scanner's verdict on mutants is that of orjson but for the differences that tests/core/fuzz_scan.py lists."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from tests.core.fuzz_scan import compare

INPUTS = 10_000_000 if os.environ.get("ENGINE_FULL") else 100_000


def test_the_verdict_on_mutants_is_that_of_orjson(figure: Callable[[str], None]) -> None:
    began = time.perf_counter()
    counts = compare(seed=INPUTS, count=INPUTS)
    told = ", ".join(f"{count:,} {what}" for what, count in counts.most_common())
    figure(f"scanner against orjson: {INPUTS:,} mutants in {time.perf_counter() - began:.0f} s: {told}")
    assert len(counts) == 4, "a difference that never comes up is not known to be there"
    assert counts["accepted by both"] > INPUTS // 20
