cimport cython
from engine._batch cimport Batch
from engine._indexes cimport Index, Indexes
from engine._query cimport Query
from engine._rows cimport Rows
from engine._store cimport Record, Store
from engine._watchlog cimport WatchLog


@cython.final
@cython.no_gc_clear  # __dealloc__ takes its columns back from the store; whatever refers back to a cache can be cleared
cdef class Cache:
    # The content: records, their places, and the columns over them.
    cdef Store store
    cdef Rows rows
    cdef Indexes indexes
    cdef readonly long long resource_version
    # Declared columns: path -> array, or None until it is asked for after a write.
    cdef dict columns
    cdef bint arrays  # whether one of them is there
    cdef dict malformed  # path -> distinct values that were no quantity when the array was made
    cdef WatchLog log
    # The thread that writes, 0 before the first write, and whether it is about it.
    cdef unsigned long writer
    cdef bint writing

    cdef int begin(self) except -1
    cdef Batch batch(self)
    cdef int add_source(self, str name, object source) except -1
    cdef int make(self, Batch batch) except -1
    cdef int make_known(self, Batch batch) except -1
    cdef int swap(self, Batch gone, Batch wanted, long long resource_version) except -1
    cdef int settle(self, Batch batch) except -1
    cdef Record *find(self, str key) except? NULL
    cdef int get_block(self, list keys, Py_ssize_t first, Py_ssize_t count, list found) except -1
    cdef bint has_no_namespace(self) noexcept
    cdef Query having(self, str name, str value)
    cdef object array(self, Index index)


@cython.final
cdef class Replacement:
    cdef Cache cache
    cdef Batch batch
    cdef long long revision
    cdef bint finished
