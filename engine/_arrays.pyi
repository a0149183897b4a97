"""The values of one path as an array."""

from typing import Any

from engine._columns import Column

def column_array(column: Column, rows: Any) -> tuple[Any, int]:
    """A read-only NumPy array in the order of `rows` (row numbers in a buffer of uint32), and how many distinct values
    were malformed. Below requests, limits, capacity, allocatable, hard, used and overhead values are quantities: int64
    in milli-units, rounded up, no more than 64 bits hold, 0 when missing or malformed. Elsewhere int64 or float64 where
    all are numbers, else text and None. O(rows); a value is parsed once, not once per row."""
