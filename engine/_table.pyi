"""Numbers by hash, and pointers by number. Only compiled modules use it."""
