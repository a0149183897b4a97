from engine._catalog cimport Catalog
from engine._json cimport Slice
from engine._keys cimport Keys
from engine._record cimport Record


cdef Py_ssize_t pack_object(const char *data, Py_ssize_t size, Record *hint, bint is_older, Catalog catalog, Keys keys,
                            list paths, Slice *values, long long record_bytes) except -1
