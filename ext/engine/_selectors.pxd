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


cdef enum TermKind:
    # The first byte of a term, which is what values are found by in a column.
    HAS_LABEL = 1  # then the label's key
    LABEL  # the key, BETWEEN, the value
    FIELD  # how selectors see a scalar (see field_text); a string without escapes needs no term
    ELEMENT  # the same of each element of an array
    BLANK  # null, an object, an array: a field selector sees ""
    BETWEEN = 0xFF  # occurs in no UTF-8


@cython.final
cdef class Requirement:
    cdef str key
    cdef Operator operator
    cdef tuple values
    cdef long long number  # what GREATER and LESS compare with
    # The same as terms: HAS_LABEL, and a LABEL for each value of IN and NOT_IN.
    cdef bytes presence
    cdef tuple alternatives

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
cdef bytes term_of(TermKind kind, bytes text)
cdef bytes label_term(bytes key, bytes value)
