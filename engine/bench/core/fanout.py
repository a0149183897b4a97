"""One log, many cursors: deliveries, and what an append costs beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from engine._cache import Cache
from engine._object import Object
from engine._watchlog import Cursor, WatchLog
from engine.bench.alone import alone
from engine.bench.core.filled import empty, fill, in_pages
from engine.bench.core.settings import CoreSettings
from engine.bench.figure import Figure, Spread, spread
from engine.bench.machine import resident_bytes
from engine.bench.objects import pods, status_changed
from engine.bench.timing import collector_off, seconds

CURSORS = 1_000
EVENTS_SHARE = 10  # an event for so many pods
BATCH = 1_000
APPEND_ROUNDS = 5
FIRST_VERSION = 10_000_000_000  # above those of the pods
LOG_BYTES = 1 << 36  # nothing is dropped
FIRST_CURSORS = 0.1  # of all: after they have read, memory shall grow no more


def fanout(settings: CoreSettings) -> Iterator[Figure]:
    measured = alone(deliver, events=max(settings.count // EVENTS_SHARE, 20), cursors=CURSORS, seed=settings.seed)
    events, pairs = measured["events"], measured["events"] * CURSORS
    rate = Spread(*measured["rate"])
    yield Figure(
        "fanout", "deliveries a second, every cursor all", rate.median, "1/s", pairs, rate.rounds, rate.low, rate.high,
        5e6, 15e6, more_is_better=True, note=f"{CURSORS:,} cursors; key and encoded of each",
    )  # fmt: skip
    yield Figure(
        "fanout", "deliveries a second, each cursor its node's", measured["own_rate"], "1/s", events,
        more_is_better=True, note="each event goes to one cursor",
    )  # fmt: skip
    times = Spread(*measured["append"])
    yield Figure(
        "fanout", f"append beside {CURSORS:,} cursors, over beside one", times.median, "x", events, times.rounds,
        times.low, times.high, 2, note=f"{measured['append_ns']:,.0f} ns each; parked on their nodes",
    )  # fmt: skip
    yield Figure(
        "fanout", "RSS after all cursors, over after a tenth", measured["memory"], "x", pairs, bar=1.05
    )  # fmt: skip


def deliver(events: int, cursors: int, seed: int) -> dict[str, object]:
    """All of it, in a process of its own. The events are status changes of as many pods, through a cache."""
    before = list(pods(events, per_owner=120, nodes=cursors, seed=seed, order="shuffled"))
    changes = [status_changed(pod, number, FIRST_VERSION + number) for number, pod in enumerate(before)]
    rates, memory = _everybody(before, changes, cursors)
    nodes = sorted({str(Object(pod).get_path("spec.nodeName")) for pod in before})
    own_rate = _by_node(before, changes, nodes)
    names = [nodes[number % len(nodes)] for number in range(cursors)]
    objects = [Object(raw) for raw in changes]
    ratios, append_ns = [], []
    for _ in range(APPEND_ROUNDS):
        one, many = asyncio.run(_append(objects, names[:1])), asyncio.run(_append(objects, names))
        ratios.append(many / one)
        append_ns.append(many / len(objects) * 1e9)
    return {
        "events": len(changes),
        "rate": _as_list(rates),
        "own_rate": own_rate,
        "append": _as_list(spread(ratios)),
        "append_ns": spread(append_ns).median,
        "memory": memory,
    }


def _everybody(before: Sequence[bytes], changes: Sequence[bytes], count: int) -> tuple[Spread, float]:
    """Bursts of events, each read by all cursors before the next: deliveries a second, and how memory grew."""
    cache, log = _full(before)
    cursors = [log.cursor() for _ in range(count)]
    rates = []
    first = max(1, int(count * FIRST_CURSORS))
    grown = 1.0
    with collector_off():
        for burst in in_pages(changes, BATCH):
            cache.apply_batch([("MODIFIED", raw) for raw in burst])
            taken = seconds(lambda: _read(cursors[:first]))
            after_some = resident_bytes()
            taken += seconds(lambda: _read(cursors[first:]))
            grown = max(grown, resident_bytes() / after_some)
            rates.append(len(burst) * count / taken)
    return spread(rates), grown


def _by_node(before: Sequence[bytes], changes: Sequence[bytes], nodes: list[str]) -> float:
    cache, log = _full(before)
    cursors = [log.cursor(field_selector=f"spec.nodeName={node}") for node in nodes]
    for burst in in_pages(changes, BATCH):
        cache.apply_batch([("MODIFIED", raw) for raw in burst])
    with collector_off():
        taken = seconds(lambda: _read(cursors))
    return len(changes) / taken


def _full(before: Sequence[bytes]) -> tuple[Cache, WatchLog]:
    log = WatchLog(max_bytes=LOG_BYTES)
    cache = empty(log)
    fill(cache, before, FIRST_VERSION - 1)
    return cache, log


async def _append(made: Sequence[Object], nodes: list[str]) -> float:
    """Seconds to append all, beside cursors that are parked on a node each and are woken by its events."""
    log = WatchLog(max_bytes=LOG_BYTES)
    waiting = [asyncio.ensure_future(log.cursor(0, field_selector=f"spec.nodeName={node}").wait()) for node in nodes]
    await asyncio.sleep(0)

    def work() -> None:
        for pod in made:
            log.append("MODIFIED", pod, None)

    with collector_off():
        taken = seconds(work)
    log.close()
    await asyncio.gather(*waiting)
    return taken


def _read(cursors: Sequence[Cursor]) -> None:
    """Everything that is there, as a server or an informer takes it."""
    for cursor in cursors:
        while batch := cursor.next_batch(BATCH):
            for event in batch:
                event.key  # noqa: B018 (taking them is what is measured)
                event.encoded  # noqa: B018


def _as_list(found: Spread) -> list[float]:
    return [found.median, found.low, found.high, found.rounds]
