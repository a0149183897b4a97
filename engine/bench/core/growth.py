"""How costs grow with the number of objects that a cache holds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
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
from engine.bench.timing import each_seconds

STEPS = (0.01, 0.1, 1.0, 5.0)  # of the count: 10,000 to 5,000,000 in a full run
GETS = 20_000
UPDATES = 2_000
HITS = 100
CALLS = 100
BARS = {"get": 6.0, "apply": 2.0, "list": 2.0}
UNITS = {"get": ("ns", 1e9), "apply": ("us", 1e6), "list": ("us", 1e6)}

Costs = dict[str, float]  # seconds of one call, by operation


def growth(settings: CoreSettings) -> Iterator[Figure]:
    """The cost at the most objects over the cost at the fewest."""
    sizes = sorted({max(10, int(step * settings.count)) for step in STEPS})
    arguments = {"per_owner": settings.per_owner[0], "seed": settings.seed, "rounds": settings.rounds}
    found: list[Costs] = alone(costs, sizes=sizes, **arguments)
    curves = [
        Curve(
            f"{operation}: {found[-1][operation] * scale:,.3g} {unit} at {sizes[-1]:,}",
            [(float(size), at[operation] / found[0][operation]) for size, at in zip(sizes, found, strict=True)],
        )
        for operation, (unit, scale) in UNITS.items()
    ]
    plotted: Path = settings.out / "core-growth.svg"
    write(plotted, "Cost of an operation as the cache grows", "objects", f"times the cost at {sizes[0]:,}", curves)
    for operation, (unit, scale) in UNITS.items():
        first, last = found[0][operation], found[-1][operation]
        note = f"{first * scale:,.3g} -> {last * scale:,.3g} {unit}; {plotted}"
        name = {"get": "get, fresh keys", "apply": "apply_batch", "list": "100 of a namespace"}[operation]
        yield Figure("growth", name, last / first, "x", sizes[-1], settings.rounds, bar=BARS[operation], note=note)


def costs(sizes: list[int], per_owner: int, seed: int, rounds: int) -> list[Costs]:
    """One cache that grows; measured at each size."""
    cache = empty()
    source = pods(sizes[-1], per_owner=per_owner, seed=seed, order="shuffled")
    found = []
    for size in sizes:
        for page in in_pages(islice(source, size - len(cache))):
            cache.apply_batch([("ADDED", raw) for raw in page])
        settle(cache)
        found.append(_costs(cache, Random(f"growth {seed} {size}"), rounds))
    return found


def _costs(cache: Cache, random: Random, rounds: int) -> Costs:
    keys = cache.keys()
    namespaces = [name for name in cache.index_values("namespace") if cache.index_size("namespace", name) >= HITS]
    namespaces = namespaces or cache.index_values("namespace")
    cache_get = cache.get
    gets, updates = min(GETS, 20 * len(keys)), min(UPDATES, len(keys))

    def fresh() -> list[str]:
        return [key.encode().decode() for key in random.choices(keys, k=gets)]

    def get(chosen: list[str]) -> None:
        for key in chosen:
            cache_get(key)

    def changes() -> list[tuple[Literal["MODIFIED"], bytes]]:
        chosen = random.choices(keys, k=updates)
        return [
            ("MODIFIED", status_changed(pod.raw, random.randrange(99)))
            for pod in cache.get_many(chosen)
            if pod is not None
        ]

    def apply(batch: list[tuple[Literal["MODIFIED"], bytes]]) -> None:
        cache.apply_batch(batch)
        settle(cache)

    def chosen_namespaces() -> list[str]:
        return random.choices(namespaces, k=CALLS)

    def listed(chosen: list[str]) -> None:
        for name in chosen:
            for pod in cache.list(name, limit=HITS):
                pod.name  # noqa: B018 (reading it is what is measured)

    return {
        "get": spread(each_seconds(get, fresh, rounds)).median / gets,
        "apply": spread(each_seconds(apply, changes, rounds)).median / updates,
        "list": spread(each_seconds(listed, chosen_namespaces, rounds)).median / CALLS,
    }
