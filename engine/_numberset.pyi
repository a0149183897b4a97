"""Sets of row and value numbers. Only compiled modules use it."""
