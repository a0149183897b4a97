"""Records by key. Only compiled modules use it."""
