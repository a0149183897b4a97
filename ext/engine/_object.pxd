cimport cython
from engine._header cimport Plainness
from engine._path cimport Path
from engine._record cimport Record
from engine._store cimport Store
from libc.stdint cimport int64_t


@cython.final
@cython.no_gc  # JSON values hold no reference back and a store holds no views: no cycle can pass through here
cdef class Object:
    # What it is over: a record, on which it has one count, and its store; or, with `record` NULL, its own bytes.
    cdef Store store
    cdef Record *record
    # The bytes. Over a record: None until they are asked for, and again when others were asked for since.
    cdef bytes data
    cdef Py_ssize_t decoded_at  # its position among the decoded, from 1 on; 0: not there
    cdef dict found  # values read from them, by path; None without them
    # The parsed form; None unless the object is among those parsed last.
    cdef dict document
    # Whether single values may be read from the bytes without parsing them all; UNKNOWN until that is tried.
    cdef Plainness plain
    # Over a record made when first asked for, else at once. Over a record `revision` stands in the record.
    cdef str key_text
    cdef str name_text
    cdef str namespace_text
    cdef str uid_text
    cdef int64_t revision


cdef bytes raw_of(Object obj)
cdef str key_of(Object obj)
cdef str name_of(Object obj)
cdef str namespace_of(Object obj)
cdef dict parsed(Object obj)  # shared by all readers: never changed
cdef object find_in(Object obj, Path path, object default)
cdef object value_in(Object obj, Path path)
cdef dict labels_of(Object obj)
cdef Object as_object(object item)
cdef Object restamped(Object obj, long long resource_version)

# The object of a record, which the view holds on its own account; the same one as long as its parsed form is kept.
cdef Object view_of(Store store, Record *record)
# The object as a record of `store`, held once for the caller: shared when it is a view of one already, else encoded.
cdef Record *record_of(Store store, Object obj, Record *hint) except NULL
# An object that stood alone becomes a view of `record`, which was just encoded from its bytes; nothing happens to one
# that is over a record. `view_of` finds it from now on, while it is kept.
cdef int bind(Object obj, Store store, Record *record) noexcept


cdef inline int64_t revision_of(Object obj) noexcept:
    return obj.record.revision if obj.record != NULL else obj.revision
