cimport cython
from cpython.object cimport PyObject
from engine._json cimport Slice
from engine._path cimport Path
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t


cdef enum:
    NO_ROW = 0xFFFFFFFF  # of a record that stands in no row
    MAX_KEY = 16384  # bytes of namespace/name


cdef struct Prefix:
    # The beginning that keys share: "namespace/", or that and the beginning of a name. Counted by the records under it.
    uint32_t number
    uint32_t refs
    uint32_t size
    uint32_t namespace_size  # 0: cluster-scoped; else the "/" stands at text[namespace_size]
    PyObject *namespace  # the str, owned
    char text[1]


cdef struct Record:
    # One version of one object, written once; `Store` alone knows what is behind the header.
    int64_t revision  # metadata.resourceVersion; 0 when absent or no number
    uint32_t refs  # holders: rows, views, logs. Freed at 0.
    uint32_t row  # its place in Rows, the same for every version of an object; NO_ROW before it has one
    uint32_t prefix  # number of the prefix of its key
    uint32_t size  # bytes in all
    uint8_t rest  # bytes of the key behind the prefix, which follow the header
    uint8_t viewed  # a view is kept for it (see _object)
    # What the columns lent to views hold at `row` was read from this record. The cache sets it once they do and clears
    # it before they change; no code of others may run between that and the change.
    uint8_t current


cdef struct Live:
    # What exists at this moment in all stores.
    long long stores
    long long records
    long long prefixes
    long long views  # Objects over records


cdef Live LIVE


cdef class ColumnReader:
    """A column as views see it: `value_of` finds for a current record what a parser finds at the path, `default` where
    nothing stands. Compiled subclasses override it; here it asks the method `value` of a Python subclass."""

    cdef object value_of(self, Record *record, object default)


@cython.final
cdef class Store:
    """The memory of one cache: turns JSON bytes into records and back.

    All of it holds the GIL. A record is freed by the last holder's `drop`; the store lives as long as a view needs it.
    """

    # Paths that are watched, in the order of their numbers, and what `encode` found there: the raw JSON of the value
    # in the encoded bytes (start NULL: nothing there), valid as long as these bytes and until the next encode.
    cdef list paths
    cdef Slice *values
    # Keys' prefixes by number; free numbers are NULL.
    cdef Prefix **prefixes
    cdef dict prefix_numbers  # bytes -> number
    cdef uint32_t prefix_count
    cdef list free_prefixes
    # What is held, in bytes and records.
    cdef readonly long long record_bytes
    cdef readonly long long records
    cdef bytes scratch  # what `read` points into
    cdef dict columns  # path text -> ColumnReader, lent by the cache; None: it lends none

    cdef int watch(self, Path path) except -1
    cdef uint32_t prefix_for(self, const char *key, Py_ssize_t size, Py_ssize_t namespace_size) except? 0
    cdef Prefix *new_prefix(self, bytes text, Py_ssize_t namespace_size) except NULL
    cdef int drop_prefix(self, Prefix *prefix) except -1
    cdef Record *encode(self, const char *data, Py_ssize_t size, Record *hint) except NULL
    cdef bytes raw(self, Record *record)
    cdef Slice read(self, Record *record, int path) except *
    cdef int drop(self, Record *record) noexcept
    cdef Record *restamp(self, Record *record, int64_t revision) except NULL
    cdef str key(self, Record *record)
    cdef str name(self, Record *record)
    cdef str namespace(self, Record *record)
    cdef Py_ssize_t copy_key(self, Record *record, char *out) noexcept
    cdef bint is_key(self, Record *record, const char *key, Py_ssize_t size) noexcept nogil
    cdef int compare_key(self, Record *record, const char *key, Py_ssize_t size) noexcept nogil
    cdef int compare(self, Record *left, Record *right) noexcept nogil
    cdef long long nbytes(self)


cdef inline Record *hold(Record *record) noexcept nogil:
    record.refs += 1
    return record


cdef inline const char *rest_of(Record *record) noexcept nogil:
    return <const char *>record + sizeof(Record)


cdef Py_ssize_t peek_key(const char *data, Py_ssize_t size, char *out) noexcept nogil
