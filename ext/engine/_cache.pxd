cimport cython
from engine._object cimport Object
from engine._path cimport Path
from engine._rows cimport Rows
from engine._selectors cimport FieldSelector, LabelSelector, Term
from engine._watchlog cimport WatchLog


@cython.final
cdef class Index:
    """Keys by the values that a path or a function finds in an object."""

    cdef str name
    cdef object source
    cdef Path path  # None when the source is a function
    cdef dict postings  # value -> set of keys; no set is empty
    cdef dict known  # key -> what it is posted under; nothing for an object without a value

    cdef object values_of(self, Object obj)
    cdef int move(self, str key, object now) except -1


@cython.final
cdef class Query:
    """One list: a range of keys, what an object must match, and how many are wanted."""

    cdef str namespace  # None: all
    cdef LabelSelector labels
    cdef FieldSelector fields
    cdef str after
    cdef Py_ssize_t limit
    cdef set keys  # holds the keys of all matches, once an index was asked; None: not known

    cdef bint selects(self, Object obj) except -1
    cdef bint covers(self, str key) except -1
    cdef list scan(self, Rows rows)


@cython.final
cdef class Cache:
    # The content, twice: by key for get, in order for list and snapshots.
    cdef dict objects
    cdef Rows rows
    cdef readonly long long resource_version
    # Indexes by name; labels by key, made when a selector first asks for the key; objects per namespace.
    cdef dict indexes
    cdef dict label_indexes  # label key -> Index
    cdef dict namespaces
    cdef WatchLog log
    cdef unsigned long writer  # the thread that writes; 0 before the first write
    cdef long long payload  # bytes of JSON
    # Declared columns: path -> array, or None until it is asked for after a write.
    cdef dict columns

    cdef int check_thread(self) except -1
    cdef list values_for(self, Object obj)
    cdef Object upsert(self, Object obj, list values)
    cdef Object remove(self, str key)
    cdef Object change(self, str type, Object obj, list values)
    cdef int swap(self, dict wanted, dict values, long long resource_version) except -1
    cdef int narrow(self, Query query, list why) except -1
    cdef Index label_index(self, str name)
    cdef bint is_writer(self) noexcept
    cdef set field_keys(self, Query query, Term term)


@cython.final
cdef class Snapshot:
    cdef Rows rows
    cdef readonly long long resource_version


@cython.final
cdef class Replacement:
    cdef Cache cache
    cdef dict wanted
    cdef dict values
    cdef long long revision
    cdef bint finished
