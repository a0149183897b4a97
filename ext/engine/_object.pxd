cimport cython
from engine._path cimport Path
from engine._store cimport Record, Store


cdef enum Plainness:
    UNKNOWN
    PLAIN
    ODD  # a key occurs twice or is written with escapes


@cython.final
cdef class MapView:
    cdef dict data  # shared with every reader of the object: never changed


@cython.final
cdef class ListView:
    cdef list data  # shared likewise


@cython.final
@cython.no_gc  # JSON values hold no reference back: no cycle can pass through here
cdef class Object:
    # What the store and the wire see; all else is derived from it.
    cdef readonly bytes raw
    # The parsed form, or None: only those asked for last keep it.
    cdef dict document
    # Whether single values may be read from `raw` without parsing it all; UNKNOWN until that is tried.
    cdef Plainness plain
    # Derived once, since every table and log asks for them.
    cdef readonly str key
    cdef readonly str name
    cdef readonly str namespace
    cdef readonly str uid
    cdef readonly long long resource_version

    cdef dict parsed(self)
    cdef dict metadata(self)
    cdef int keep(self, dict document) except -1
    cdef bint scannable(self) except -1


cdef object value_in(Object obj, Path path)
cdef dict labels_of(Object obj)
cdef Object as_object(object item)
cdef Object restamped(Object obj, long long resource_version)
cdef Object view_of(Store store, Record *record)
cdef Record *record_of(Store store, Object obj, Record *hint) except NULL
