from engine._catalog cimport Catalog
from engine._json cimport Slice
from engine._keys cimport Keys
from engine._record cimport Record
from engine._template cimport Known
from libc.stdint cimport int64_t, uint32_t


cdef enum:
    DIGITS = 24  # room for a revision's


cdef int set_key(Known *known, char *digits, const char *key, Py_ssize_t size, Py_ssize_t namespace_size,
                 int64_t revision) noexcept nogil
cdef Slice unpack_object(const Record *record, Catalog catalog, Keys keys, uint32_t sections, int path,
                         char *out) noexcept
cdef char *text_room(Py_ssize_t size) except NULL
cdef Slice section_text(const Record *record, uint32_t number, Catalog catalog, Keys keys) except *
