"""What is learned of many objects. Only compiled modules use it."""
