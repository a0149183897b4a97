"""The last changes of one resource, and the Events that readers share."""

from typing import final

from engine._object import Object

@final
class Event:
    """One change as a reader sees it, made when the first one asks; all readers of a log are handed the same Event
    while it is among the last 16,384 made and their lines fit 32 MB. Properties are made when first asked for."""

    @property
    def type(self) -> str: ...  # ADDED, MODIFIED, DELETED
    @property
    def key(self) -> str: ...
    @property
    def revision(self) -> int: ...
    @property
    def object(self) -> Object: ...  # for DELETED: the last state, stamped with the deletion's revision
    @property
    def old(self) -> Object | None: ...
    @property
    def encoded(self) -> bytes:
        """`{"type":…,"object":…}` and a newline; made once, shared by all readers of the same type."""
