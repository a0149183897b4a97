"""What the readers of a watch log select. Only compiled modules use it."""
