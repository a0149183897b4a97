"""Shapes with the values that siblings share. Only compiled modules use it."""
