"""What the sections of many objects have in common. Only compiled modules use it."""
