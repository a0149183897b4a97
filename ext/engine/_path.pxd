cimport cython


@cython.final
cdef class Path:
    cdef readonly str text
    cdef tuple steps  # str for a member, int for an element
    cdef tuple raw_steps  # the same with bytes for str; None when a member's name is written with escapes

    cdef object find(self, object document, object default)


cdef Path path_of(str text)
