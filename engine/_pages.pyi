"""Memory of arrays that become large. Only compiled modules use it."""
