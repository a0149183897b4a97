"""The benchmark suite: realistic objects, and what the core is measured by."""
