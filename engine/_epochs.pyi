"""Which moments of the rows snapshots look at. Only compiled modules use it."""
