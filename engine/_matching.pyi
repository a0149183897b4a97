"""Objects, walked along templates. Only compiled modules use it."""
