"""Times in seconds. Only compiled modules use it."""
