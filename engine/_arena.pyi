"""Blocks of one size, in huge pages where many are needed. Only compiled modules use it."""
