cimport cython
from engine._store cimport Record, Store


@cython.final
cdef class Held:
    cdef Store store
    cdef Record *record  # one count is this one's; NULL before there is one
