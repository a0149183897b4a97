"""Events do not stay: each is deleted an hour after its last change, as kube-apiserver's event TTL has it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable

from engine._watchlog import Expired
from engine.api.resource import EVENTS
from engine.storage.store import StorageError, Store, Write

LOG = logging.getLogger("engine.server")
TTL_SECONDS = 3600.0
BATCH = 256
RETRY_SECONDS = 10.0


class EventExpiry:
    """Follows the events' log; parked while nothing is due. What it remembers is one entry per change of the last TTL.

    An event that a server finds at its start lives for another TTL. Two servers on one store may both try: the second
    one's precondition fails, and nothing comes of it.
    """

    def __init__(
        self, store: Store, *, ttl_seconds: float = TTL_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._due: deque[tuple[float, str, int]] = deque()  # (when, key, revision), the earliest first

    async def run(self) -> None:
        """Until cancelled, or until the store closes."""
        table = self._store.table(EVENTS)
        while not table.log.closed:
            cursor = table.log.cursor()
            self._due.clear()
            deadline = self._clock() + self._ttl_seconds
            self._due.extend((deadline, event.key, event.resource_version) for event in table.cache.list())
            with contextlib.suppress(Expired):
                while not table.log.closed:
                    if batch := cursor.next_batch(BATCH):
                        deadline = self._clock() + self._ttl_seconds
                        self._due.extend((deadline, e.key, e.revision) for e in batch if e.type != "DELETED")
                    elif await self._expire() == 0:
                        with contextlib.suppress(TimeoutError):
                            await asyncio.wait_for(cursor.wait(), self._patience())

    def _patience(self) -> float | None:
        return max(0.0, self._due[0][0] - self._clock()) if self._due else None

    async def _expire(self) -> int:
        """Deletes what is due, at most a batch. Returns how many entries it took up."""
        cache = self._store.table(EVENTS).cache
        writes: list[Write] = []
        taken = 0
        while self._due and self._due[0][0] <= self._clock() and taken < BATCH:
            _, key, revision = self._due.popleft()
            taken += 1
            event = cache.get(key)
            if event is not None and event.resource_version == revision:
                writes.append(Write(EVENTS, key, event.to_dict(), revision, delete=True))
        if writes:
            try:
                await self._store.commit(writes)
            except StorageError as error:
                LOG.warning("%d expired events could not be deleted: %s", len(writes), error)
                again = self._clock() + RETRY_SECONDS
                self._due.extendleft((again, write.key, write.expected) for write in reversed(writes))
                return 0
        return taken
