"""Changes on their way into a cache. Only compiled modules use it."""
