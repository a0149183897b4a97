"""The caches and logs of a store's resources, which all move along one counter."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine._cache import Cache
from engine._watchlog import WatchLog
from engine.api.resource import Resource
from engine.storage.store import Table

if TYPE_CHECKING:
    from engine._cache import EventType, IndexSource, Item

Events = dict[Resource, list[tuple["EventType", "Item"]]]


class Tables:
    """One Table per resource; `revision` is where all of them stand."""

    def __init__(self, resources: Mapping[Resource, Mapping[str, IndexSource]]) -> None:
        self.revision = 0
        self._tables: dict[Resource, Table] = {}
        for resource, indexes in resources.items():
            log = WatchLog()
            self._tables[resource] = Table(Cache(indexes=indexes, log=log), log)

    def __getitem__(self, resource: Resource) -> Table:
        return self._tables[resource]

    def items(self) -> list[tuple[Resource, Table]]:
        return list(self._tables.items())

    def apply(self, events: Events, revision: int) -> None:
        """Changes in the order of revisions, the last of which is `revision`."""
        for resource, batch in events.items():
            self._tables[resource].cache.apply_batch(batch)
        self.advance(revision)

    def advance(self, revision: int) -> None:
        self.revision = revision
        for table in self._tables.values():
            table.cache.advance(revision)
            table.log.advance(revision)

    @contextmanager
    def loading(self) -> Iterator[None]:
        """For the first load: what is there is no news, and nothing of it is garbage (the collector, which would look
        again and again, took two thirds of the time)."""
        collecting = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if collecting:
                gc.enable()
        for table in self._tables.values():
            table.log.expire()

    def close(self) -> None:
        """Ends every watch."""
        for table in self._tables.values():
            table.log.close()
