"""The memory of one cache: objects as records. Only compiled modules use it."""

from typing_extensions import disjoint_base

@disjoint_base
class ColumnReader:
    """What a cache lends to views of its objects: the values at one path. Subclasses written in Python, which tests
    use, have a method `value(row: int, default: Any) -> Any`."""

def live() -> dict[str, int]:
    """What exists at this moment: `stores`, their `records` and `prefixes` of keys, and `views` over records. For tests
    that nothing leaks; what `engine._object.forget` lets go counts as well."""
