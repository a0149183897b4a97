"""What a strict reader must know of JSON bytes that a parser into dicts forgets."""

def duplicate_fields(data: bytes) -> list[str]:
    """The paths of keys that occur twice in one object (`spec.replicas`, `spec.containers[0].name`), in document order;
    [] when there are none. `data` must be valid JSON. O(len(data)), no Python object per value."""

def splice_resource_version(data: bytes, resource_version: int) -> bytes:
    """The same object with `metadata.resourceVersion` set. `data` is compact JSON whose top-level "metadata" comes before
    any value with nested objects (as the storage layer writes it), with or without a version at its head."""
