cimport cython
from engine._record cimport Record
from engine._store cimport Store


@cython.final
cdef class Held:
    cdef Store store
    cdef Record *record  # one count is this one's; NULL before there is one
