"""Watches: a resource's log as a stream of events, with what comes before it and beside it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import orjson

from engine._object import Object
from engine._watchlog import Cursor, Expired
from engine.api.kind import Kind
from engine.server.lists import matching
from engine.server.refusals import expired, version_ahead
from engine.server.selection import TRUE, selection, watch_version, whole_number
from engine.storage.store import Store

BOOKMARK_SECONDS = 60.0
LAST_BOOKMARK_SECONDS = 2.0  # before a watch times out
MIN_TIMEOUT_SECONDS = (
    1800  # of a watch that names no timeout; each gets up to twice that, so that they don't end as one
)
MAX_EVENTS = 1000  # per chunk
MAX_TIMEOUT_SECONDS = 365 * 24 * 3600  # an event loop's clock has its bounds
INITIAL_END = "k8s.io/initial-events-end"


class WatchEvent(Protocol):
    """One event: ADDED, MODIFIED, DELETED or BOOKMARK, and the line that tells it."""

    @property
    def type(self) -> str: ...
    @property
    def object(self) -> Object: ...
    @property
    def encoded(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class MadeEvent:
    """An event that no change stands behind: an object that was there before, or a bookmark."""

    type: str
    object: Object
    initial_end: bool = False  # the bookmark that ends the initial events

    @property
    def encoded(self) -> bytes:
        return b'{"type":"%s","object":%s}\n' % (self.type.encode(), self.object.raw)


class Watch:
    """A watch whose request was checked. `events()` yields batches until its time is over or the server closes.

    A slow reader costs nothing: it parks, and the log's ring is all the memory there is. One that falls off the ring
    gets StatusError 410 out of `events()`.
    """

    def __init__(
        self,
        store: Store,
        kind: Kind,
        namespace: str | None,
        query: Mapping[str, str],
        only: str = "",
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises StatusError 400, 410, 422, and 504 for a version that is not reached yet."""
        wanted = selection(kind, namespace, query, only)
        version, initial = watch_version(query)
        self._kind = kind
        self._store = store
        self._clock = clock
        self._bookmarks = query.get("allowWatchBookmarks", "") in TRUE
        self._until = clock() + _timeout(query.get("timeoutSeconds", ""))
        table = store.table(kind.resource)
        if version.version > store.revision:
            raise version_ahead(version.version, store.revision)
        self._initial: Sequence[Object] = ()
        self._initial_end = bool(initial and self._bookmarks)
        # "" and "0" start with what is there, unless the client has said that it wants none of that.
        starts_now = version.version == 0 or initial is True
        if starts_now and initial is not False:
            self._initial = matching(kind, table.cache, wanted)
        start = partial(
            table.log.cursor, namespace=namespace, label_selector=wanted.labels, field_selector=wanted.fields
        )
        self._log = table.log
        try:
            # Between the list above and this cursor nothing is awaited, so they are one moment.
            self._cursor: Cursor = start(None if starts_now else version.version)
        except Expired:
            self._expired = True
        else:
            self._expired = False
        self._asked = version.version

    async def events(self) -> AsyncGenerator[Sequence[WatchEvent], None]:
        """Raises StatusError 410 when the history that is needed is gone."""
        if self._expired:
            raise self._gone(self._asked)
        for position in range(0, len(self._initial), MAX_EVENTS):
            yield [MadeEvent("ADDED", found) for found in self._initial[position : position + MAX_EVENTS]]
        self._initial = ()
        if self._initial_end:
            yield [self._bookmark(initial_end=True)]
        bookmark_at = self._next_bookmark()
        while True:
            try:
                batch = self._cursor.next_batch(MAX_EVENTS)
            except Expired:
                raise self._gone(self._cursor.resource_version) from None
            if batch:
                yield batch
                continue
            now = self._clock()
            if self._log.closed or now >= self._until:
                break
            if now >= bookmark_at:
                bookmark_at = self._next_bookmark()
                yield [self._bookmark()]
                continue
            await self._wait(min(self._until, bookmark_at) - now)

    def _next_bookmark(self) -> float:
        """The next one in a while, and the last one just before the time is over: its reader resumes from there."""
        last = self._until - LAST_BOOKMARK_SECONDS
        if not self._bookmarks or self._clock() >= last:
            return float("inf")
        return min(self._clock() + BOOKMARK_SECONDS, last)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._cursor.wait()
        except TimeoutError:
            pass

    def _bookmark(self, *, initial_end: bool = False) -> MadeEvent:
        resource = self._kind.resource
        metadata: dict[str, object] = {"resourceVersion": str(self._store.revision)}
        if initial_end:
            metadata["annotations"] = {INITIAL_END: "true"}
        document = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
        return MadeEvent("BOOKMARK", Object(orjson.dumps(document)), initial_end)

    def _gone(self, version: int) -> Exception:
        return expired(f"too old resource version: {version} ({self._log.oldest})")


def _timeout(text: str) -> float:
    if not text:
        return random.uniform(MIN_TIMEOUT_SECONDS, 2 * MIN_TIMEOUT_SECONDS)
    seconds = min(whole_number(text), MAX_TIMEOUT_SECONDS)
    return float(seconds) if seconds > 0 else random.uniform(MIN_TIMEOUT_SECONDS, 2 * MIN_TIMEOUT_SECONDS)
