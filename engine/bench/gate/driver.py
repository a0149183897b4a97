"""The process that is counted: one hot operation of the core, as often as it is told.

`counting.py` runs this file by its path under callgrind, so that one driver counts the core of any revision; it must
get by with `engine`'s compiled modules. Nothing is warmed up: the difference of two runs is what came last.
Usage: driver.py CASE OPERATIONS INPUT, where INPUT holds one JSON object a line: PODS pods, then updates of them.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from itertools import islice
from typing import Literal

from engine._cache import Cache
from engine._watchlog import WatchLog

PODS = 500  # a page of a list, as clients ask for it
BATCH = 50  # updates that one read of a watch brings
READ = 50  # events that a cursor takes at a time: a list that grows further asks libc, at a price of chance
INDEXES = {"spec.nodeName": "spec.nodeName", "metadata.uid": "metadata.ownerReferences[0].uid"}

Lines = list[bytes]


def pods_cache(pods: Lines, max_events: int = 1000) -> tuple[Cache, WatchLog]:
    log = WatchLog(max_events=max_events)
    cache = Cache(INDEXES, log=log)
    cache.replace(pods, 1)
    return cache, log


def changed(update: bytes) -> tuple[Literal["MODIFIED"], bytes]:
    return "MODIFIED", update


def get(pods: Lines, updates: Lines) -> Callable[[int], None]:
    """One `Cache.get`, of keys in no order."""
    cache, _ = pods_cache(pods)
    keys = sorted(cache.keys(), key=lambda key: key[::-1])

    def operations(count: int) -> None:
        read = cache.get
        for _ in range(count // len(keys)):
            for key in keys:
                read(key)

    return operations


def apply(pods: Lines, updates: Lines) -> Callable[[int], None]:
    """One update among BATCH of an `apply_batch`, with indexes and a full log."""
    cache, _ = pods_cache(pods, max_events=PODS)
    batches = iter(
        [[changed(update) for update in updates[start : start + BATCH]] for start in range(0, len(updates), BATCH)]
    )

    def operations(count: int) -> None:
        for batch in islice(batches, count // BATCH):
            cache.apply_batch(batch)

    return operations


def scan(pods: Lines, updates: Lines) -> Callable[[int], None]:
    """One pod among PODS of a list page that fills an empty cache, which is dropped then."""

    def operations(count: int) -> None:
        for _ in range(count // PODS):
            Cache(INDEXES, log=WatchLog()).replace(pods, 1)

    return operations


def next_batch(pods: Lines, updates: Lines) -> Callable[[int], None]:
    """One event among READ that a cursor takes, when others have taken it before."""
    cache, log = pods_cache(pods, max_events=2 * PODS)
    start = log.resource_version
    cache.apply_batch([changed(update) for update in updates[:PODS]])
    log.cursor(start).next_batch(PODS)

    def operations(count: int) -> None:
        for _ in range(count // PODS):
            cursor = log.cursor(start)
            for _ in range(PODS // READ):
                cursor.next_batch(READ)

    return operations


CASES = {case.__name__: case for case in (get, apply, scan, next_batch)}


def main(case: str, count: str, file: str) -> None:
    gc.disable()  # when it runs depends on what else was allocated
    with open(file, "rb") as source:
        lines = source.read().splitlines()
    operations = CASES[case](lines[:PODS], lines[PODS:])
    operations(int(count))
    os._exit(0)  # without letting go of what is left, which is not of the operation


if __name__ == "__main__":
    main(*sys.argv[1:])
