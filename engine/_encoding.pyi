"""From JSON bytes to packed sections. Only compiled modules use it."""
