"""Caches full of pods, with the indexes that the bars are about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import TypeVar

from engine._cache import Cache
from engine._watchlog import WatchLog
from engine.bench.core.settings import CoreSettings
from engine.bench.objects import pods

Item = TypeVar("Item")

INDEXES = {"node": "spec.nodeName", "owner": "metadata.ownerReferences[0].uid"}  # "namespace" is always there
COLUMNS = ("spec.nodeName",)  # what an index holds is a column at no cost
PAGE = 500  # objects of one page of a list


def empty(log: WatchLog | None = None) -> Cache:
    """With three indexes, one of them a column too, and all labels."""
    return Cache(INDEXES, COLUMNS, log)


def fill(cache: Cache, items: Iterable[bytes], resource_version: int = 1) -> None:
    """As an informer fills it from a list: page by page, then at once."""
    replacement = cache.replacement(resource_version)
    for page in in_pages(items):
        replacement.add(page)
    replacement.finish(resource_version)
    settle(cache)


def settle(cache: Cache) -> None:
    """Asks every index, so that what a cache put off is done."""
    cache.list(label_selector="app=none,team=none")
    for name in ("namespace", *INDEXES):
        cache.index_size(name, "none")


def in_pages(items: Iterable[Item], size: int = PAGE) -> Iterator[list[Item]]:
    source = iter(items)
    while page := list(islice(source, size)):
        yield page


@lru_cache(maxsize=1)
def shared(settings: CoreSettings) -> Cache:
    """For measures that only read."""
    cache = empty()
    fill(cache, pods(settings.count, per_owner=settings.per_owner[0], seed=settings.seed))
    return cache
