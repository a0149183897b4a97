"""The view of one object, and paths into it."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, final

_T = TypeVar("_T")

@final
class Object:
    """An immutable view of one Kubernetes object: over a record of a cache, or over its own JSON bytes.

    Its version of the object lives on when the cache has a newer one or is gone. Decodes lazily and once, however many
    readers share the view; parsed forms and decoded bytes are kept for the objects read last, within a fixed number of
    bytes, others are decoded again. Everything it hands out is read-only: nested objects are Mapping views, arrays are
    Sequence views. Equal when the bytes are equal.
    """

    def __init__(self, raw: bytes | Mapping[str, Any]) -> None:
        """From JSON bytes (kept as they are) or from a dict (encoded once). ValueError when it is no JSON object; of a
        key that occurs twice the last one is read. One strict pass, nothing is parsed into dicts."""

    @staticmethod
    def adopt(raw: bytes, document: dict[str, Any]) -> Object:
        """A view over `raw` whose parsed form the caller has and gives up: nobody may change `document` again."""

    @property
    def key(self) -> str: ...  # "namespace/name", or "name" when there is no namespace
    @property
    def name(self) -> str: ...
    @property
    def namespace(self) -> str: ...  # "" when cluster-scoped
    @property
    def uid(self) -> str: ...
    @property
    def resource_version(self) -> int: ...  # 0 when absent
    @property
    def generation(self) -> int: ...  # 0 when absent
    @property
    def kind(self) -> str: ...
    @property
    def api_version(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def annotations(self) -> Mapping[str, str]: ...
    @property
    def owner_references(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def finalizers(self) -> Sequence[str]: ...
    @property
    def deletion_timestamp(self) -> str | None: ...
    @property
    def raw(self) -> bytes:
        """The exact JSON bytes."""

    def __getitem__(self, key: str, /) -> Any: ...
    def __contains__(self, key: object, /) -> bool: ...
    def get(self, key: str, default: Any = None) -> Any: ...
    def get_path(self, path: str, default: Any = None) -> Any:
        """The value at `spec.nodeName`, `metadata.labels['a/b']`, `spec.containers[0].image`; `default` when missing.
        ValueError for a path that cannot be parsed. Mappings and sequences come as read-only views. O(1) for a declared
        column of the current version; else one pass over the bytes before the value, unless the object is parsed."""

    def to_dict(self) -> dict[str, Any]:
        """A fresh, editable copy."""

    def peek(self) -> dict[str, Any]:
        """The shared parsed form itself, for readers inside the engine that promise not to change it: no copy, no view.
        The objects read last keep it; another is parsed again."""

    def decode(self, type: type[_T]) -> _T:
        """The object as a msgspec type."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

def forget() -> None:
    """Lets go of the parsed forms that are kept. For tests, and for who needs the memory back."""
