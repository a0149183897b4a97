from engine._columns cimport Column
from engine._path cimport Path
from libc.stdint cimport uint32_t


# A column as a read-only NumPy array, `rows` giving the order. O(rows); a value is parsed once, not once per row.
cdef object array_of(Column column, const uint32_t *rows, Py_ssize_t count)
