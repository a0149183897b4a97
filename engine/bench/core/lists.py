"""Lists: of a namespace, and of what two labels select."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from random import Random

from engine._cache import Cache
from engine._object import Object
from engine.bench.core.filled import shared
from engine.bench.core.settings import CoreSettings
from engine.bench.figure import Figure, spread
from engine.bench.timing import each_seconds

PAGE = 500
HITS = 100
HITS_AT_MOST = 125
CALLS = 100  # in a round, each of another namespace or selector
SAMPLED = 400  # pods among whose labels selectors are looked for


def lists(settings: CoreSettings) -> Iterator[Figure]:
    """Microseconds of one call with the name of each hit read, namespaces and selectors at random."""
    cache = shared(settings)
    random = Random(f"lists {settings.seed}")
    found = cache.index_values("namespace")
    large = [name for name in found if cache.index_size("namespace", name) >= PAGE]
    namespaces = large or sorted(found, key=lambda name: cache.index_size("namespace", name))[-1:]
    selectors = two_labels(cache, random)

    def of_namespace(names: list[str]) -> None:
        for name in names:
            for pod in cache.list(name, limit=PAGE):
                pod.name  # noqa: B018 (reading it is what is measured)

    def selected(chosen: list[str]) -> None:
        for selector in chosen:
            for pod in cache.list(label_selector=selector):
                pod.name  # noqa: B018

    def timed(
        name: str, work: Callable[[list[str]], None], among: list[str], hits: int, bar: float, aim: float
    ) -> Figure:
        taken = each_seconds(work, lambda: random.choices(among, k=CALLS), settings.rounds)
        each = spread(second / CALLS * 1e6 for second in taken)
        note = f"{hits} hits among {len(cache):,}"
        return Figure("lists", name, each.median, "us", CALLS, each.rounds, each.low, each.high, bar, aim, note=note)

    most = min(PAGE, cache.index_size("namespace", namespaces[0]))
    yield timed("500 of a namespace", of_namespace, namespaces, most, 75, 40)
    hits = sum(len(cache.list(label_selector=selector)) for selector in selectors) // len(selectors)
    yield timed("two labels", selected, selectors, hits, 25, 12)


def two_labels(cache: Cache, random: Random) -> list[str]:
    """Selectors of two labels with about 100 hits, best those of which each label alone has more."""
    seen: dict[str, int] = {}
    for key in random.choices(cache.keys(), k=SAMPLED):
        pod = cache.get(key)
        if pod is None:
            continue
        for pair in _pairs(pod):
            if pair not in seen and len(seen) < SAMPLED:
                seen[pair] = len(cache.list(label_selector=pair))
    near = [pair for pair, hits in seen.items() if HITS * HITS // HITS_AT_MOST <= hits <= HITS_AT_MOST]
    if not near:
        return [min(seen, key=lambda pair: abs(seen[pair] - HITS))]
    sharp = [pair for pair in near if all(_alone(cache, label) > HITS_AT_MOST for label in pair.split(","))]
    return sharp or near


def _pairs(pod: Object) -> list[str]:
    labels = [f"{name}={value}" for name, value in pod.labels.items()]
    return [f"{one},{other}" for one, other in combinations(labels, 2)]


def _alone(cache: Cache, label: str) -> int:
    return len(cache.list(label_selector=label, limit=HITS_AT_MOST + 1))
