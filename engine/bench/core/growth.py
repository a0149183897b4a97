"""How costs grow with the number of objects that a cache holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Literal

from engine._cache import Cache
from engine.bench.alone import alone
from engine.bench.core.filled import empty, in_pages, settle
from engine.bench.core.settings import CoreSettings
from engine.bench.figure import Figure, spread
from engine.bench.objects import pods, status_changed
from engine.bench.plot import Curve, write
from engine.bench.timing import FAR, collector_off, memory_read_seconds, seconds

STEPS = (0.01, 0.1, 1.0, 5.0)  # of the count: 10,000 to 5,000,000 in a full run
GETS = 20_000
UPDATES = 2_000
HITS = 100
CALLS = 100

Job = Callable[[], object]


@dataclass(frozen=True)
class Operation:
    name: str
    bar: float
    unit: str
    scale: float  # units in a second
    jobs: Callable[[Cache, Random], tuple[Callable[[], Job], int]]  # what makes a job, and the calls in one


def growth(settings: CoreSettings) -> Iterator[Figure]:
    """The cost with the most objects over the cost with the fewest. All caches stand in one process and each round asks
    one after another, so that the machine's moods meet them all."""
    sizes = sorted({max(10, int(step * settings.count)) for step in STEPS})
    arguments = {"per_owner": settings.per_owner[0], "seed": settings.seed, "rounds": settings.rounds}
    held: int
    found: list[list[list[float]]]
    held, found = alone(costs, sizes=sizes, **arguments)
    curves = []
    plotted: Path = settings.out / "core-growth.svg"
    for operation, taken in zip(OPERATIONS, found, strict=True):
        medians = [spread(seconds_of_size).median for seconds_of_size in taken]
        first, last = medians[0] * operation.scale, medians[-1] * operation.scale
        points = [(float(size), median / medians[0]) for size, median in zip(sizes, medians, strict=True)]
        curves.append(Curve(f"{operation.name}: {last:,.3g} {operation.unit} at {sizes[-1]:,}", points))
        times = spread(most / fewest for fewest, most in zip(taken[0], taken[-1], strict=True))
        note = f"{first:,.3g} -> {last:,.3g} {operation.unit}; {plotted}"
        yield Figure(
            "growth", operation.name, times.median, "x", sizes[-1], times.rounds, times.low, times.high, operation.bar,
            note=note,
        )  # fmt: skip
    memory = max(held, FAR)
    wait = spread(1e9 * each for each in alone(memory_read_seconds, reads=GETS, rounds=settings.rounds, nbytes=memory))
    note = f"{memory / 1e6:,.0f} MB; a get waits for a slot of the table, then for the record, at the least"
    yield Figure(
        "growth", "one read of as much memory at random", wait.median, "ns", sizes[-1], wait.rounds, wait.low,
        wait.high, note=note,
    )  # fmt: skip
    write(plotted, "Cost of an operation as the cache grows", "objects", f"times the cost at {sizes[0]:,}", curves)


def costs(sizes: list[int], per_owner: int, seed: int, rounds: int) -> tuple[int, list[list[list[float]]]]:
    """The bytes of the largest cache, and the seconds of a call in each round, by operation and size."""
    caches = []
    for size in sizes:
        cache = empty()
        for page in in_pages(pods(size, per_owner=per_owner, seed=seed, order="shuffled")):
            cache.apply_batch([("ADDED", raw) for raw in page])
        settle(cache)
        caches.append(cache)
    held, found = caches[-1].nbytes, []
    for operation in OPERATIONS:
        random = Random(f"growth {seed} {operation.name}")
        sides = [operation.jobs(cache, random) for cache in caches]
        taken: list[list[float]] = [[] for _ in sides]
        with collector_off():
            for _ in range(rounds):
                for (job, calls), times in zip(sides, taken, strict=True):
                    warming, measured = job(), job()
                    warming()
                    times.append(seconds(measured) / calls)
        found.append(taken)
    return held, found


def gets(cache: Cache, random: Random) -> tuple[Callable[[], Job], int]:
    keys = cache.keys()
    count = min(GETS, 20 * len(keys))
    cache_get = cache.get

    def get(chosen: list[str]) -> None:
        for key in chosen:
            cache_get(key)

    return lambda: partial(get, [key.encode().decode() for key in random.choices(keys, k=count)]), count


def updates(cache: Cache, random: Random) -> tuple[Callable[[], Job], int]:
    keys = cache.keys()
    count = min(UPDATES, len(keys))

    def changes() -> list[tuple[Literal["MODIFIED"], bytes]]:
        found = cache.get_many(random.choices(keys, k=count))
        return [("MODIFIED", status_changed(pod.raw, random.randrange(99))) for pod in found if pod is not None]

    def apply(batch: list[tuple[Literal["MODIFIED"], bytes]]) -> None:
        cache.apply_batch(batch)
        settle(cache)

    return lambda: partial(apply, changes()), count


def lists(cache: Cache, random: Random) -> tuple[Callable[[], Job], int]:
    namespaces = [name for name in cache.index_values("namespace") if cache.index_size("namespace", name) >= HITS]
    namespaces = namespaces or cache.index_values("namespace")

    def listed(chosen: list[str]) -> None:
        for name in chosen:
            for pod in cache.list(name, limit=HITS):
                pod.name  # noqa: B018 (reading it is what is measured)

    return lambda: partial(listed, random.choices(namespaces, k=CALLS)), CALLS


OPERATIONS = (
    Operation("get, fresh keys", 6.0, "ns", 1e9, gets),
    Operation("apply_batch", 2.0, "us", 1e6, updates),
    Operation("100 of a namespace", 2.0, "us", 1e6, lists),
)
