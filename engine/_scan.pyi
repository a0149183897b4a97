"""One strict pass over JSON bytes (RFC 8259). Compiled modules read its tape of tokens; here is what Python can ask.

A document is refused, with ValueError and the offset, when it is no JSON, has a key twice in one object (told as a
path), is nested deeper than 1,024 levels, has a number beyond a double or an integer of more than 4,300 digits.
"""

from typing import Literal

def count_tokens(data: bytes) -> int:
    """How many tokens (keys, values and containers) the document has. O(len(data))."""

def tokens(
    data: bytes,
) -> list[tuple[Literal["KEY", "STRING", "NUMBER", "LITERAL", "OBJECT", "ARRAY"], int, int, int, bool]]:
    """The tape in document order: kind, offsets of the text (keys and strings without their quotes, containers with
    their brackets), number of the first token behind it (of a key: its value's), whether it has a backslash."""

def find(data: bytes, steps: tuple[bytes | int, ...]) -> int:
    """Number of the token that the steps lead to (a member's name as it stands between quotes, an element's number); -1
    when there is none. Keys match by what they spell."""
