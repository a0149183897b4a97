"""What changes leave behind closes up. Only compiled modules use it."""
