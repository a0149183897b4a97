"""The object that is being encoded. Only compiled modules use it."""
