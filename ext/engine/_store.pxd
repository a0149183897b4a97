cimport cython
from engine._catalog cimport Catalog
from engine._json cimport Slice
from engine._keys cimport MAX_KEY, Keys, Prefix, peek_key
from engine._path cimport Path
from engine._record cimport NO_ROW, Record, hold, rest_of
from engine._slab cimport Slab
from libc.stdint cimport int64_t, uint32_t


cdef enum:
    VIEWS_BEHIND = 8  # views that are made between the two steps of reading ahead for one


cdef struct Live:
    # What exists at this moment in all stores.
    long long stores
    long long records
    long long views  # Objects over records


cdef Live LIVE


cdef class ColumnReader:
    """A column as views see it: `value_of` finds for a current record what a parser finds at the path, `default` where
    nothing stands. Compiled subclasses override it; here it asks the method `value` of a Python subclass."""

    cdef object value_of(self, Record *record, object default)
    # The value will be asked for: has its number read from memory, and then what has this number.
    cdef int expect(self, const Record *record) noexcept
    cdef int expect_value(self, const Record *record) noexcept


@cython.final
cdef class Store:
    """The memory of one cache: turns JSON bytes into records and back.

    All of it holds the GIL. A record is freed by the last holder's `drop`; the store lives as long as a view needs it.
    """

    # Paths that are watched, in the order of their numbers, and what a scan found there: the raw JSON of the value in
    # the encoded bytes (start NULL: nothing there), valid as long as these bytes and until the next encode. `value`
    # knows it however the object was encoded.
    cdef list paths
    cdef Slice *values
    # What records share.
    cdef Keys keys
    cdef Catalog catalog
    # What is held.
    cdef Slab slab  # records
    cdef Slab shared  # what they share
    cdef readonly long long records
    cdef dict columns  # path text -> ColumnReader, lent by the cache; None: it lends none
    cdef list likely  # of these, those that views are likely to be asked for; None: none

    cdef int watch(self, Path path) except -1
    # Views of a record are made: has read from memory what the `likely` columns, which there must be, have for it, in
    # two steps.
    cdef int expect_columns(self, const Record *record) noexcept
    cdef int expect_values(self, const Record *record) noexcept
    cdef Record *encode(self, const char *data, Py_ssize_t size, Record *hint, bint is_older) except NULL
    # Of the record that was encoded last: whether the hint has the same at a watched path, as far as that is known.
    cdef bint keeps(self, Record *record, int path) noexcept
    # And what stands there, as long as the encoded bytes last and nothing is read; a start of NULL: nothing.
    cdef Slice value(self, Record *record, int path) except *
    cdef Py_ssize_t raw_size(self, Record *record) noexcept
    cdef int write_raw(self, Record *record, char *out) noexcept
    cdef bytes raw(self, Record *record)
    cdef Slice read(self, Record *record, int path) except *
    cdef Slice read_whole(self, Record *record, int path) except *
    cdef Record *new_record(self, Record *hint, Py_ssize_t packed) except NULL
    cdef int drop(self, Record *record) noexcept
    # Has memory read what a record refers to, since it will be needed; and then what the object's next version may.
    cdef int expect(self, const Record *record) noexcept
    cdef int expect_next(self, const Record *record) noexcept
    cdef Prefix *take_prefix(self, Record *hint) except NULL
    cdef Record *restamp(self, Record *record, int64_t revision) except NULL
    cdef str key(self, Record *record)
    cdef str name(self, Record *record)
    cdef str namespace(self, Record *record)
    cdef Py_ssize_t copy_key(self, Record *record, char *out) noexcept nogil
    cdef bint is_key(self, Record *record, const char *key, Py_ssize_t size) noexcept nogil
    cdef int compare_key(self, Record *record, const char *key, Py_ssize_t size) noexcept nogil
    cdef int compare(self, Record *left, Record *right) noexcept nogil
    cdef long long nbytes(self)
    cdef long long spare_bytes(self)
