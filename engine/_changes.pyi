"""What becomes of a batch of changes. Only compiled modules use it."""
