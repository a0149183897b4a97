cimport cython
from engine._columns cimport Column, Texts
from engine._json cimport Slice
from engine._object cimport Object
from engine._path cimport Path
from engine._rows cimport Rows
from engine._store cimport ColumnReader, Record, Store
from libc.stdint cimport uint32_t


cdef const char *UNCHANGED  # where a text begins that an older version has too


@cython.final
cdef class RowTexts(Texts):
    """The values at a watched path, read from the current records."""

    cdef Store store
    cdef Rows rows
    cdef int watched


@cython.final
cdef class RowValues(ColumnReader):
    """A column, lent to the views of current records."""

    cdef Column column


@cython.final
cdef class Index:
    """A column, and where the values come from that it is filled with."""

    cdef Column column
    cdef object source  # path or function, as it was given
    cdef str name  # of the first index that asked for it; a column: its path
    cdef Path path  # None: a function it is
    cdef int watched  # the path's number in the store

    cdef bytes text_of(self, Object obj)


@cython.final
cdef class Indexes:
    """The columns of one cache. Every row is in each of them, whether it has a value there or not."""

    cdef Store store
    cdef Rows rows
    cdef list all  # of Index, each distinct source once; the first is that of all labels. Only ever grows
    cdef Py_ssize_t count  # of these
    cdef bint functions  # whether one of them is a function's
    cdef Index labels
    cdef long long unscoped  # rows without a namespace
    cdef dict by_path
    cdef dict by_name

    cdef Index at(self, Py_ssize_t number)
    cdef Index add(self, str name, object source)
    cdef Index make(self, str name, object source, bint labels)
    cdef int fill(self, Index index) except -1
    cdef bytes copy_of(self, Record *record, int watched)
    cdef int lend(self, Index index) except -1
    # A row will be staged: has its numbers read, then the values of these. `texts` is NULL for a removal.
    cdef void expect(self, uint32_t row, const Slice *texts) noexcept
    cdef void expect_values(self, uint32_t row, const Slice *texts) noexcept
    # A change of one row in all columns. `texts` are the values of its new version, one for each index. Where they are
    # UNCHANGED they are those of `base`, which need not be what the row has now.
    cdef int stage(self, uint32_t row, const Slice *texts, Record *record, const Record *base) except -1
    cdef int stage_removal(self, uint32_t row) except -1
    cdef int stage_shift(self, uint32_t row, uint32_t to) except -1
    cdef void commit(self) noexcept
    cdef void cancel(self, Py_ssize_t count) noexcept
    cdef long long nbytes(self)
