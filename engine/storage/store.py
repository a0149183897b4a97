"""The contract of a store: one counter, preconditions on every write, and a cache and a watch log per resource."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from engine._cache import Cache
from engine._object import Object
from engine._watchlog import WatchLog
from engine.api.resource import Resource

EMPTY = 0  # `expected` for an object that must not exist


class StorageError(Exception):
    """The store could not make a write durable (disk full, connection lost): nothing of that write is visible."""


class IncompatibleData(StorageError):
    """The data directory is damaged, was written by another version of the format, or is held by another process."""


@dataclass(frozen=True, slots=True)
class Write:
    """One change of one object.

    `document` is the new state (for a delete: the last state) and belongs to the store from now on; the store writes
    `metadata.resourceVersion`. `expected` is the revision that the object must stand at, EMPTY when it must not exist.
    """

    resource: Resource
    key: str
    document: dict[str, Any]
    expected: int
    delete: bool = False


@dataclass(frozen=True, slots=True)
class Conflict:
    """A write whose precondition failed; `current` is the newest version, pending writes included, None for none."""

    current: Object | None


@dataclass(frozen=True, slots=True)
class Table:
    """What one resource's readers share, read-only: the cache, and the log that tells its changes."""

    cache: Cache
    log: WatchLog


class Store(Protocol):
    """Where objects live. One asyncio loop owns it.

    Nothing is acknowledged, readable or watchable before it is durable. Caches and logs change in the order of
    revisions, a group at a time: rows and indexes first, then the log, then the writers' answers.
    """

    async def start(self) -> None:
        """Opens and loads everything. Raises IncompatibleData, StorageError."""

    async def close(self) -> None:
        """Waits until every accepted write is durable, then lets go."""

    @property
    def revision(self) -> int:
        """The revision up to which every cache and log is complete."""

    def table(self, resource: Resource) -> Table:
        """KeyError for a resource the store was not made for."""

    def newest(self, resource: Resource, key: str) -> Object | None:
        """The newest version, writes that are not durable yet included: what a read-modify-write starts from."""

    async def commit(self, writes: Sequence[Write]) -> list[Object | Conflict]:
        """Checks and makes durable each write by itself, all in one group, in order; answers when all are durable and
        visible. A write's object is the stored one. Raises StorageError when the group could not be stored. Embedded
        stores check preconditions before the first suspension, so a check made just before a call still holds in it.
        """
