"""Lower-case hexadecimal digits and UUIDs in half their bytes. Only compiled modules use it."""
