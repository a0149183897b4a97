"""The ring of changes of one resource, and the cursors that read it."""

from collections.abc import Callable
from typing import final

from engine._object import Object
from engine._ring import Event
from engine._selectors import FieldSelector, LabelSelector

class Expired(Exception):
    """The cursor fell off the end of the ring, or asked for history that is gone. Over HTTP: 410."""

@final
class WatchLog:
    """A ring of the last changes, bounded by time, count and bytes: the oldest record goes when it is older than
    `min_seconds` and room is needed, and always at `max_events` or `max_bytes`. Room is doubled while the oldest record
    is younger, and halved again when the newest quarter alone is older, or the rest is empty.

    A record takes 40 bytes and the packed object; nothing that the garbage collector walks. A log that was given to a
    Cache has its objects in the cache's memory. `max_bytes` counts what is held for the log's sake: with a Cache the
    older states and the deleted objects, else both states of each record."""

    def __init__(
        self,
        *,
        min_seconds: float = 75.0,
        max_events: int = 1_000_000,
        max_bytes: int = 1 << 30,
        resource_version: int = 0,
        clock: Callable[[], float] = ...,
    ) -> None:
        """`resource_version`: history starts after it; older cursors are Expired."""

    def append(self, type: str, object: Object, old: Object | None) -> None:
        """At the object's revision, or at the newest known if that is higher. O(size of the object) and what it wakes;
        O(1) for views of objects of the log. RuntimeError from another thread than the one that wrote first; ValueError
        for an object without metadata.name."""

    def advance(self, resource_version: int) -> None:
        """The log is complete up to this revision although nothing was appended."""

    def cursor(
        self,
        resource_version: int | None = None,
        *,
        namespace: str | None = None,
        label_selector: str | LabelSelector | None = None,
        field_selector: str | FieldSelector | None = None,
    ) -> Cursor:
        """Reads what comes after `resource_version` (None: from now). Raises Expired when that history is gone."""

    def expire(self) -> None:
        """Forgets all history: every cursor that is not at the end raises Expired. For relists and tests."""

    def close(self) -> None:
        """Wakes every parked cursor; `wait` returns at once from now on. What is in the ring is still handed out, then
        `next_batch` returns []. `closed` is then true."""

    @property
    def closed(self) -> bool: ...
    @property
    def resource_version(self) -> int: ...  # newest revision known
    @property
    def oldest(self) -> int: ...  # a cursor at a revision below this is Expired
    @property
    def nbytes(self) -> int:
        """Slots, kept Events and their lines, what cursors made the log file by value, and records: of a cache's memory
        those that count against `max_bytes` (what the cache shows as well is the cache's), else all its own.
        """
    def __len__(self) -> int: ...

@final
class Cursor:
    """A position in a WatchLog: a few words. An object that crosses the selector arrives as ADDED or DELETED
    (DELETED carries the previous object stamped with the event's revision)."""

    def next_batch(self, max_events: int = 1000) -> list[Event]:
        """What is there now, in order; [] when it is at the end. Never blocks. Raises Expired when it fell off."""

    async def wait(self) -> None:
        """Returns when `next_batch` may have something, or the log is closed. Woken by matching values only: a cursor
        on `spec.nodeName=n` sleeps through the events of other nodes, and does not expire meanwhile. One waiter at a
        time (RuntimeError otherwise)."""

    @property
    def resource_version(self) -> int: ...  # everything up to here was handed out
    @property
    def pending(self) -> int: ...  # records between the cursor and the end, before filtering
