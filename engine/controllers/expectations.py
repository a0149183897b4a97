"""What a controller wrote and its cache has not shown yet.

A controller that decides on a cache without its own last writes repeats them: twice the pods. The cache says up to
which revision it is complete, so one number per owner is enough for everything that was created or changed. A deletion
may leave no revision behind (the answer may be a Status), so deletions are remembered by key and uid.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from engine._cache import Cache
from engine._object import Object

LOG = logging.getLogger("engine.controllers")
EXPIRY_SECONDS = 300.0


@dataclass(slots=True)
class _InFlight:
    since: float
    revision: int = 0
    deletions: dict[str, str] = field(default_factory=dict)  # key → uid


class Expectations:
    """Per owner (any string: its uid): whether `cache` shows all that was written for it.

    After `expiry_seconds` an owner is let go with a warning, so that a lost watch delays and does not block.
    """

    def __init__(
        self,
        cache: Cache,
        *,
        expiry_seconds: float = EXPIRY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cache = cache
        self._expiry_seconds = expiry_seconds
        self._clock = clock
        self._in_flight: dict[str, _InFlight] = {}

    def wrote(self, owner: str, written: Object) -> None:
        """`written` is what the server answered to a create, update or patch."""
        waiting = self._waiting(owner)
        waiting.revision = max(waiting.revision, written.resource_version)

    def deleted(self, owner: str, victim: Object) -> None:
        """The deletion of `victim` was accepted."""
        self._waiting(owner).deletions[victim.key] = victim.uid

    def settled(self, owner: str) -> bool:
        """Whether the cache has caught up. O(deletions in flight)."""
        waiting = self._in_flight.get(owner)
        if waiting is None:
            return True
        for key, uid in list(waiting.deletions.items()):
            cached = self._cache.get(key)
            if cached is None or cached.uid != uid or cached.deletion_timestamp is not None:
                del waiting.deletions[key]
        if waiting.deletions or self._cache.resource_version < waiting.revision:
            if self._clock() - waiting.since < self._expiry_seconds:
                return False
            LOG.warning("writes for %s did not show in the cache within %g s: going on", owner, self._expiry_seconds)
        del self._in_flight[owner]
        return True

    def expires_in(self, owner: str) -> float:
        """Seconds until an owner that is not settled is let go."""
        waiting = self._in_flight.get(owner)
        return max(0.0, waiting.since + self._expiry_seconds - self._clock()) if waiting else 0.0

    def forget(self, owner: str) -> None:
        self._in_flight.pop(owner, None)

    def _waiting(self, owner: str) -> _InFlight:
        waiting = self._in_flight.get(owner)
        if waiting is None:
            waiting = self._in_flight[owner] = _InFlight(self._clock())
        waiting.since = self._clock()
        return waiting

    def __len__(self) -> int:
        return len(self._in_flight)
