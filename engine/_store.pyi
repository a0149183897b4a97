"""The memory of one cache: objects as records. Only compiled modules use it."""
