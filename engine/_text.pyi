"""Texts by a fixed prefix code. Only compiled modules use it."""
