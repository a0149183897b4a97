"""What values of a column are found by. Only compiled modules use it."""
