"""The rows of a cache: by key, by number and in key order, shared with snapshots. Only compiled modules use it."""
