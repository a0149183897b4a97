"""A part of a server's own cache, as if nothing else existed: what selectors mean in the same process."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

from engine._cache import Cache, EventType
from engine._watchlog import Expired, WatchLog
from engine.client.transport import Shared
from engine.informers.reflector import RELISTS_KEPT

BATCH_EVENTS = 1000


class FilteredFeed:
    """Copies the matching rows of a shared pair into a cache of their own and keeps them current.

    Objects are shared, not copied. Where an index answers the selector, only the matches are looked at, and only their
    events wake it.
    """

    def __init__(
        self,
        shared: Shared,
        cache: Cache,
        log: WatchLog,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
    ) -> None:
        self.synced = False
        self.ready = asyncio.Event()  # set when the first content is there; its informer sets it when it stops, too
        self.relists: deque[int] = deque(maxlen=RELISTS_KEPT)
        self._shared = shared
        self._cache = cache
        self._log = log
        self._namespace = namespace
        self._label_selector = label_selector or None
        self._field_selector = field_selector or None

    async def run(self) -> None:
        """Until cancelled, or until the store that lends the pair closes it."""
        log = self._shared.log
        while not log.closed:
            cursor = log.cursor(
                namespace=self._namespace, label_selector=self._label_selector, field_selector=self._field_selector
            )
            self._refill()
            try:
                while not log.closed:
                    await cursor.wait()
                    while events := cursor.next_batch(BATCH_EVENTS):
                        self._cache.apply_batch([(cast("EventType", event.type), event.object) for event in events])
                        await asyncio.sleep(0)
                    self._cache.advance(cursor.resource_version)
            except Expired:
                continue

    def _refill(self) -> None:
        shared = self._shared.cache
        rows = shared.list(self._namespace, self._label_selector, self._field_selector)
        self._cache.replace(rows, shared.resource_version)
        if self.synced:
            self.relists.append(self._log.resource_version)
        self.synced = True
        self.ready.set()
