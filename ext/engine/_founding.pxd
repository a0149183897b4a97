from engine._catalog cimport Catalog
from engine._json cimport Slice
from engine._keys cimport Keys
from engine._record cimport Record
from engine._scan cimport Tape


cdef int scan_object(Record *hint, Catalog catalog, Keys keys, list paths, long long record_bytes) except -1
cdef Slice span_of(const Tape *tape, const char *data, Py_ssize_t token) noexcept
