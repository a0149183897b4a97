cimport cython
from engine._arena cimport Arena
from engine._store cimport Record, Store
from libc.stdint cimport uint32_t, uint64_t


cdef enum:
    SHARDS = 256  # each grows by itself: a pause concerns one of them
    SEGMENT_BITS = 8
    SEGMENT = 1 << SEGMENT_BITS  # slots: 2 KB


cdef extern from "Python.h":
    Py_hash_t hash_of "_Py_HashBytes" (const void *key, Py_ssize_t size) noexcept nogil
    # Of a str of ASCII alone, hash() says the same: such a key's own hash is used as it is.


cdef struct Shard:
    # Open addressing. A slot is 0 (free), or 16 bits of the hash above the 48 bits of a record's address; an entry
    # stands at its home, or behind it with no free slot between.
    uint64_t **segments  # of slots: the first slots of each; a shard of one segment has only the slots it needs
    uint32_t capacity  # slots
    uint32_t count


cdef struct Wanted:
    # One key of many that are looked up together.
    const char *key
    Py_ssize_t size
    Py_hash_t hash
    Record *found  # borrowed; NULL: not there


@cython.final
@cython.no_gc
cdef class KeyTable:
    """Records by key. Holds no count of them: `Rows` does."""

    cdef Store store
    cdef Arena arena  # for segments
    cdef Shard[SHARDS] shards
    cdef long long held  # bytes beside the arena

    cdef void expect(self, Py_hash_t hash) noexcept nogil
    cdef Record *guess(self, Py_hash_t hash) noexcept nogil
    cdef Record *find(self, const char *key, Py_ssize_t size, Py_hash_t hash) noexcept nogil
    cdef void find_many(self, Wanted *wanted, Py_ssize_t count) noexcept nogil
    cdef int reserve(self, Py_hash_t hash) except -1
    cdef void add(self, Record *record, Py_hash_t hash) noexcept
    cdef void exchange(self, Record *old, Record *new, Py_hash_t hash) noexcept
    cdef void remove(self, Record *record, Py_hash_t hash) noexcept
    cdef Py_hash_t hash_at(self, uint64_t slot) noexcept
    cdef bint resize(self, Shard *shard, uint32_t capacity) noexcept
    cdef bint allocate(self, Shard *shard, uint32_t capacity) noexcept
    cdef int empty(self, Shard *shard) noexcept
    cdef long long nbytes(self) noexcept
