"""What a query found, in key order. Only compiled modules use it."""
