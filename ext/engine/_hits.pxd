cimport cython
from engine._rows cimport Moment
from engine._store cimport Record, Store
from libc.stdint cimport uint32_t


@cython.final
@cython.no_gc
cdef class Hits:
    """Records that were found, held while views are made of them: that may run code of others, which may write."""

    cdef Store store
    cdef Record **records
    cdef Py_ssize_t count
    cdef Py_ssize_t room

    cdef int reserve(self, Py_ssize_t more) except -1
    cdef int add_rows(self, Moment *moment, const uint32_t *rows, Py_ssize_t count) except -1
    cdef int sort(self) except -1
    cdef void shrink(self, Py_ssize_t count) noexcept
    cdef list views(self, Py_ssize_t limit)
    cdef list keys(self)


cdef Hits new_hits(Store store)
