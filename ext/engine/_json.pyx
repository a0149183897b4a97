"""What a strict reader must know of JSON bytes that a parser into dicts forgets."""
