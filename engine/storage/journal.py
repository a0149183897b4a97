"""The contract between the embedded store and what makes its writes durable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from engine._object import Object
from engine.api.resource import Resource

if TYPE_CHECKING:
    from engine._cache import EventType


@dataclass(slots=True)
class Record:
    """One accepted write, on its way to the journal, the cache and the log."""

    resource: Resource
    key: str
    type: EventType
    object: Object  # for DELETED: the last state, stamped with the deletion's revision
    revision: int


class Journal(Protocol):
    """Keeps objects over restarts. One store uses it, one call at a time; `commit` may run in a thread."""

    durable: bool  # False: nothing outlives the process, and `commit` costs nothing

    def open(self) -> int:
        """Makes ready; the newest revision that was ever committed. Raises IncompatibleData, StorageError."""

    def load(self, resource: Resource) -> Iterator[list[bytes]]:
        """All objects of a resource, in pages."""

    def commit(self, records: Sequence[Record]) -> None:
        """All of them or, with an exception, none. They are durable on return. Revisions ascend, over calls too."""

    def close(self) -> None: ...


class MemoryJournal:
    """Keeps nothing: for tests, and for whoever chose speed over durability in so many words."""

    durable = False

    def open(self) -> int:
        return 0

    def load(self, resource: Resource) -> Iterator[list[bytes]]:
        return iter(())

    def commit(self, records: Sequence[Record]) -> None:
        pass

    def close(self) -> None:
        pass
