"""Records in the hand of Python: for tests and benchmarks of what rows and logs do with them."""

from collections.abc import Mapping
from typing import Any, final

from engine._object import Object
from engine._store import ColumnReader

@final
class Held:
    """Holds one record: the item encoded by the store of `like`, with `like` as hint, or by a store of its own."""

    def __init__(self, item: Object | bytes | Mapping[str, Any], like: Held | None = None) -> None: ...
    def view(self) -> Object: ...
    def bind(self, obj: Object) -> None:
        """`obj`, of which this was just encoded, becomes a view of it."""

    def put(self, row: int, columns: dict[str, ColumnReader]) -> None:
        """It is the current one of a row, whose columns are lent to views."""

    def remove(self) -> None:
        """It is in no row any more."""

    @property
    def holders(self) -> int: ...
