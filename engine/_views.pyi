"""JSON values that can only be read: what an Object hands out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, final, overload

@final
class MapView(Mapping[str, Any]):
    """A JSON object that can only be read. Equal to the dict of the same content."""

    def __getitem__(self, key: str, /) -> Any: ...
    def get(self, key: str, default: Any = None, /) -> Any: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def to_dict(self) -> dict[str, Any]:
        """A fresh, editable copy; `copy.deepcopy` gives the same."""

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]: ...

@final
class ListView(Sequence[Any]):
    """A JSON array that can only be read. Equal to the list of the same content."""

    @overload
    def __getitem__(self, index: int, /) -> Any: ...
    @overload
    def __getitem__(self, index: slice, /) -> ListView: ...
    def __len__(self) -> int: ...
    def to_list(self) -> list[Any]:
        """A fresh, editable copy; `copy.deepcopy` gives the same."""

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]: ...
