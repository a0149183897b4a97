"""What an object's siblings tell of it. Only compiled modules use it."""
