"""The indexed store of one resource."""

import builtins
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, final

from engine._object import Object
from engine._selectors import FieldSelector, LabelSelector
from engine._snapshot import Snapshot as Snapshot
from engine._watchlog import WatchLog

EventType = Literal["ADDED", "MODIFIED", "DELETED"]
Item = Object | bytes | Mapping[str, Any]
IndexSource = str | Callable[[Object], Iterable[str]]

@final
class Cache:
    """Objects of one resource, indexed. One thread writes; others read snapshots.

    `indexes` maps a name to a path (`spec.nodeName`, `metadata.ownerReferences[0].uid`, `metadata.labels['a/b']`) or to
    a function that returns the values. The index "namespace" always exists, and labels are always indexed, every pair
    of them. `columns` are paths whose values are pulled out on the way in; a path that is a column or an index already
    costs nothing more as the other. With `log`, every change is appended to it once the rows and all indexes hold it,
    and the log's records are the cache's own.

    No object is held as a Python object: `get`, `list` and the rest make views over the rows when they are asked. A
    view keeps its version of the object, however the cache moves on, and outlives the cache.
    """

    def __init__(
        self,
        indexes: Mapping[str, IndexSource] | None = None,
        columns: Sequence[str] = (),
        log: WatchLog | None = None,
    ) -> None:
        """ValueError for a path that cannot be parsed, and for a log that holds records of another cache. An object
        without a value at a path is not in that index; an array puts it under each of its elements."""

    def apply(self, type: EventType, item: Item) -> Object | None:
        """Applies one change and returns the object that it replaced or removed. ADDED and MODIFIED both upsert.
        A DELETED item is the last state, stamped with the revision of the deletion; for an unknown key nothing happens.
        ValueError, with the object's key if it has one, for an item that is no object, whose name or namespace has a
        slash in it, or that an index function fails on: nothing is changed. RuntimeError from another thread than the
        one that wrote first, and in an index function that is asked by the same cache. Costs what the item's bytes and
        the indexes whose values change cost, whatever the cache holds."""

    def apply_batch(self, events: Iterable[tuple[EventType, Item]]) -> None:
        """All or none: an item that `apply` would reject rejects the batch, and readers see all of it or nothing. The
        log gets the changes in their order."""

    def replace(self, items: Iterable[Item], resource_version: int) -> None:
        """The whole content at once: readers see old or new. The log gets the deletions, then the upserts; an object
        whose resource version did not change is not logged."""

    def replacement(self, resource_version: int) -> Replacement: ...
    def get(self, key: str) -> Object | None: ...
    def get_many(self, keys: Iterable[str]) -> builtins.list[Object | None]:
        """In the order of `keys`. A fraction of the time that as many `get` take, when the rows are many: their waits
        for memory overlap."""

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
        selector that cannot be parsed. Costs what it returns for a namespace, for labels and for fields with an index
        or a column on their path; other fields look at every row of the range that meets the rest."""

    def by_index(self, name: str, value: str) -> builtins.list[Object]:
        """In key order. KeyError for an unknown index. Costs O(hits log hits)."""

    def index_keys(self, name: str, value: str) -> builtins.list[str]: ...
    def index_size(self, name: str, value: str) -> int:
        """How many objects have this value. O(1), for a namespace O(log objects + its rows / 512), for an array's
        elements O(arrays that have it)."""

    def index_values(self, name: str) -> builtins.list[str]:
        """Sorted."""

    def add_index(self, name: str, source: IndexSource) -> None:
        """On a live cache too: O(objects), each of which is decoded once. The same name with the same source is no
        change; with another, ValueError. When the function fails for an object, there is no new index."""

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
        """Every byte: records with what they share, rows, columns. Records that only views or the log hold count too.
        O(columns)."""

    def snapshot(self) -> Snapshot:
        """O(1): a read-only view of this moment that later writes do not change. As long as it lives, the first write
        to 256 rows that stand together copies 2 KB, and versions that it sees are kept."""

    def explain(
        self,
        namespace: str | None = None,
        label_selector: str | LabelSelector | None = None,
        field_selector: str | FieldSelector | None = None,
    ) -> str:
        """Which indexes a `list` would use, and how many rows it would look at, at most."""

    def stats(self) -> dict[str, int]:
        """`objects`; `bytes` and its parts: `record_bytes` (the objects themselves), `spare_bytes` (free blocks among
        them and what they share), `template_bytes` (what they have in common), `prefix_bytes` (of keys), `row_bytes`
        (hash table, order, directory), `column_bytes` (indexes, labels, columns). `columns` (distinct paths and
        functions, labels among them), `indexes` (names, "namespace" among them); `records` (versions held: rows, views,
        log, snapshots), `shapes`, `templates`, `snapshots`; `malformed` (distinct values in columns of quantities that
        are none, as of their last arrays); `resource_version`."""

@final
class Replacement:
    """A replace that arrives in pages; nothing is visible before `finish()`. Dropping it changes nothing."""

    def add(self, items: Iterable[Item]) -> None:
        """Encodes them, and asks the index functions: ValueError as from `apply`, and what came before the item that
        is refused stays."""

    def finish(self, resource_version: int = 0) -> None: ...
