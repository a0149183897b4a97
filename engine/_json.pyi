"""What a strict reader must know of JSON bytes that a parser into dicts forgets."""

from typing import Any

def loads(data: bytes) -> Any:
    """The parsed form. Integers stay integers, up to 4,300 digits. ValueError with the offset when it is no JSON or has
    a number beyond a double or longer than that."""

def duplicate_fields(data: bytes) -> list[str]:
    """The paths of keys that occur twice in one object (`spec.replicas`, `spec.containers[0].name`), in document order
    and each once: the first 100, as the API server tells them; [] when there are none. ValueError with the offset when
    it is no JSON. O(len(data)), no Python object per value."""

def without_managed_fields(data: bytes) -> bytes:
    """The same object without `metadata.managedFields`; `data` itself when it has none. `data` must be valid JSON.
    O(offset of the member) and one copy."""

def splice_resource_version(data: bytes, resource_version: int) -> bytes:
    """The same object with `metadata.resourceVersion` set. ValueError when there is no "metadata" object. O(offset of
    "metadata") and one copy."""
