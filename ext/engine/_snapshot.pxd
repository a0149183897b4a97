cimport cython
from engine._rows cimport Fork
from engine._store cimport Store


@cython.final
@cython.no_gc
cdef class Snapshot:
    cdef Store store
    cdef Fork fork
    cdef readonly long long resource_version


cdef Snapshot new_snapshot(Store store, Fork fork, long long resource_version)
