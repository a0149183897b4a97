"""Interface of the shared informer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine._cache import Cache, IndexSource
from engine._object import Object
from engine._watchlog import WatchLog
from engine.api.resource import Resource
from engine.client.client import Client


@dataclass(frozen=True, slots=True)
class Change:
    """What a consumer is told: `initial` marks the objects that were there when it subscribed. A DELETED change found
    by a relist carries the last known state (`tombstone`)."""

    type: str  # ADDED, MODIFIED, DELETED
    key: str
    object: Object
    old: Object | None = None
    initial: bool = False
    tombstone: bool = False


class Subscription:
    """One consumer's place: a cursor over the informer's log, preceded by the content at subscription."""

    def next_batch(self, max_changes: int = 1000) -> list[Change]:
        """What is there now; [] when nothing. Never blocks. Falling off the log is healed here: the difference to what
        this consumer last saw comes instead, deletions included."""
        raise NotImplementedError

    async def wait(self) -> None:
        """Returns when `next_batch` may have something, or the informer stopped."""
        raise NotImplementedError

    @property
    def synced(self) -> bool:
        """True once every object of the initial list was handed out."""
        raise NotImplementedError


class Informer:
    """A local cache of one resource (optionally one namespace, one selector), kept current by list and watch.

    Over HTTPS a reflector feeds its own Cache and WatchLog; where the transport lends the server's (`shared`), those are
    read and nothing runs.
    """

    resource: Resource
    cache: Cache
    log: WatchLog

    async def run(self) -> None:
        """Until cancelled. Backs off on errors, never gives up."""
        raise NotImplementedError

    async def synced(self) -> None:
        """Returns when the first list is in the cache."""
        raise NotImplementedError

    def add_index(self, name: str, source: IndexSource) -> None:
        raise NotImplementedError

    def subscribe(self) -> Subscription:
        raise NotImplementedError


class Informers:
    """Informers of one client, one per (resource, namespace, selectors), shared by whoever asks."""

    def __init__(self, client: Client) -> None:
        raise NotImplementedError

    def get(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        indexes: Mapping[str, IndexSource] = {},
    ) -> Informer:
        raise NotImplementedError

    async def start(self) -> None:
        """Runs every informer asked for so far and returns when all are synced."""
        raise NotImplementedError

    async def stop(self) -> None:
        raise NotImplementedError
