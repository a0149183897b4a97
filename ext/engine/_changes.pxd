from engine._batch cimport Batch
from engine._watchlog cimport WatchLog


cdef int change_rows(Batch batch) except -1
cdef int tell(WatchLog log, Batch batch, long long replaced) except -1
cdef Batch compare(Batch wanted)
