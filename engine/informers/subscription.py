"""One consumer's view of an informer: the content first, then every change, at the consumer's own pace."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from engine._cache import Cache, Snapshot
from engine._object import Object
from engine._watchlog import Cursor, Expired, WatchLog

SCAN_KEYS = 10_000  # keys that a difference looks at in one call: the event loop gets its turn in between
SEEN_SLACK = 1_024  # changes remembered beside a snapshot, plus an eighth of the keys, before it is worth a new one


class Change(NamedTuple):
    """What a consumer is told: `initial` marks the objects that were there when it subscribed. A DELETED change found
    by a relist carries the last known state (`tombstone`)."""

    type: str  # ADDED, MODIFIED, DELETED
    key: str
    object: Object
    old: Object | None = None
    initial: bool = False
    tombstone: bool = False


class Followed(Protocol):
    """What a subscription needs of its informer."""

    cache: Cache
    log: WatchLog

    @property
    def has_synced(self) -> bool: ...

    @property
    def stopped(self) -> bool: ...

    async def synced(self) -> None: ...

    def is_relist(self, revision: int) -> bool:
        """True for a revision at which the content was replaced as a whole."""


class Subscription:
    """One consumer's place: a cursor over the informer's log, preceded by the content at subscription.

    A few words and a snapshot, whatever waits: the log keeps the events. The consumer's past is known as a snapshot and
    the changes since, so that one who fell off the log is told exactly the difference, deletions included.
    """

    def __init__(self, informer: Followed) -> None:
        self._informer = informer
        self._cursor: Cursor | None = None  # None until the informer has synced
        self._seen: _Seen | None = None
        self._backlog: _Backlog | None = None
        self._synced = False

    def next_batch(self, max_changes: int = 1000) -> list[Change]:
        """What is there now; [] when nothing. Never blocks. Falling off the log is healed here: the difference to what
        this consumer last saw comes instead, deletions included."""
        if self._cursor is None:
            if not self._informer.has_synced:
                return []
            self._start()
        if self._backlog is not None and (changes := self._catch_up(max_changes)):
            return changes
        if self._backlog is None:
            assert self._cursor is not None
            try:
                return self._follow(self._cursor, max_changes)
            except Expired:
                self._start()
                return self._catch_up(max_changes)
        return []  # a long way without a difference: the event loop gets its turn, and `wait` returns at once

    async def wait(self) -> None:
        """Returns when `next_batch` may have something, or the informer stopped. One that reads the server's own log in
        this process stops for its waiting consumers when that log closes."""
        if self._backlog is not None or self._informer.stopped:
            await asyncio.sleep(0)  # nothing to wait for: only give way
        elif self._cursor is None:
            await self._informer.synced()
        else:
            await self._cursor.wait()

    @property
    def synced(self) -> bool:
        """True once every object of the initial list was handed out."""
        return self._synced

    @property
    def stopped(self) -> bool:
        """True when the informer stopped: nothing comes any more."""
        return self._informer.stopped

    def _start(self) -> None:
        """Takes content and place in the log in one step, so that there is neither gap nor overlap between them."""
        self._cursor = self._informer.log.cursor()
        target = self._informer.cache.snapshot()
        if self._seen is None:
            self._seen = _Seen(target)
        self._backlog = _Backlog(self._seen, target, initial=not self._synced)

    def _catch_up(self, max_changes: int) -> list[Change]:
        assert self._backlog is not None
        changes = self._backlog.take(max_changes)
        if self._backlog.done:
            self._seen = _Seen(self._backlog.target, upto=None)
            self._backlog = None
            self._synced = True
        return changes

    def _follow(self, cursor: Cursor, max_changes: int) -> list[Change]:
        events = cursor.next_batch(max_changes)
        if not events:
            return []
        is_relist = self._informer.is_relist
        changes = [
            Change(e.type, e.key, e.object, e.old, False, e.type == "DELETED" and is_relist(e.revision)) for e in events
        ]
        assert self._seen is not None
        self._seen.note(changes)
        if len(self._seen.changes) > SEEN_SLACK + len(self._informer.cache) // 8 and not cursor.pending:
            self._seen = _Seen(self._informer.cache.snapshot(), upto=None)
        return changes


class _Seen:
    """What a consumer was told last, without a copy: a snapshot, read as far as `upto`, and the changes since."""

    def __init__(self, base: Snapshot, upto: str | None = "") -> None:
        self.base = base
        self.upto = upto  # the last key handed out of `base`; None: all of them
        self.changes: dict[str, Object | None] = {}  # None: told that it is gone

    def get(self, key: str) -> Object | None:
        if key in self.changes:
            return self.changes[key]
        return self.base.get(key) if self.upto is None or key <= self.upto else None

    def keys(self) -> list[str]:
        upto, changes = self.upto, self.changes
        known = [key for key in self.base.keys() if (upto is None or key <= upto) and key not in changes]  # noqa: SIM118
        return known + [key for key, seen in changes.items() if seen is not None]

    def note(self, changes: list[Change]) -> None:
        self.changes.update([(c.key, None if c.type == "DELETED" else c.object) for c in changes])


class _Backlog:
    """The way from what a consumer saw to the snapshot `target`: deletions first, then the rest in key order.

    Taken in pieces. The initial content is the way from nothing.
    """

    def __init__(self, seen: _Seen, target: Snapshot, *, initial: bool) -> None:
        self.target = target
        self.done = False
        self._seen = seen
        self._initial = initial
        self._fresh = seen.base is target  # nothing was seen before: no comparison needed
        self._gone: Iterator[str] | None = None if self._fresh else iter(seen.keys())
        self._after = ""

    def take(self, max_changes: int) -> list[Change]:
        changes: list[Change] = []
        budget = SCAN_KEYS
        while budget > 0 and len(changes) < max_changes and not self.done:
            limit = min(max_changes - len(changes), budget)
            budget -= limit
            found = self._deletions(limit) if self._gone is not None else self._upserts(limit)
            changes += found
            if not self._fresh:
                self._seen.note(found)
        return changes

    def _deletions(self, limit: int) -> list[Change]:
        """Looks at the next `limit` keys that were seen."""
        found = []
        assert self._gone is not None
        for _ in range(limit):
            key = next(self._gone, None)
            if key is None:
                self._gone = None
                break
            last = self._seen.get(key)
            if last is not None and self.target.get(key) is None:
                found.append(Change("DELETED", key, last, last, tombstone=True))
        return found

    def _upserts(self, limit: int) -> list[Change]:
        """Looks at the next `limit` objects of the target."""
        page = self.target.list(limit=limit, after=self._after)
        self.done = len(page) < limit
        if self._fresh:
            found = [Change("ADDED", obj.key, obj, None, self._initial) for obj in page]
        else:
            found = [change for obj in page if (change := self._difference(obj)) is not None]
        if page:
            self._after = page[-1].key
            if self._fresh:
                self._seen.upto = self._after
        return found

    def _difference(self, obj: Object) -> Change | None:
        old = self._seen.get(obj.key)
        if old is None:
            return Change("ADDED", obj.key, obj, None, self._initial)
        if old.resource_version == obj.resource_version and old.uid == obj.uid:
            return None
        return Change("MODIFIED", obj.key, obj, old)
