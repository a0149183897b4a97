cimport cython
from cpython.object cimport PyObject
from engine._json cimport Slice
from engine._path cimport Path
from engine._table cimport Places, Table
from engine._terms cimport Terms, ValueTexts
from libc.stdint cimport uint32_t, uint64_t


cdef enum:
    # Numbers of values, as they stand in `ids`.
    ABSENT = 0  # of the rows that have nothing at the path
    SINGLE = 0x80000000  # and the row's number: the value that this row alone has
    NO_VALUE = 0xFFFFFFFF  # of a row that is not in the column
    NO_LINK = 0xFFFFFFFF  # the end of a list of rows
    MAX_ROWS = 0x7FFFFFFF


cdef class Texts:
    """Where a column reads again what it did not copy: the values that only one row has."""

    cdef bytes kept  # what the default returned last

    # The raw JSON at the column's path in the current version of `row`, valid until the next call; a start of NULL:
    # nothing there, or no such row. Compiled subclasses override this; the default asks the method `text` of a Python
    # subclass.
    cdef Slice text_of(self, uint32_t row) except *


cdef struct Value:
    # A value that several rows have, or any value of a column without Texts. ABSENT is one too, for its list of rows.
    uint64_t hash
    uint32_t rows  # how many have it
    uint32_t head  # the first of them
    uint32_t size  # of the text, bytes
    char text[1]  # raw JSON


cdef struct Neighbours:
    uint32_t next
    uint32_t previous


cdef union Link:
    Neighbours among  # the rows of the same value
    uint64_t hash  # of a SINGLE value


cdef enum Kind:
    NOTHING  # the value is as before
    MOVE
    REMOVAL
    SHIFT


cdef struct Change:
    # What `stage` prepared and `commit` does.
    Kind kind
    uint32_t row
    uint32_t number  # the value it gets
    uint32_t sibling  # the row whose SINGLE value becomes a shared one; NO_LINK: none. Of a SHIFT: the row it was
    uint64_t hash


@cython.final
cdef class Column(ValueTexts):
    """What stands at one path (or what a function found), by row, and the rows by value.

    A write is staged, which can fail and has changed nothing then, and committed, which cannot fail, or cancelled. With
    a change staged, only `commit` and `cancel` may be called. `text_of(row)` must give the old version of the row until
    `stage` returned, and the new one when the column is used next after `commit`; the text that `stage` got is needed
    no longer when it returned. Numbers of values, and what is derived from them, are valid until the next write.
    """

    cdef readonly Path path  # None: a function's values
    cdef readonly bint labels  # a value is a map of labels; else a scalar, or an array of them
    cdef Texts texts  # None: every value is copied
    # By row: number of its value; its neighbours among the rows of the value, or the hash of its SINGLE value.
    cdef uint32_t *ids
    cdef Link *links
    cdef uint32_t row_end  # behind the highest row in the column
    cdef uint32_t id_capacity
    cdef uint32_t link_capacity
    cdef readonly uint32_t count  # rows in the column, those with nothing at the path included
    # Values by number (Value *) and numbers by text (flag set: the row of a SINGLE value). `terms` finds what a value
    # means to selectors beside its plain text.
    cdef Places values
    cdef PyObject **decoded_values  # by number: the Python str or number, once somebody asked; owned
    cdef uint32_t decoded_room
    cdef Table numbers
    cdef Terms terms
    cdef readonly uint32_t shared  # distinct values in `values`, ABSENT not among them
    cdef readonly uint32_t singles  # distinct values beside them
    cdef long long value_bytes  # of all Value structs and what they decoded
    cdef Change change

    # Writing costs O(1) and the terms of a value that comes or goes. `raw` with a start of NULL: nothing at the path.
    cdef int stage(self, uint32_t row, Slice raw) except -1
    cpdef int stage_text(self, uint32_t row, bytes raw) except -1  # the same for Python's bytes, None: nothing there
    cpdef int stage_removal(self, uint32_t row) except -1  # nothing happens when the row is not in the column
    cpdef int stage_shift(self, uint32_t row, uint32_t to) except -1  # a row gets another number, a lower free one
    cpdef int commit(self) noexcept
    cpdef int cancel(self) noexcept
    cpdef int put(self, uint32_t row, bytes raw) except -1
    cpdef int remove(self, uint32_t row) except -1

    # Reading. The raw JSON of a value is `text_at`, valid until the next call or write.
    cdef uint32_t rows_of(self, uint32_t number) noexcept
    cdef uint32_t find(self, const char *text, Py_ssize_t size, uint64_t hash) except? NO_VALUE
    cdef object decoded(self, uint32_t number)
    cdef int keep_decoded(self, uint32_t number, object found) noexcept
    cdef int resize_decoded(self, uint32_t room) noexcept
    cpdef object value(self, uint32_t row)
    cpdef long long nbytes(self)

    # Inside.
    cdef int reserve_row(self, uint32_t row) except -1
    cdef int resize_rows(self, uint32_t capacity) noexcept
    cdef uint32_t make(self, Slice raw, uint64_t hash) except 0
    cdef int unmake(self, uint32_t number) noexcept
    cdef int prepare_leave(self, uint32_t row) except -1
    cdef int prepare_join(self, uint32_t row, Slice raw, uint64_t hash) except -1
    cdef int share(self, uint32_t row, uint32_t number) noexcept
    cdef int unshare(self, uint32_t number) noexcept
    cdef int leave(self, uint32_t row) noexcept
    cdef int join(self, uint32_t row, uint32_t number, uint64_t hash) noexcept
    cdef int link(self, uint32_t row, uint32_t number) noexcept
    cdef int shift(self, uint32_t row, uint32_t to) noexcept
    cdef int trim_rows(self) noexcept


cdef inline bint is_single(uint32_t number) noexcept nogil:
    return number & SINGLE and number != NO_VALUE


cdef inline uint32_t number_of(Column column, uint32_t row) noexcept:
    return column.ids[row] if row < column.row_end else <uint32_t>NO_VALUE


cdef bytes text_of_values(tuple values)
