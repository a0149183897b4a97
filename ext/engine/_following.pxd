from engine._catalog cimport Catalog
from engine._keys cimport Keys
from engine._record cimport Record


cdef bint follow(Record *hint, bint is_older, Catalog catalog, Keys keys, Py_ssize_t paths) except -1
