"""What a strict reader must know of JSON bytes that a parser into dicts forgets."""

from typing import Any

def loads(data: bytes) -> Any:
    """The parsed form. Integers of any size stay integers. ValueError with the offset when it is no JSON."""

def duplicate_fields(data: bytes) -> list[str]:
    """The paths of keys that occur twice in one object (`spec.replicas`, `spec.containers[0].name`), in document order;
    [] when there are none. `data` must be valid JSON. O(len(data)), no Python object per value."""

def splice_resource_version(data: bytes, resource_version: int) -> bytes:
    """The same object with `metadata.resourceVersion` set. ValueError when there is no "metadata" object. O(offset of
    "metadata") and one copy."""
