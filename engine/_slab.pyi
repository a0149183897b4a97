"""Memory of records. Only compiled modules use it."""
