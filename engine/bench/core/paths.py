"""Reading one value of an object by its path."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from engine._object import Object
from engine.bench.core.filled import shared
from engine.bench.core.settings import CoreSettings
from engine.bench.figure import Figure, spread
from engine.bench.timing import each_seconds

READS = 1_000
COLUMN = "spec.nodeName"
ELSEWHERE = "spec.containers[0].image"


def paths(settings: CoreSettings) -> Iterator[Figure]:
    """Each round reads from views that were just made, of pods at random or as a list gives them. What a column has is
    decoded when it is asked for the first time: once for each of its distinct values."""
    cache = shared(settings)
    keys = cache.keys()
    reads = min(READS, len(keys))
    random = Random(f"paths {settings.seed}")

    def views() -> list[Object]:
        return [view for view in cache.get_many(random.sample(keys, reads)) if view is not None]

    def listed() -> list[Object]:
        return cache.list(limit=reads, after=keys[random.randrange(len(keys) - reads + 1)])

    def touched() -> list[Object]:
        found = views()
        for view in found[:200]:  # as many as stay decoded whatever the others do
            view.get_path(ELSEWHERE)
        return (found[:200] * READS)[:reads]

    def column(found: list[Object]) -> None:
        for view in found:
            view.get_path(COLUMN)

    def elsewhere(found: list[Object]) -> None:
        for view in found:
            view.get_path(ELSEWHERE)

    def decode_all() -> None:
        for at in range(0, len(keys), READS):
            column([view for view in cache.get_many(keys[at : at + READS]) if view is not None])

    for name, work, prepare, scale, unit, bar, aim in (
        (f"a column, values mostly for the first time ({COLUMN})", column, views, 1e9, "ns", None, None),
        (f"a column of pods just listed ({COLUMN})", column, listed, 1e9, "ns", 100.0, None),
        (f"a column of pods at random ({COLUMN})", column, views, 1e9, "ns", 100.0, None),
        (f"first touch ({ELSEWHERE})", elsewhere, views, 1e6, "us", 8.0, 3.0),
        (f"again ({ELSEWHERE})", elsewhere, touched, 1e6, "us", 1.0, None),
    ):
        if prepare is listed:
            decode_all()
        each = spread(taken / reads * scale for taken in each_seconds(work, prepare, settings.rounds))
        yield Figure("paths", name, each.median, unit, reads, each.rounds, each.low, each.high, bar, aim)
