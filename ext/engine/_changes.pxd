from engine._batch cimport Batch
from engine._indexes cimport Indexes
from engine._rows cimport Rows
from engine._watchlog cimport WatchLog


cdef int change_rows(Batch batch) except -1
cdef int close_gaps(Rows rows, Indexes indexes, Py_ssize_t changes) noexcept
cdef int tell(WatchLog log, Batch batch, long long replaced) except -1
cdef Batch compare(Batch wanted)
