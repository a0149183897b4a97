cimport cython
from engine._object cimport Object
from engine._path cimport Path


cdef enum Operator:
    IN  # "=" too
    NOT_IN  # "!=" too
    EXISTS
    ABSENT
    GREATER
    LESS


@cython.final
cdef class Requirement:
    cdef str key
    cdef Operator operator
    cdef tuple values
    cdef long long number  # what GREATER and LESS compare with

    cdef bint holds(self, dict labels) except -1


@cython.final
cdef class LabelSelector:
    cdef readonly tuple requirements
    cdef list terms  # the same, as Requirement

    cdef bint selects(self, Object obj) except -1


@cython.final
cdef class Term:
    cdef Path path
    cdef bint equal
    cdef str value


@cython.final
cdef class FieldSelector:
    cdef readonly tuple requirements
    cdef list terms  # the same, as Term

    cdef bint selects(self, Object obj) except -1


cdef str text_of_field(object value)
cdef LabelSelector label_selector_of(object selector)
cdef FieldSelector field_selector_of(object selector)
