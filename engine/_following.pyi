"""Objects that are packed as their hint is. Only compiled modules use it."""
