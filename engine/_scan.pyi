"""One strict pass over JSON bytes (RFC 8259); compiled modules take its tape of tokens, Python its verdict."""

def count_tokens(data: bytes) -> int:
    """How many tokens (keys, values and containers) the document has. ValueError with the offset when it is no JSON, has
    a key twice in one object (told as a path), is nested deeper than 1,024 levels, has a number beyond a double or an
    integer of more than 4,300 digits. O(len(data))."""
