"""The values of one path as an array. Only compiled modules use it."""
