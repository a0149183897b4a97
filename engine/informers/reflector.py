"""Keeps a cache current by list and watch: the loop behind an informer that is not in the server's process."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from enum import Enum

from engine._cache import Cache
from engine._json import without_managed_fields
from engine._object import Object
from engine._watchlog import WatchLog
from engine.api.errors import StatusError
from engine.api.resource import Resource
from engine.client.transport import Transport, WatchEvent, WatchStream
from engine.informers.backoff import Backoff

LOG = logging.getLogger(__name__)

PAGE_SIZE = 500  # objects in one page of a list
WATCH_SECONDS = (300, 600)  # how long one watch may last: drawn at random, so that clients don't all return at once
SHORT_WATCH_SECONDS = 1.0  # a watch that tells nothing and ends sooner is a failure, else it would be a hot loop
MARKER_SECONDS = 10.0  # silence before the end of the initial events that means: this server does not send it
RELISTS_KEPT = 64  # revisions of past relists that are remembered to tell tombstones
UNSUPPORTED = frozenset({400, 405, 406, 415, 422, 501})  # a server without streaming lists answers one of these


Transform = Callable[[Object], Object]


def strip_managed_fields(obj: Object) -> Object:
    """The object without `metadata.managedFields`: half of its bytes, which only servers need."""
    raw = without_managed_fields(obj.raw)
    return obj if raw is obj.raw else Object(raw)


class Phase(Enum):
    """What the reflector does next."""

    STREAM = "stream"  # nothing trusted: ask for the content as initial events of a watch
    LIST = "list"  # nothing trusted: ask for the content in pages
    WATCH = "watch"  # the cache is complete up to `version`: ask for what comes after


class Reflector:
    """Fills `cache` with one resource of a server and keeps it so, for ever.

    Only what a server says is gone (410) leads to a relist; after every other failure the watch goes on at the version
    that was applied last. The content is replaced in one step: readers see old or new. A bookmark advances the version
    and nothing else. Versions advance after the change is in the cache, never before. `transform` makes of each object
    what is kept of it; its key and version must stay.
    """

    def __init__(
        self,
        transport: Transport,
        resource: Resource,
        cache: Cache,
        log: WatchLog,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        transform: Transform | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.phase = Phase.STREAM
        self.version = 0  # the newest version that the cache is known to hold
        self.synced = False
        self.ready = asyncio.Event()  # set when the first content is there; its informer sets it when it stops, too
        self.relists: deque[int] = deque(maxlen=RELISTS_KEPT)
        self._transport = transport
        self._resource = resource
        self._cache = cache
        self._log = log
        self._namespace = namespace
        self._selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        self._selectors = {name: text for name, text in self._selectors.items() if text}
        self._transform = transform
        self._random = rng or random.Random()
        self._empty = Phase.STREAM  # how an untrusted content is fetched: LIST for good once a server refused
        self._any_version = False  # the last known version is of no use to the server: take what is newest

    async def run(self) -> None:
        """Until cancelled. Backs off on failures, never gives up."""
        backoff = Backoff(asyncio.get_running_loop().time, rng=self._random)
        while True:
            phase = self.phase
            try:
                match phase:
                    case Phase.STREAM:
                        await self._stream()
                    case Phase.LIST:
                        await self._list()
                    case Phase.WATCH:
                        await self._watch()
                continue
            except Exception as error:
                if not self._decide(phase, error):
                    continue
                if phase is Phase.WATCH and isinstance(error, StatusError) and error.code == 410:
                    backoff.restart()  # a server that came back: what it was away for is no reason to wait longer
                delay = backoff.next()
                reason, expected = str(error) or type(error).__name__, isinstance(error, StatusError | OSError)
                message = "%s: %s failed, again in %.1f s: %s"
                LOG.warning(message, self._resource.name, phase.value, delay, reason, exc_info=not expected)
            await asyncio.sleep(delay)

    def _decide(self, phase: Phase, error: Exception) -> bool:
        """What to do after a failure in `phase`. True: wait before it."""
        started = self.phase is Phase.WATCH  # also when the stream had brought the content already
        if isinstance(error, StatusError) and (error.code == 410 or _too_large(error)):
            # A watch that fell behind: the content of now, or of later. A version that the server can't serve: whatever
            # is newest, and at once, since it is another question.
            known, self._any_version = self._any_version, self._any_version or _too_large(error) or not started
            self.phase = self._empty
            return known or not self._any_version
        if not isinstance(error, StatusError | OSError):
            self.phase = self._empty  # what the server sent makes no sense, and would again at this version
        elif isinstance(error, _NoMarker):
            self.phase = Phase.LIST  # for this once: perhaps the server was only slow
            return False
        elif phase is Phase.STREAM and not started and isinstance(error, StatusError) and error.code in UNSUPPORTED:
            LOG.info("%s: no streaming list here, listing in pages: %s", self._resource.name, error)
            self.phase = self._empty = Phase.LIST
            return False
        return True

    async def _stream(self) -> None:
        """The content as a watch's initial events, put aside until their end is marked; then on as a watch."""
        query = self._watch_query()
        query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        if version := self._not_older_than():
            query["resourceVersion"] = version
        replacement = self._cache.replacement(0)
        async with aclosing(self._transport.watch(self._resource, self._namespace, query=query)) as stream:
            try:
                async with asyncio.timeout(MARKER_SECONDS) as silence:
                    async for batch in stream:
                        end = next((at for at, event in enumerate(batch) if event.initial_end), None)
                        replacement.add([self._transformed(event.object) for event in batch[:end]])
                        if end is not None:
                            break
                        silence.reschedule(asyncio.get_running_loop().time() + MARKER_SECONDS)
                    else:
                        raise ConnectionError("the watch ended before its initial events did")
            except TimeoutError as error:
                if silence.expired():
                    raise _NoMarker(f"no end of the initial events for {MARKER_SECONDS:g} s") from error
                raise
            replacement.finish(batch[end].object.resource_version)
            self._replaced(batch[end].object.resource_version)
            self._apply(batch[end + 1 :])
            await self._follow(stream)

    async def _list(self) -> None:
        """The content in pages, put aside until the last one is there."""
        query = self._selectors | {"limit": str(PAGE_SIZE)}
        if newest := self._not_older_than():
            query |= {"resourceVersion": newest, "resourceVersionMatch": "NotOlderThan"}
        page = await self._transport.list(self._resource, self._namespace, query=query)
        replacement = self._cache.replacement(page.resource_version)
        replacement.add(map(self._transformed, page.items))
        version = page.resource_version
        while page.continue_token:
            more = self._selectors | {"limit": str(PAGE_SIZE), "continue": page.continue_token}
            try:
                page = await self._transport.list(self._resource, self._namespace, query=more)
            except StatusError as error:
                if error.code != 410:
                    raise
                # The server forgot the state that the pages are cut from: all of it at once, then.
                page = await self._transport.list(self._resource, self._namespace, query=self._selectors)
                replacement, version = self._cache.replacement(page.resource_version), page.resource_version
            replacement.add(map(self._transformed, page.items))
        replacement.finish(version)
        self._replaced(version)

    def _replaced(self, version: int) -> None:
        """The cache holds a whole content of this version now."""
        if self.synced:
            self.relists.append(self._log.resource_version)  # what its records are stamped with
        else:
            self._log.expire()  # nobody reads before the first content is there; who comes then starts with a snapshot
        self.version = version  # of a server that lost its data, this may be an older one
        self._any_version = False
        self.phase = Phase.WATCH
        self.synced = True
        self.ready.set()

    async def _watch(self) -> None:
        """What comes after `version`, until the server ends the watch."""
        query = self._watch_query() | {"resourceVersion": str(self.version)}
        async with aclosing(self._transport.watch(self._resource, self._namespace, query=query)) as stream:
            await self._follow(stream)

    async def _follow(self, stream: WatchStream) -> None:
        loop = asyncio.get_running_loop()
        start, version = loop.time(), self.version
        async for batch in stream:
            self._apply(batch)
        if self.version == version and loop.time() - start < SHORT_WATCH_SECONDS:
            raise ConnectionError("the watch ended at once and told nothing")

    def _apply(self, batch: list[WatchEvent]) -> None:
        if not batch:
            return
        changes = [(event.type, self._transformed(event.object)) for event in batch if event.type != "BOOKMARK"]
        if changes:
            self._cache.apply_batch(changes)
        self._advance(batch[-1].object.resource_version)

    def _transformed(self, obj: Object) -> Object:
        return obj if self._transform is None else self._transform(obj)

    def _advance(self, version: int) -> None:
        if version > self.version:
            self.version = version
            self._cache.advance(version)

    def _not_older_than(self) -> str:
        return "" if self._any_version or not self.version else str(self.version)

    def _watch_query(self) -> dict[str, str]:
        seconds = self._random.randint(*WATCH_SECONDS)
        return self._selectors | {"allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}


class _NoMarker(OSError):
    """The server took `sendInitialEvents` for something it does not know, and sent no end of them."""


def _too_large(error: StatusError) -> bool:
    """The server is not yet where this version is (it lost data, or another one answers)."""
    return error.code == 504 and any(cause.reason == "ResourceVersionTooLarge" for cause in error.causes)
