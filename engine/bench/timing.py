"""Timing two ways of doing the same work in one process, in turn, so that the machine's moods meet both."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from time import perf_counter_ns
from typing import TypeVar

import numpy as np

from engine.bench.figure import Spread, spread

FAR = 1 << 27  # bytes: far more than processors keep near
NEAR = 1 << 12
PLACE = 8  # bytes

Prepared = TypeVar("Prepared")


@contextmanager
def collector_off() -> Iterator[None]:
    """Python's garbage collector finishes what it has, then rests until the end of the block."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def seconds(work: Callable[[], object]) -> float:
    begun = perf_counter_ns()
    work()
    return (perf_counter_ns() - begun) / 1e9


def each_seconds(work: Callable[[Prepared], object], prepare: Callable[[], Prepared], rounds: int) -> list[float]:
    """Seconds of each round, the preparation outside; a round before the first warms up. Collector off."""
    with collector_off():
        work(prepare())
        taken = []
        for _ in range(rounds):
            prepared = prepare()
            taken.append(seconds(lambda prepared=prepared: work(prepared)))  # type: ignore[misc]
    return taken


def ratio(
    ours: Callable[[Prepared], object],
    theirs: Callable[[Prepared], object],
    prepare: Callable[[], Prepared],
    rounds: int,
) -> tuple[Spread, Spread]:
    """Our seconds over theirs, and our seconds. Each side gets what `prepare` makes afresh; who begins alternates, a
    pair before the first warms up. Collector off."""
    with collector_off():
        ours(prepare())
        theirs(prepare())
        ratios, own = [], []
        for number in range(rounds):
            mine, other = prepare(), prepare()
            if number % 2:
                theirs_seconds = seconds(lambda: theirs(other))  # noqa: B023 (called at once)
                ours_seconds = seconds(lambda: ours(mine))  # noqa: B023
            else:
                ours_seconds = seconds(lambda: ours(mine))  # noqa: B023
                theirs_seconds = seconds(lambda: theirs(other))  # noqa: B023
            ratios.append(ours_seconds / theirs_seconds)
            own.append(ours_seconds)
    return spread(ratios), spread(own)


def memory_read_seconds(reads: int, rounds: int, nbytes: int = FAR) -> list[float]:
    """How long the processor waits for one read at random of `nbytes`, where each read says where the next one is."""

    def follow(chain: Iterator[int]) -> None:
        for _ in islice(chain, reads):
            pass

    far, near = _along(_chain(nbytes // PLACE)), _along(_chain(NEAR // PLACE))
    waits = zip(each_seconds(follow, lambda: far, rounds), each_seconds(follow, lambda: near, rounds), strict=True)
    return [(from_memory - from_cache) / reads for from_memory, from_cache in waits]


def _along(chain: memoryview[int]) -> Iterator[int]:
    """Where the way leads, without an end."""
    at = 0
    while True:
        at = chain[at]
        yield at


def _chain(size: int) -> memoryview[int]:
    """A way through all places, in no order."""
    order = np.random.default_rng(0).permutation(size)
    chain = np.empty(size, dtype=np.int64)
    chain[order] = np.roll(order, -1)
    return chain.data
