"""Sections of objects against templates. Only compiled modules use it."""
