"""Updates into a full cache with all indexes and a log, against orjson and dict."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Literal

from engine._watchlog import WatchLog
from engine.bench.core.filled import empty, fill, in_pages, settle
from engine.bench.core.ingest import as_dicts
from engine.bench.core.settings import CoreSettings
from engine.bench.figure import Figure, spread
from engine.bench.objects import pods, status_changed
from engine.bench.timing import collector_off, seconds

SLICE = 5_000  # updates that one side takes before it is the other's turn
BATCH = 1_000
UPDATES = 100_000

Update = tuple[Literal["MODIFIED"], bytes]


def updates(settings: CoreSettings) -> Iterator[Figure]:
    """Status changes of pods at random. Both sides hold what is replaced; nothing is put off past the measurement."""
    log = WatchLog()
    cache = empty(log)
    fill(cache, pods(settings.count, per_owner=settings.per_owner[0], seed=settings.seed))
    random = Random(f"apply {settings.seed}")
    keys = cache.keys()
    count = min(UPDATES, max(settings.count, 2))
    taken: list[tuple[float, float]] = []  # seconds of an event: ours, theirs
    version = 10_000_000_000

    def ours(changed: list[bytes]) -> None:
        batches: list[list[Update]] = [[("MODIFIED", raw) for raw in batch] for batch in in_pages(changed, BATCH)]
        for batch in batches:
            cache.apply_batch(batch)
        settle(cache)

    with collector_off():
        for number in range(0, count + SLICE, SLICE):  # the first slice warms up
            chosen = dict.fromkeys(random.choices(keys, k=min(SLICE, count)))
            old = [pod.raw for pod in cache.get_many(chosen) if pod is not None]
            changed = [status_changed(raw, number + place, version + place) for place, raw in enumerate(old)]
            version += len(changed)
            held = as_dicts(old)
            if number // SLICE % 2:
                theirs = seconds(lambda: as_dicts(changed, held))  # noqa: B023 (called at once)
                own = seconds(lambda: ours(changed))  # noqa: B023
            else:
                own = seconds(lambda: ours(changed))  # noqa: B023
                theirs = seconds(lambda: as_dicts(changed, held))  # noqa: B023
            if number:
                taken.append((own / len(changed), theirs / len(changed)))
            held.clear()
    rate = spread(1 / own for own, _ in taken)
    times = spread(theirs / own for own, theirs in taken)
    note = f"among {len(cache):,}; log of {len(log):,} events"
    yield Figure(
        "apply", "updates a second", rate.median, "1/s", count, rate.rounds, rate.low, rate.high, 250_000, 500_000,
        more_is_better=True, note=note,
    )  # fmt: skip
    yield Figure(
        "apply", "against orjson and dict", times.median, "x", count, times.rounds, times.low, times.high, 8,
        more_is_better=True,
    )  # fmt: skip
