cimport cython


@cython.final
cdef class Path:
    cdef readonly str text
    cdef tuple steps  # str for a member, int for an element

    cdef object find(self, object document, object default)


@cython.final
cdef class MapView:
    cdef dict data  # shared with every reader of the object: never changed


@cython.final
cdef class ListView:
    cdef list data  # shared likewise


@cython.final
cdef class Object:
    # What the store and the wire see; all else is derived from it.
    cdef readonly bytes raw
    # The parsed form, or None until somebody asks (again).
    cdef dict document
    # Derived once, since every table and log asks for them.
    cdef readonly str key
    cdef readonly str name
    cdef readonly str namespace
    cdef readonly str uid
    cdef readonly long long resource_version

    cdef dict parsed(self)
    cdef dict metadata(self)
    cdef void release(self) noexcept


cdef Path path_of(str text)
cdef Object as_object(object item)
cdef Object restamped(Object obj, long long resource_version)
