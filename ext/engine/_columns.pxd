cimport cython
from cpython.object cimport PyObject
from engine._json cimport Slice
from engine._path cimport Path
from engine._table cimport Table
from engine._terms cimport Terms
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

    # The raw JSON at the column's path in the current version of `row`, valid until the next call; a start of NULL:
    # nothing there. Compiled subclasses override this; the default asks the method `text` of a Python subclass.
    cdef Slice text_of(self, uint32_t row) except *
    cdef bytes kept


cdef struct Value:
    # A value that several rows have, or any value of a column without Texts.
    PyObject *decoded  # the Python str or number, once somebody asked; owned
    uint64_t hash
    uint32_t rows  # how many have it
    uint32_t head  # the first of them
    uint32_t size  # of the text, bytes
    char text[1]  # raw JSON


cdef struct Pair:
    uint32_t next  # rows of the same value
    uint32_t previous


cdef union Link:
    Pair rows
    uint64_t hash  # of a SINGLE value


cdef enum Kind:
    NOTHING  # the value is as before
    MOVE
    REMOVAL


cdef struct Change:
    # What `stage` prepared and `commit` does.
    Kind kind
    uint32_t row
    uint32_t number  # the value it gets
    uint32_t sibling  # the row whose SINGLE value becomes a shared one; NO_LINK: none
    uint64_t hash


@cython.final
cdef class Column:
    """What stands at one path (or what a function found), by row, and the rows by value.

    A write is staged, which can fail and changes nothing that a reader sees, then committed, which cannot fail, or
    cancelled. While a change is staged, only `commit` and `cancel` may be called. `text_of(row)` must give the old
    version of the row until its change is committed, the new one from then on; the text given to `stage` must stand
    until then as well. Numbers of values, and what is derived from them, are valid until the next write.
    """

    cdef readonly Path path  # None: a function's values
    cdef readonly bint labels  # a value is a map of labels; else a scalar, or an array of them
    cdef Texts texts  # None: every value is copied
    # By row: number of its value; its neighbours among the rows of the value, or the hash of its SINGLE value.
    cdef uint32_t *ids
    cdef Link *links
    cdef uint32_t row_end  # behind the highest row in the column
    cdef uint32_t row_capacity
    cdef readonly uint32_t count  # rows in the column, those with nothing at the path included
    # Shared values by number. A free place holds its neighbours in the list of free places, tagged as such.
    cdef Value **values
    cdef uint32_t value_end
    cdef uint32_t value_capacity
    cdef uint32_t first_free  # 0: none
    cdef readonly uint32_t shared  # values in `values`, ABSENT not among them
    cdef readonly uint32_t singles  # values that one row has and nobody copied
    cdef Table numbers  # value text -> number
    cdef Terms terms  # what values are found by, beside their plain text
    # The change under way, and the hashes of the terms of the value that comes and of the one that may go.
    cdef Change change
    cdef long long text_bytes  # of all Value structs

    # Writing, O(1) and the terms of the values concerned. `raw` with a start of NULL: the row has nothing at the path.
    cdef int stage(self, uint32_t row, Slice raw) except -1
    cdef int stage_removal(self, uint32_t row) except -1
    cdef int commit(self) noexcept
    cdef int cancel(self) noexcept
    cpdef int put(self, uint32_t row, bytes raw) except -1  # stage and commit; None: nothing at the path
    cpdef int remove(self, uint32_t row) except -1  # a row that is not in the column: nothing happens

    # Reading.
    cdef Slice text_at(self, uint32_t number) except *  # raw JSON of a value, valid until the next call or write
    cdef object decoded(self, uint32_t number)
    cpdef object value(self, uint32_t row)  # None: nothing there. Lists and dicts are fresh, the rest is shared
    cpdef long long nbytes(self)


cdef inline uint32_t number_of(Column column, uint32_t row) noexcept:
    return column.ids[row] if row < column.row_end else <uint32_t>NO_VALUE


cdef bytes text_of_values(tuple values)
