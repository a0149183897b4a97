"""Memory for small blocks. Only compiled modules use it."""
