"""Rows in key order, shared with snapshots until they change. Only compiled modules use it."""
