from engine._columns cimport Column
from libc.stdint cimport uint32_t


# A column as a read-only NumPy array in the order of `rows`, and how many distinct values were malformed (see
# _arrays.pyi). O(rows); a value is parsed once, not once per row.
cdef tuple array_of(Column column, const uint32_t *rows, Py_ssize_t count)
