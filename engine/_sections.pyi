"""Sections in few bytes. Only compiled modules use it."""
