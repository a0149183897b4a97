"""The indexed store of one resource."""

import builtins
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, final

from engine._object import Object
from engine._selectors import FieldSelector, LabelSelector
from engine._watchlog import WatchLog

EventType = Literal["ADDED", "MODIFIED", "DELETED"]
Item = Object | bytes | Mapping[str, Any]
IndexSource = str | Callable[[Object], Iterable[str]]

@final
class Cache:
    """Objects of one resource, indexed. One thread writes; others read snapshots.

    `indexes` maps a name to a path (`spec.nodeName`, `metadata.ownerReferences[0].uid`, `metadata.labels['a/b']`) or to
    a function that returns the values. The index "namespace" always exists. `columns` are paths whose values are pulled
    out on the way in. With `log`, every change is appended to it once the rows and all indexes hold it.
    """

    def __init__(
        self,
        indexes: Mapping[str, IndexSource] | None = None,
        columns: Sequence[str] = (),
        log: WatchLog | None = None,
    ) -> None:
        """ValueError for a path that cannot be parsed. An object without a value at a path is not in that index; an
        array puts it under each of its elements."""

    def apply(self, type: EventType, item: Item) -> Object | None:
        """Applies one change and returns the object that it replaced or removed. ADDED and MODIFIED both upsert.
        A DELETED item is the last state, stamped with the revision of the deletion; for an unknown key nothing happens.
        ValueError for an item that is no object or that an index function fails on: nothing is changed. RuntimeError
        from another thread than the one that wrote first."""

    def apply_batch(self, events: Iterable[tuple[EventType, Item]]) -> None:
        """All or none: an item that `apply` would reject rejects the batch."""

    def replace(self, items: Iterable[Item], resource_version: int) -> None:
        """The whole content at once: readers see old or new. The log gets the deletions, then the upserts; an object
        whose resource version did not change is not logged."""

    def replacement(self, resource_version: int) -> Replacement: ...
    def get(self, key: str) -> Object | None: ...
    def get_many(self, keys: Iterable[str]) -> builtins.list[Object | None]: ...
    def list(
        self,
        namespace: str | None = None,
        label_selector: str | LabelSelector | None = None,
        field_selector: str | FieldSelector | None = None,
        *,
        limit: int = 0,
        after: str = "",
    ) -> builtins.list[Object]:
        """In key order, of all namespaces for None or "". `after` is the last key of the page before. ValueError for a
        selector that cannot be parsed. Costs what it returns for a namespace, for labels asked for by value (`a=b`,
        `a in (b)`) and for fields with an index on their path; other selectors look at every row of the range."""

    def by_index(self, name: str, value: str) -> builtins.list[Object]:
        """KeyError for an unknown index. Costs O(hits)."""

    def index_keys(self, name: str, value: str) -> builtins.list[str]: ...
    def index_size(self, name: str, value: str) -> int:
        """How many objects have this value. O(1)."""

    def index_values(self, name: str) -> builtins.list[str]: ...
    def add_index(self, name: str, source: IndexSource) -> None:
        """On a live cache too. The same name with the same source is no change; with another, ValueError."""

    def column(self, path: str) -> Any:
        """A read-only NumPy array in key order, valid until the next write. Below requests, limits, capacity,
        allocatable, hard, used and overhead values are quantities: int64 in milli-units, 0 when missing. Elsewhere
        int64 or float64 where all are numbers, else text and None. KeyError for a path that is not declared."""

    def keys(self) -> builtins.list[str]: ...
    def __len__(self) -> int: ...
    def __contains__(self, key: object, /) -> bool: ...
    @property
    def resource_version(self) -> int: ...
    def advance(self, resource_version: int) -> None:
        """The cache is known to be current up to here (a bookmark, or a write to another resource)."""

    @property
    def nbytes(self) -> int:
        """Payload, rows and indexes. O(distinct indexed values)."""

    def snapshot(self) -> Snapshot:
        """O(1): a read-only view of this moment that later writes do not change."""

    def explain(
        self,
        namespace: str | None = None,
        label_selector: str | LabelSelector | None = None,
        field_selector: str | FieldSelector | None = None,
    ) -> str:
        """Which indexes a `list` would use, and how many objects it would look at."""

    def stats(self) -> dict[str, int]: ...

@final
class Snapshot:
    """One moment of a Cache; the same reading methods."""

    @property
    def resource_version(self) -> int: ...
    def get(self, key: str) -> Object | None: ...
    def list(
        self,
        namespace: str | None = None,
        label_selector: str | LabelSelector | None = None,
        field_selector: str | FieldSelector | None = None,
        *,
        limit: int = 0,
        after: str = "",
    ) -> builtins.list[Object]: ...
    def keys(self) -> builtins.list[str]: ...
    def __len__(self) -> int: ...

@final
class Replacement:
    """A replace that arrives in pages; nothing is visible before `finish()`. Dropping it changes nothing."""

    def add(self, items: Iterable[Item]) -> None: ...
    def finish(self, resource_version: int = 0) -> None: ...
