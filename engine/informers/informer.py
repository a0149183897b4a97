"""The shared informer: a local cache of one resource, and any number of consumers that are told its changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine._cache import Cache
from engine._watchlog import WatchLog
from engine.api.resource import Resource
from engine.client.client import Client
from engine.client.transport import Shared
from engine.informers.filtered import FilteredFeed
from engine.informers.reflector import Reflector, Transform, strip_managed_fields
from engine.informers.subscription import Change, Subscription

if TYPE_CHECKING:
    from engine._cache import IndexSource

__all__ = ["Change", "Informer", "Informers", "Subscription"]

LOG = logging.getLogger(__name__)

# An informer's own log: a consumer that is further behind is told the difference instead.
LOG_MAX_EVENTS = 200_000
LOG_MAX_BYTES = 256 << 20


class Informer:
    """A local cache of one resource (optionally one namespace, one selector), kept current by list and watch.

    Over HTTPS a reflector feeds its own Cache and WatchLog; where the transport lends the server's (`shared`), those
    are read and nothing runs. A namespace or selector in the server's process gets a small cache of what matches.
    `transform` makes of each object what is kept of it, by default all but its managedFields; an update without them
    leaves the server's as they are. In the server's process, where nothing is copied, it does nothing.

    What consumers and readers can rely on:

    - The states that an object takes in the cache are states that it had at the server, in that order. Some may be
      skipped; none comes twice or out of order. Between objects no order is promised.
    - A query answers from one moment. `Cache.snapshot()` keeps that moment for several.
    - A change is in the cache and its indexes before any consumer is told of it.
    - Each consumer is told changes one after the other, at its own pace: a slow one delays nobody else.
    - An object is its namespace and name. One deleted and created again while the connection was away may arrive as one
      MODIFIED: compare uids where it matters.
    - DELETED carries the last state that is known; `tombstone` says that a relist, not an event, told of it.
    - Objects are shared by all, and cannot be changed.
    - An informer runs once.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        indexes: Mapping[str, IndexSource] = {},
        transform: Transform | None = strip_managed_fields,
    ) -> None:
        self.resource = resource
        self._stopped = False
        self._started = False
        self._feed: Reflector | FilteredFeed | None = None
        shared = client.transport.shared(resource)
        if shared is not None and not (namespace or label_selector or field_selector):
            self.log, self.cache = shared.log, shared.cache
            for name, source in indexes.items():
                self.cache.add_index(name, source)
            return
        self.log = WatchLog(max_events=LOG_MAX_EVENTS, max_bytes=LOG_MAX_BYTES)
        self.cache = Cache(indexes=dict(indexes), log=self.log)
        self._feed = _feed(client, resource, shared, self, namespace, label_selector, field_selector, transform)

    async def run(self) -> None:
        """Until cancelled. Backs off on errors, never gives up. A second run raises RuntimeError."""
        if self._started:
            raise RuntimeError(f"the informer of {self.resource.name} runs once")
        self._started = True
        try:
            if self._feed is not None:
                await self._feed.run()
            else:
                await asyncio.get_running_loop().create_future()
        finally:
            self._stopped = True
            if self._feed is not None:
                self._feed.ready.set()
                self.log.close()

    async def synced(self) -> None:
        """Returns when the first list is in the cache, or the informer stopped."""
        if self._feed is not None:
            await self._feed.ready.wait()

    @property
    def has_synced(self) -> bool:
        return self._feed is None or self._feed.synced

    @property
    def stopped(self) -> bool:
        """True when nothing comes any more: the informer stopped, or the store whose log it reads closed."""
        return self._stopped or self.log.closed

    def is_relist(self, revision: int) -> bool:
        """True for a revision at which the content was replaced as a whole."""
        return self._feed is not None and revision in self._feed.relists

    def add_index(self, name: str, source: IndexSource) -> None:
        """On a live cache too: O(objects). The same name with another source raises ValueError."""
        self.cache.add_index(name, source)

    def subscribe(self) -> Subscription:
        """A new consumer: told the whole content first, then every change. Costs nothing while nobody waits on it."""
        return Subscription(self)


def _feed(
    client: Client,
    resource: Resource,
    shared: Shared | None,
    pair: Informer,
    namespace: str | None,
    label_selector: str,
    field_selector: str,
    transform: Transform | None,
) -> Reflector | FilteredFeed:
    """Who fills an informer's own cache: the server's log, or list and watch."""
    if shared is not None:
        return FilteredFeed(
            shared,
            pair.cache,
            pair.log,
            namespace=namespace,
            label_selector=label_selector,
            field_selector=field_selector,
        )
    return Reflector(
        client.transport,
        resource,
        pair.cache,
        pair.log,
        namespace=namespace,
        label_selector=label_selector,
        field_selector=field_selector,
        transform=transform,
    )


class Informers:
    """Informers of one client, one per (resource, namespace, selectors), shared by whoever asks."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._informers: dict[tuple[Resource, str, str, str, Transform | None], Informer] = {}
        self._tasks: dict[Informer, asyncio.Task[None]] = {}

    def get(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        indexes: Mapping[str, IndexSource] = {},
        transform: Transform | None = strip_managed_fields,
    ) -> Informer:
        """The one informer of these; `indexes` are added to those it has. It runs after the next `start`."""
        key = (resource, namespace or "", label_selector, field_selector, transform)
        informer = self._informers.get(key)
        if informer is not None:
            for name, source in indexes.items():
                informer.add_index(name, source)
            return informer
        informer = Informer(
            self._client,
            resource,
            namespace=namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            indexes=indexes,
            transform=transform,
        )
        self._informers[key] = informer
        return informer

    async def start(self) -> None:
        """Runs every informer asked for so far and returns when all are synced. An informer whose run ends by itself
        raises here what it ended with."""
        for informer in self._informers.values():
            if informer not in self._tasks:
                self._tasks[informer] = asyncio.create_task(informer.run(), name=f"informer {informer.resource.name}")
        for informer, task in list(self._tasks.items()):
            await informer.synced()
            if informer.stopped:
                await task

    async def stop(self) -> None:
        """Stops all of them; who waits on a subscription is woken."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                LOG.error("an informer had failed", exc_info=result)
