"""What a query found, in key order."""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.ref cimport Py_INCREF
from engine._ahead cimport prefetch
from engine._object cimport view_of
from engine._record cimport rest_of
from engine._rows cimport Moment, record_of
from engine._store cimport MAX_KEY, VIEWS_BEHIND, Record, Store, hold
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport qsort
from libc.string cimport memcmp, memcpy

cdef enum:
    FIRST_ROOM = 64
    LIKELY_REST = 8  # bytes of a key's rest that most have
    FEW = 24  # that are sorted in their place
    HEAD = 8  # bytes of a key that are compared as one number


cdef struct Entry:
    # A hit with its key, as far as all keys' common beginning.
    uint64_t head  # the first bytes of the rest, so that numbers compare as bytes do
    uint32_t offset  # of the rest in the text of all
    uint32_t size
    Record *record


cdef const char *TEXT = NULL  # of the sort under way: the GIL is held, and no code of others runs in it


cdef int compare_entries(const void *left, const void *right) noexcept nogil:
    cdef const Entry *one = <const Entry *>left
    cdef const Entry *other = <const Entry *>right
    cdef int order
    if one.head != other.head:
        return -1 if one.head < other.head else 1
    order = memcmp(TEXT + one.offset, TEXT + other.offset, min(one.size, other.size))
    return order if order else (one.size > other.size) - (one.size < other.size)


cdef void sort_entries(Entry *entries, Py_ssize_t count) noexcept:
    cdef Py_ssize_t i, at
    cdef Entry entry
    if count > FEW:
        qsort(entries, count, sizeof(Entry), compare_entries)
        return
    for i in range(1, count):
        entry = entries[i]
        at = i
        while at > 0 and compare_entries(&entry, &entries[at - 1]) < 0:
            entries[at] = entries[at - 1]
            at -= 1
        entries[at] = entry


cdef inline uint64_t head_of(const char *text, Py_ssize_t size) noexcept nogil:
    cdef uint64_t head = 0
    cdef Py_ssize_t i
    for i in range(HEAD):
        head = head << 8 | (<unsigned char>text[i] if i < size else 0)
    return head


cdef Hits new_hits(Store store):
    cdef Hits hits = Hits.__new__(Hits)
    hits.store = store
    return hits


@cython.final
@cython.no_gc
cdef class Hits:
    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.count):
            self.store.drop(self.records[i])
        PyMem_Free(self.records)

    cdef int reserve(self, Py_ssize_t more) except -1:
        cdef Py_ssize_t room = max(2 * self.room, self.count + more, <Py_ssize_t>FIRST_ROOM)
        cdef void *wider
        if self.count + more > self.room:
            wider = PyMem_Realloc(self.records, room * sizeof(Record *))
            if wider == NULL:
                raise MemoryError
            self.records = <Record **>wider
            self.room = room
        return 0

    cdef int add_rows(self, Moment *moment, const uint32_t *rows, Py_ssize_t count) except -1:
        """First where all of them stand, then what stands there, so that memory is waited for once."""
        cdef Py_ssize_t i
        self.reserve(count)
        for i in range(count):
            self.records[self.count + i] = record_of(moment, rows[i])
            prefetch(self.records[self.count + i])
            prefetch(rest_of(self.records[self.count + i]) + LIKELY_REST)
        for i in range(count):
            hold(self.records[self.count + i])
        self.count += count
        return 0

    cdef int sort(self) except -1:
        """By key."""
        global TEXT
        cdef char[MAX_KEY] first
        cdef char[MAX_KEY] key
        cdef Py_ssize_t shared, size = 0, used = 0, i, at
        cdef Entry *entries
        cdef char *text
        if self.count < 2:
            return 0
        shared = self.store.copy_key(self.records[0], first)
        for i in range(self.count):
            at = self.store.copy_key(self.records[i], key)
            size += at
            shared = min(shared, at)
            at = 0
            while at < shared and key[at] == first[at]:
                at += 1
            shared = at
        entries = <Entry *>PyMem_Malloc(self.count * sizeof(Entry) + size)
        if entries == NULL or size > 0xFFFFFFFFu:
            PyMem_Free(entries)
            raise MemoryError
        text = <char *>(entries + self.count)
        for i in range(self.count):
            size = self.store.copy_key(self.records[i], key) - shared
            memcpy(text + used, key + shared, size)
            entries[i].head = head_of(text + used, size)
            entries[i].offset = <uint32_t>used
            entries[i].size = <uint32_t>size
            entries[i].record = self.records[i]
            used += size
        TEXT = text
        sort_entries(entries, self.count)
        for i in range(self.count):
            self.records[i] = entries[i].record
        PyMem_Free(entries)
        return 0

    cdef void shrink(self, Py_ssize_t count) noexcept:
        """To the first `count`."""
        while self.count > count:
            self.count -= 1
            self.store.drop(self.records[self.count])

    cdef list views(self, Py_ssize_t limit):
        """Of the first `limit`; 0: of all."""
        cdef Py_ssize_t count = min(limit, self.count) if limit else self.count
        cdef Py_ssize_t i
        cdef list found = PyList_New(count)
        for i in range(count):
            view = view_of(self.store, self.records[i])
            Py_INCREF(view)
            PyList_SET_ITEM(found, i, view)
            if i >= VIEWS_BEHIND and self.store.likely is not None:
                self.store.expect_values(self.records[i - VIEWS_BEHIND])
        return found

    cdef list keys(self):
        cdef Py_ssize_t i
        return [self.store.key(self.records[i]) for i in range(self.count)]
