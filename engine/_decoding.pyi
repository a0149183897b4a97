"""From packed sections back to JSON bytes. Only compiled modules use it."""
