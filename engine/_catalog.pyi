"""The shapes and templates of one store. Only compiled modules use it."""
