cimport cython


cdef struct Place:
    Py_ssize_t chunk
    Py_ssize_t row


@cython.final
cdef class Chunk:
    """A run of rows: `values[i]` belongs to `keys[i]`, keys ascend."""

    cdef list keys
    cdef list values
    cdef long long owner  # the epoch of the Rows that may change it in place


@cython.final
cdef class Rows:
    """A sorted map of str, in chunks, that can be forked in O(1): a writer copies what it touches, once."""

    cdef list chunks  # in key order; none is empty
    cdef list lows  # lows[i] <= every key of chunks[i], > every key of chunks[i-1]
    cdef readonly Py_ssize_t count
    cdef long long epoch
    cdef bint shared  # `chunks` and `lows` are seen by a fork as well

    cdef Rows fork(self)
    cdef int own(self) except -1
    cdef Chunk own_chunk(self, Py_ssize_t at)
    cdef Py_ssize_t chunk_of(self, str key) noexcept
    cdef int split(self, Py_ssize_t at, Chunk chunk) except -1
    cdef object find(self, str key)
    cdef int put(self, str key, object value) except -1
    cdef int remove(self, str key) except -1
    cdef Place seek(self, str key, bint behind)
    cdef list between(self, Place start, Place end, Py_ssize_t limit, bint keys)
