"""Objects that fit nothing known. Only compiled modules use it."""
