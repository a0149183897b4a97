"""One moment of a cache."""

import builtins
from typing import final

from engine._object import Object
from engine._selectors import FieldSelector, LabelSelector

@final
class Snapshot:
    """One moment of a Cache; the same reading methods, without its indexes: selectors look at every row of the range.
    Works on when the cache is gone."""

    @property
    def resource_version(self) -> int: ...
    def get(self, key: str) -> Object | None:
        """O(log objects)."""

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
