"""One moment of a cache."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from engine._object cimport view_of
from engine._query cimport keys_of, query_of
from engine._rows cimport Fork, Place, Rows, first_place, is_before, last_place, record_at
from engine._store cimport Record, Store


cdef Snapshot new_snapshot(Store store, Fork fork, long long resource_version):
    cdef Snapshot made = Snapshot.__new__(Snapshot)
    made.store = store
    made.fork = fork
    made.resource_version = resource_version
    return made


@cython.final
@cython.no_gc
cdef class Snapshot:
    """One moment of a Cache; the same reading methods."""

    def __init__(self):
        raise TypeError("use Cache.snapshot")

    def get(self, str key not None):
        cdef Rows rows = self.fork.rows
        cdef bytes text = key.encode(errors="surrogatepass")
        cdef Place place = rows.seek(self.fork.moment, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), False)
        cdef Record *record
        if not is_before(place, last_place(self.fork.moment)):
            return None
        record = record_at(self.fork.moment, place)
        if not self.store.is_key(record, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)):
            return None
        return view_of(self.store, record)

    def list(self, str namespace=None, label_selector=None, field_selector=None, *, Py_ssize_t limit=0,
             str after not None=""):
        return query_of(namespace, label_selector, field_selector, limit, after).scan(self.store, self.fork)

    def keys(self):
        return keys_of(self.fork.rows, self.fork.moment, first_place(), last_place(self.fork.moment))

    def __len__(self):
        return self.fork.moment.count
