cimport cython
from engine._columns cimport Column
from engine._numberset cimport NumberSet
from engine._selectors cimport LabelSelector, Operator, Requirement, Term
from libc.stdint cimport uint32_t


@cython.final
cdef class RowBuffer:
    """Row numbers, in memory that is used again and again."""

    cdef uint32_t *rows
    cdef readonly Py_ssize_t size
    cdef Py_ssize_t capacity

    cdef int reserve(self, Py_ssize_t more) except -1
    cpdef list as_list(self)


@cython.final
cdef class Selection:
    """The rows of a column that meet one condition: a label selector, a field term, an index value. Made from the
    column as it is; any write to the column ends it."""

    cdef Column column
    cdef readonly long long rows  # that `collect` looks at: what it costs
    cdef readonly bint exact  # and all of them meet the condition

    cdef bint holds(self, uint32_t row) except -1  # O(terms); no object is read
    cdef int collect(self, RowBuffer into) except -1  # appends the rows that meet it, in no order: O(rows)


# None of these reads an object. A column over metadata.labels answers label selectors; any other path's column answers
# field terms on that path and index values; a function's column index values.
cpdef Selection select_labels(Column column, LabelSelector selector)
cpdef Selection select_field(Column column, str value, bint equal)
cpdef Selection select_value(Column column, str value)  # `rows` of it is index_size, O(1) for a scalar path

# Rows that meet all of them (at least one): from the smallest, the others checked row by row. Replaces what is in
# `into`; the return value is the place of the smallest in `selections`.
cdef Py_ssize_t smallest(list selections) except -1
cpdef int gather(list selections, RowBuffer into) except -1

cpdef list distinct_values(Column column)  # index_values: sorted; O(distinct values)
