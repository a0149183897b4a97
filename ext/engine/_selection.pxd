cimport cython
from engine._columns cimport NO_VALUE, Column
from engine._selectors cimport LabelSelector, Requirement
from engine._terms cimport Members
from libc.stdint cimport uint32_t


@cython.final
cdef class RowBuffer:
    """Row numbers, in memory that is used again and again."""

    cdef uint32_t *rows
    cdef readonly Py_ssize_t size
    cdef Py_ssize_t capacity

    cdef int reserve(self, Py_ssize_t more) except -1
    cdef int clear(self) except -1
    cpdef list as_list(self)


cdef struct Check:
    # A value meets it when it is one of the members, or none of them. Members are values' numbers: no object is read.
    bint negative
    uint32_t first  # in `members`
    uint32_t size
    long long count  # of all members
    int requirement  # one of GREATER or LESS that its members' texts decide, by its place in the selector; -1: none


@cython.final
cdef class Selection:
    """The rows of a column that meet one condition: a label selector, a field term, an index value. Any write to the
    column ends it."""

    cdef Column column
    cdef list requirements  # of the label selector
    cdef Members *members
    cdef Check *checks  # the one with the fewest members first, the negative ones last
    cdef uint32_t member_count
    cdef uint32_t check_count
    # The values that meet all checks, when they are few and a check is not negative.
    cdef uint32_t *accepted
    cdef uint32_t accepted_count
    cdef readonly bint exact  # `accepted` is known, and `rows` is the number of rows that meet the condition
    cdef readonly long long rows  # that `collect` looks at: about, unless exact

    cdef bint holds(self, uint32_t row) except -1  # O(checks)
    cdef int collect(self, RowBuffer into) except -1  # appends the rows that meet it, in no order: O(rows)

    # Inside.
    cdef int expect(self, bint negative, int requirement, tuple terms) except -1
    cdef int admit(self, uint32_t number) except -1
    cdef int widen_members(self) except -1
    cdef int settle(self, long long most) except -1
    cdef bint compares(self, uint32_t number) except -1
    cdef bint meets(self, uint32_t number) except -1
    cdef uint32_t sift(self, uint32_t *candidates) except? NO_VALUE
    cdef bint is_among(self, const Check *check, uint32_t number) except -1
    cdef uint32_t *candidates(self) except NULL
    cdef int append_rows(self, RowBuffer into, uint32_t number) except -1


# None of these reads an object. A column over metadata.labels answers label selectors; any other path's column answers
# field terms on that path and index values; a function's column index values.
cpdef Selection select_labels(Column column, LabelSelector selector)
cpdef Selection select_field(Column column, str value, bint equal)
cpdef Selection select_value(Column column, str value)  # always exact: `rows` is the index's size, O(1) for scalars

# Rows that meet all selections (one at least): from the smallest, the others checked row by row. Replaces what is in
# `into`. `smallest` is the place of that selection.
cdef Py_ssize_t smallest(list selections) except -1
cpdef int gather(list selections, RowBuffer into) except -1

cpdef list distinct_values(Column column)  # sorted; O(distinct values)
