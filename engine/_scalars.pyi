"""JSON's strings, numbers and literals: what compiled modules ask of a single value, as strict as engine._scan."""

def scalar_end(data: bytes) -> int | None:
    """The offset behind the string, number or literal that `data` begins with, None when there is no valid one."""
