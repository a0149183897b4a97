cimport cython
from cpython.object cimport PyObject
from engine._json cimport Slice
from engine._slab cimport Slab
from libc.stdint cimport int64_t, uint32_t


cdef enum:
    MAX_KEY = 16384  # bytes of namespace/name
    MAX_REST = 255  # bytes of a key behind its prefix
    MAX_REVISION_DIGITS = 18  # always fit 64 bits


cdef struct Prefix:
    # The beginning that keys share: "namespace/", or that and the beginning of a name. Counted by the records under it.
    uint32_t number
    uint32_t refs
    uint32_t size
    uint32_t namespace_size  # 0: cluster-scoped; else the "/" stands at text[namespace_size]
    PyObject *namespace  # the str, owned; shared by all prefixes of the namespace
    Prefix *next  # in its bucket
    char text[1]


cdef long long PREFIXES  # that exist at this moment, of all stores


@cython.final
@cython.no_gc
cdef class Keys:
    """The prefixes of one store's keys."""

    cdef Slab slab  # for prefixes
    cdef Prefix **prefixes  # by number; a free number holds the next free one, shifted left, and a 1
    cdef uint32_t count  # of numbers ever given
    cdef uint32_t capacity
    cdef uint32_t free_number  # the first, or NO_NUMBER
    cdef Prefix **buckets
    cdef Prefix **guesses  # by how they end: the prefix that a key is likely to begin with, as many as buckets
    cdef uint32_t bucket_mask  # of both
    cdef uint32_t held
    cdef long long bytes

    cdef Prefix *take(self, const char *key, Py_ssize_t size, Py_ssize_t namespace_size, Py_ssize_t length,
                      bint is_shared) except NULL
    cdef int expect(self, const char *key, Py_ssize_t size) noexcept nogil
    cdef Prefix *find(self, const char *text, Py_ssize_t size) noexcept
    cdef Prefix *add(self, const char *text, Py_ssize_t size, Py_ssize_t namespace_size) except NULL
    cdef int widen(self) except -1
    cdef Prefix **guess_of(self, const Prefix *prefix) noexcept nogil
    cdef int rebucket(self) except -1
    cdef int drop(self, Prefix *prefix) noexcept


cdef Py_ssize_t stem_of(const char *key, Py_ssize_t size, Py_ssize_t namespace_size) noexcept nogil
cdef Slice text_of(Slice value) noexcept nogil
cdef int64_t revision_of(Slice value) noexcept nogil
cdef int64_t number_of(Slice digits) noexcept nogil
cdef Py_ssize_t peek_key(const char *data, Py_ssize_t size, char *out, Py_ssize_t room) noexcept nogil
cdef uint32_t hash_of(const char *text, Py_ssize_t size) noexcept nogil
