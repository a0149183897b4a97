"""The indexed store of one resource."""

cimport cython
from cpython.list cimport PyList_GET_ITEM
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.tuple cimport PyTuple_CheckExact, PyTuple_GET_ITEM, PyTuple_GET_SIZE
from engine._ahead cimport LINE, prefetch
from engine._arrays cimport array_of
from engine._batch cimport Batch, new_batch
from engine._changes cimport change_rows, compare, tell
from engine._compaction cimport close_gaps, compact_records
from engine._indexes cimport Index, Indexes
from engine._keytable cimport Wanted, hash_of
from engine._object cimport Object, key_of, namespace_of, view_of
from engine._path cimport path_of
from engine._query cimport Query, keys_of, namespaces_of, query_for, query_of
from engine._rows cimport Place, Rows, first_place, last_place, next_place
from engine._selection cimport distinct_values, select_value
from engine._snapshot cimport new_snapshot
from engine._store cimport VIEWS_BEHIND, Record, Store, hold
from engine._watchlog cimport WatchLog
from libc.stdint cimport uint32_t

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from engine._snapshot import Snapshot  # no-cython-lint: it can be had from here

EventType = Literal["ADDED", "MODIFIED", "DELETED"]
Item = Object | bytes | Mapping[str, Any]
IndexSource = str | Callable[[Object], Iterable[str]]

cdef extern from "Python.h":
    int PyGC_Disable()
    int PyGC_Enable()
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL
    ctypedef struct PyASCIIObject:
        Py_hash_t hash  # once it was asked for

    bint PyUnicode_IS_COMPACT_ASCII(object text) noexcept
    void *PyUnicode_DATA(object text) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(object text) noexcept

cdef enum:
    NOT_HASHED = -1  # of a str
    BLOCK = 256  # keys that are looked up together
    MAX_LIKELY = 4  # columns that are read ahead for views
    PAIRS_AHEAD = 16  # of a batch
    ITEMS_AHEAD = 8  # of a list, that are read from memory before it is their turn

cdef tuple TYPES = ("ADDED", "MODIFIED", "DELETED")
cdef str NAMESPACE = "namespace"  # the index that is answered by key order
cdef str NAMESPACE_PATH = "metadata.namespace"


cdef inline int expect_item(PyObject *pair) noexcept:
    if PyTuple_CheckExact(<object>pair) and PyTuple_GET_SIZE(<object>pair) == 2:
        prefetch(PyTuple_GET_ITEM(<object>pair, 1))
    return 0


cdef bint is_deletion(object type) except -1:
    if type not in TYPES:
        raise ValueError(f"type {type!r} is none of {', '.join(TYPES)}")
    return type == "DELETED"


cdef inline int look_up(str key, Wanted *wanted) except -1:
    """A key as the table wants it: of ASCII alone, the str's own text and hash."""
    prefetch(<const char *><void *>key + LINE)  # where its text is, while its hash is waited for
    if PyUnicode_IS_COMPACT_ASCII(key):
        wanted.key = <const char *>PyUnicode_DATA(key)
        wanted.size = PyUnicode_GET_LENGTH(key)
        wanted.hash = (<PyASCIIObject *>key).hash
        if wanted.hash == NOT_HASHED:
            wanted.hash = hash(key)
        return 0
    try:
        wanted.key = PyUnicode_AsUTF8AndSize(key, &wanted.size)
    except UnicodeEncodeError:  # half a character: no object has such a key, nor an empty one
        wanted.key = b""
        wanted.size = 0
    wanted.hash = hash_of(wanted.key, wanted.size)
    return 0


@cython.final
@cython.no_gc_clear
cdef class Cache:
    """The indexed store of one resource: objects by key, by index and by selector.
    One thread writes; others read snapshots.

    The contract of every method is in engine/_cache.pyi.
    """

    def __cinit__(self):
        self.store = Store.__new__(Store)
        self.rows = Rows.__new__(Rows, self.store)
        self.indexes = Indexes.__new__(Indexes, self.store, self.rows)
        self.columns = {}
        self.malformed = {}

    def __init__(self, indexes=None, columns=(), WatchLog log=None):
        if log is not None:
            log.share(self.store)
            self.log = log
            self.resource_version = log.resource_version
        for path in columns:
            self.indexes.add(path, path_of(path).text)
            self.columns[path] = None
        self.store.likely = [self.store.columns[path_of(path).text] for path in self.columns][:MAX_LIKELY] or None
        for name, source in dict(indexes or {}).items():
            self.add_source(name, source)

    def __dealloc__(self):
        # Views go on without columns. The store led to them, and they lead to the store.
        if self.store is not None:
            self.store.columns = None
            self.store.likely = None

    # --- Writing ---

    cdef int begin(self) except -1:
        """Whoever calls this sets `writing` to false at the end."""
        cdef unsigned long here = <unsigned long>PyThread_get_thread_ident()
        if self.writer != here:
            if self.writer:
                raise RuntimeError(f"Cache is written by thread {self.writer}, not {here}")
            self.writer = here
        if self.writing:
            raise RuntimeError("Cache is being written: an index function or a collected object cannot write to it")
        if self.log is not None:
            self.log.check_thread()
        self.writing = True
        return 0

    cdef Batch batch(self):
        return new_batch(self.store, self.rows, self.indexes)

    def apply(self, str type not None, item not None):
        cdef Batch batch
        cdef bint deletion = is_deletion(type)
        self.begin()
        try:
            batch = self.batch()
            batch.add(item, deletion)
            self.make_known(batch)
        finally:
            self.writing = False
        return None if batch.changes[0].old == NULL else view_of(self.store, batch.changes[0].old)

    def apply_batch(self, events):
        cdef Batch batch
        cdef list given, items, deletions
        cdef Py_ssize_t i
        self.begin()
        try:
            given, items, deletions = list(events), [], []
            for i in range(len(given)):
                if i + PAIRS_AHEAD < len(given):
                    prefetch(PyList_GET_ITEM(given, i + PAIRS_AHEAD))
                if i + ITEMS_AHEAD < len(given):
                    expect_item(PyList_GET_ITEM(given, i + ITEMS_AHEAD))
                type, item = given[i]
                items.append(item)
                deletions.append(is_deletion(type))
            batch = self.batch()
            batch.add_all(items, deletions)
            self.make_known(batch)
        finally:
            self.writing = False

    cdef int make(self, Batch batch) except -1:
        """All changes, in which nothing of others runs. When there is no memory for the rest, it is forgotten."""
        compact_records(self.rows, batch.count)
        close_gaps(self.rows, self.indexes, batch.count)
        try:
            change_rows(batch)
        finally:
            self.settle(batch)
        return 0

    cdef int make_known(self, Batch batch) except -1:
        """And tells them, as far as they were made."""
        try:
            self.make(batch)
        finally:
            tell(self.log, batch, 0)
        return 0

    cdef int swap(self, Batch gone, Batch wanted, long long resource_version) except -1:
        """Deletions, then the rest; all of them are told when all are made."""
        try:
            self.make(gone)
            self.make(wanted)
            self.resource_version = resource_version
        finally:
            tell(self.log, gone, resource_version)
            tell(self.log, wanted, resource_version)
        if self.log is not None:
            self.log.advance(resource_version)
        return 0

    cdef int settle(self, Batch batch) except -1:
        """What follows from changes that were made."""
        cdef Py_ssize_t i
        for i in range(batch.count):
            if batch.changes[i].record != NULL and batch.changes[i].record.revision > self.resource_version:
                self.resource_version = batch.changes[i].record.revision
        if self.arrays:  # they are of before
            self.arrays = False
            for path in self.columns:  # in place: that takes no memory
                self.columns[path] = None
        return 0

    def replace(self, items, long long resource_version):
        cdef Replacement replacement = self.replacement(resource_version)
        replacement.add(items)
        replacement.finish()

    def replacement(self, long long resource_version):
        cdef Replacement made = Replacement.__new__(Replacement)
        made.cache = self
        made.batch = self.batch()
        made.revision = resource_version
        return made

    def advance(self, long long resource_version):
        self.begin()
        try:
            if resource_version > self.resource_version:
                self.resource_version = resource_version
            if self.log is not None:
                self.log.advance(resource_version)
        finally:
            self.writing = False

    def add_index(self, str name not None, source not None):
        self.begin()
        try:
            self.add_source(name, source)
        finally:
            self.writing = False

    cdef int add_source(self, str name, object source) except -1:
        cdef Index index = <Index>self.indexes.by_name.get(name)
        known = index.source if index is not None else NAMESPACE_PATH if name == NAMESPACE else None
        if known is not None:
            if known == source:
                return 0
            raise ValueError(f"index {name!r} exists with another source")
        self.indexes.by_name[name] = self.indexes.add(name, source)
        return 0

    # --- Reading ---

    cdef Record *find(self, str key) except? NULL:
        cdef Wanted wanted
        look_up(key, &wanted)
        return self.rows.keys.find(wanted.key, wanted.size, wanted.hash)

    def get(self, str key not None):
        cdef Record *record = self.find(key)
        return None if record == NULL else view_of(self.store, record)

    def get_many(self, keys):
        cdef list wanted = list(keys)
        cdef list found = []
        cdef Py_ssize_t at
        for at in range(0, len(wanted), <Py_ssize_t>BLOCK):
            self.get_block(wanted, at, min(len(wanted) - at, <Py_ssize_t>BLOCK), found)
        return found

    cdef int get_block(self, list keys, Py_ssize_t first, Py_ssize_t count, list found) except -1:
        """Held while views are made of them: that may run code of others, which may write."""
        cdef Wanted[BLOCK] block
        cdef Py_ssize_t i
        for i in range(count):
            if first + i + ITEMS_AHEAD < len(keys):
                prefetch(PyList_GET_ITEM(keys, first + i + ITEMS_AHEAD))
            look_up(<str?>keys[first + i], &block[i])
        self.rows.keys.find_many(block, count)
        for i in range(count):
            if block[i].found != NULL:
                hold(block[i].found)
        try:
            for i in range(count):
                found.append(None if block[i].found == NULL else view_of(self.store, block[i].found))
                if i < VIEWS_BEHIND or self.store.likely is None:
                    continue
                if block[i - VIEWS_BEHIND].found != NULL:
                    self.store.expect_values(block[i - VIEWS_BEHIND].found)
        finally:
            for i in range(count):
                if block[i].found != NULL:
                    self.store.drop(block[i].found)
        return 0

    def list(self, str namespace=None, label_selector=None, field_selector=None, *, Py_ssize_t limit=0,
             str after not None=""):
        cdef Query query = query_of(namespace, label_selector, field_selector, limit, after)
        return query.find(self.indexes, self.has_no_namespace())

    cdef bint has_no_namespace(self) noexcept:
        return self.indexes.unscoped == self.rows.now.count

    cdef Query having(self, str name, str value):
        """What has a value in an index. KeyError for an unknown one."""
        cdef Index index = <Index>self.indexes.by_name.get(name)
        if index is not None:
            return query_for(index.column, value)
        if name != NAMESPACE:
            raise KeyError(name)
        return query_of(value, None, None, 0, "")

    def by_index(self, str name not None, str value not None):
        if name == NAMESPACE and not value:
            return [obj for obj in self.list() if not namespace_of(<Object>obj)]
        return self.having(name, value).find(self.indexes, False)

    def index_keys(self, str name not None, str value not None):
        if name == NAMESPACE and not value:
            return [key_of(<Object>obj) for obj in self.by_index(name, value)]
        return self.having(name, value).hits(self.indexes, False).keys()

    def index_size(self, str name not None, str value not None):
        cdef Query query
        if name == NAMESPACE and not value:
            return self.indexes.unscoped
        query = self.having(name, value)
        return query.width(self.rows) if query.column is None else select_value(query.column, value).rows

    def index_values(self, str name not None):
        cdef Index index = <Index>self.indexes.by_name.get(name)
        cdef bint collecting
        if index is None:
            if name != NAMESPACE:
                raise KeyError(name)
            return namespaces_of(self.rows)
        collecting = PyGC_Disable()  # as in _query: a column is read until the next write
        try:
            return distinct_values(index.column)
        finally:
            if collecting:
                PyGC_Enable()

    def column(self, str path not None):
        found = self.columns[path]
        if found is None:
            found = self.columns[path] = self.array(<Index>self.indexes.by_path[path])
            self.arrays = True
        return found

    cdef object array(self, Index index):
        cdef Place place = first_place()
        cdef Py_ssize_t count = self.rows.now.count, i
        cdef bint collecting
        cdef uint32_t *rows = <uint32_t *>PyMem_Malloc(count * sizeof(uint32_t))
        if rows == NULL:
            raise MemoryError
        for i in range(count):
            rows[i] = self.rows.now.chunks[place.chunk].rows[place.at]
            place = next_place(self.rows.now, place)
        collecting = PyGC_Disable()  # as above
        try:
            array, malformed = array_of(index.column, rows, count)
        finally:
            PyMem_Free(rows)
            if collecting:
                PyGC_Enable()
        self.malformed[index.path.text] = malformed
        return array

    def keys(self):
        return keys_of(self.rows, self.rows.now, first_place(), last_place(self.rows.now))

    def __len__(self):
        return self.rows.now.count

    def __contains__(self, key):
        return type(key) is str and self.find(<str>key) != NULL

    def snapshot(self):
        return new_snapshot(self.store, self.rows.fork(), self.resource_version)

    def explain(self, str namespace=None, label_selector=None, field_selector=None):
        cdef Query query = query_of(namespace, label_selector, field_selector, 0, "")
        return query.explained(self.indexes, self.has_no_namespace())

    @property
    def nbytes(self):
        return self.store.nbytes() + self.rows.nbytes() + self.indexes.nbytes()

    def stats(self):
        return {
            "objects": len(self),
            "bytes": self.nbytes,
            "record_bytes": self.store.slab.used,
            "spare_bytes": self.store.spare_bytes(),
            "template_bytes": self.store.catalog.bytes,
            "prefix_bytes": self.store.keys.bytes,
            "row_bytes": self.rows.nbytes(),
            "column_bytes": self.indexes.nbytes(),
            "columns": self.indexes.count,
            "indexes": len(self.indexes.by_name) + 1,
            "malformed": sum(self.malformed.values()),
            "records": self.store.records,
            "shapes": self.store.catalog.shapes,
            "templates": self.store.catalog.held,
            "snapshots": self.rows.epochs.fork_count,
            "resource_version": self.resource_version,
        }


# --- Replacements -----------------------------------------------------------------------------------------------------


@cython.final
cdef class Replacement:
    """A replace that arrives in pages; nothing is visible before finish()."""

    def __init__(self):
        raise TypeError("use Cache.replacement")

    def add(self, items):
        self.cache.begin()
        try:
            if self.finished:
                raise RuntimeError("the replacement is finished")
            self.batch.add_all(list(items), None)
        finally:
            self.cache.writing = False

    def finish(self, long long resource_version=0):
        cdef Batch wanted, gone
        self.cache.begin()
        try:
            if self.finished:
                raise RuntimeError("the replacement is finished")
            self.finished = True
            wanted = self.batch
            self.batch = None
            wanted.widen()
            gone = compare(wanted)
            self.cache.swap(gone, wanted, resource_version or self.revision)
        finally:
            self.cache.writing = False
