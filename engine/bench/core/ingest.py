"""A list of JSON objects into an indexed cache, against orjson and a dict of what it makes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from engine.bench.core.filled import empty, in_pages, settle
from engine.bench.core.settings import CoreSettings
from engine.bench.figure import Figure, spread
from engine.bench.objects import pods, unique
from engine.bench.timing import collector_off, seconds

SLICE = 5_000  # objects that one side takes before it is the other's turn; their dicts take 180 MB
FIRST_SHARE = 4
UNIQUE_SHARE = 10


def ingest(settings: CoreSettings) -> Iterator[Figure]:
    """How many times as fast as orjson and dict, by kind of content."""
    count, seed = settings.count, settings.seed
    few, fewer = max(count // FIRST_SHARE, 10), max(count // UNIQUE_SHARE, 10)
    yield from _against_dict("template hits", count, pods(count, per_owner=settings.per_owner[0], seed=seed), 10, 25)
    yield from _against_dict("first of their kind", few, pods(few, per_owner=1, seed=seed), 3, 4)
    yield from _against_dict("no two alike", fewer, unique(fewer, seed=seed), 0.8, 1)


def _against_dict(name: str, count: int, items: Iterable[bytes], bar: float, aim: float) -> Iterator[Figure]:
    cache = empty()
    replacement = cache.replacement(1)
    taken: list[tuple[float, float]] = []  # seconds of a slice: ours, theirs

    def ours(objects: list[bytes]) -> None:
        for page in in_pages(objects):
            replacement.add(page)

    def finish() -> None:
        replacement.finish(1)
        settle(cache)

    with collector_off():
        for number, objects in enumerate(in_pages(items, SLICE)):
            if not number:
                as_dicts(objects)
                fresh = empty().replacement(1)
                fresh.add(objects)
                fresh.finish(1)
                del fresh
            if number % 2:
                theirs = seconds(lambda: as_dicts(objects))  # noqa: B023 (called at once)
                taken.append((seconds(lambda: ours(objects)), theirs))  # noqa: B023
            else:
                own = seconds(lambda: ours(objects))  # noqa: B023
                taken.append((own, seconds(lambda: as_dicts(objects))))  # noqa: B023
        end = seconds(finish)
    total = sum(own for own, _ in taken) + end
    end_each = end / len(taken)
    found = spread(theirs / (own + end_each) for own, theirs in taken)
    value = sum(theirs for _, theirs in taken) / total
    note = f"{count / total:,.0f} objects/s"
    yield Figure(
        "ingest", name, value, "x", count, found.rounds, found.low, found.high, bar, aim, more_is_better=True, note=note
    )


def as_dicts(objects: Iterable[bytes], into: dict[str, Any] | None = None) -> dict[str, Any]:
    """What everybody would write: parsed, and kept by key."""
    found: dict[str, Any] = {} if into is None else into
    loads = orjson.loads
    for raw in objects:
        document = loads(raw)
        about = document["metadata"]
        found[about["namespace"] + "/" + about["name"]] = document
    return found
