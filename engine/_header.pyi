"""What every table asks of an object, from its bytes. Only compiled modules use it."""
