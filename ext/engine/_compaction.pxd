from engine._indexes cimport Indexes
from engine._rows cimport Rows


# What changes left behind closes up, a little for each of so many changes. Nothing moves while there is a snapshot.
cdef int compact_records(Rows rows, Py_ssize_t changes) noexcept
cdef int close_gaps(Rows rows, Indexes indexes, Py_ssize_t changes) noexcept
