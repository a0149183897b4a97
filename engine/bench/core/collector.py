"""What Python's garbage collector pays for the pods that a cache holds."""

from __future__ import annotations

import gc
from collections.abc import Iterator

from engine.bench.alone import alone
from engine.bench.core.filled import empty, fill
from engine.bench.core.settings import CoreSettings
from engine.bench.figure import Figure, spread
from engine.bench.objects import pods
from engine.bench.timing import seconds

COLLECTIONS = 9


def pause(settings: CoreSettings) -> Iterator[Figure]:
    arguments = {"count": settings.count, "per_owner": settings.per_owner[0], "seed": settings.seed}
    without, held = alone(collections, **arguments)
    more = spread(second - spread(without).median for second in held)
    yield Figure(
        "collector", "gc.collect(), more than without", more.median * 1e3, "ms", settings.count, more.rounds,
        more.low * 1e3, more.high * 1e3, 1, 0, note=f"{spread(without).median * 1e3:.1f} ms without",
    )  # fmt: skip


def collections(count: int, per_owner: int, seed: int) -> tuple[list[float], list[float]]:
    """Seconds of full collections, without the pods and with them."""
    cache = empty()
    for _ in pods(min(count, 200), per_owner=per_owner, seed=seed):
        pass
    gc.collect()
    without = [seconds(gc.collect) for _ in range(COLLECTIONS)]
    fill(cache, pods(count, per_owner=per_owner, seed=seed))
    gc.collect()
    return without, [seconds(gc.collect) for _ in range(COLLECTIONS)]
