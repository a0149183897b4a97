"""Keys of objects, which share their beginnings. Only compiled modules use it."""
