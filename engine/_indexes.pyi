"""The columns of a cache and what fills them. Only compiled modules use it."""
