cimport cython
from engine._indexes cimport Indexes
from engine._json cimport Slice
from engine._object cimport Object
from engine._rows cimport Rows
from engine._store cimport Record, Store
from libc.stdint cimport uint32_t


cdef struct Pending:
    # One change, encoded and not yet made.
    Record *record  # the new state, or the last one of a deletion; held. NULL: nothing is left to do
    Record *old  # what the change displaced, held; NULL: nothing, or it is not made yet
    Py_hash_t hash  # of its key
    uint32_t row  # where its older version stands, if that is known; else NO_ROW
    Record *base  # that version when it was encoded, held: its address is nobody else's meanwhile; NULL: none
    bint deletion


cdef enum:
    MAX_COMING = 16  # items of which something is known before they are encoded; a power of two
    SHORT_KEY = 320  # bytes of a key that is looked up before its object is encoded: more than names can have


cdef struct Coming:
    # An item that will be encoded.
    Py_hash_t hash
    Py_ssize_t size  # of its key, as it seems; -1: not known
    char[SHORT_KEY] key


cdef struct Block:
    # Memory of texts, in a chain.
    Block *next
    Py_ssize_t size
    Py_ssize_t used
    char text[1]


@cython.final
@cython.no_gc_clear  # __dealloc__ needs the store
cdef class Batch:
    """Changes that are encoded and checked, and not made yet: nothing of them can be seen in the cache."""

    cdef Store store
    cdef Rows rows
    cdef Indexes indexes
    cdef Pending *changes
    cdef Py_ssize_t count
    cdef Py_ssize_t room
    # What each change brings for each index: `width` texts for every change.
    cdef Slice *texts
    cdef Py_ssize_t width
    cdef Block *blocks  # the newest first
    cdef bint leaned  # the change that was added last was encoded with the one before it as its hint

    cdef int add(self, object item, bint deletion) except -1
    cdef int add_all(self, list items, list deletions) except -1
    cdef int add_removal(self, Record *record, Py_hash_t hash) except -1
    cdef int widen(self) except -1
    cdef inline const Slice *texts_of(self, Py_ssize_t change) noexcept:
        """What a change brings, or NULL: nothing, since it is a deletion."""
        return NULL if self.changes[change].deletion else &self.texts[change * self.width]
    cdef int shorten(self, Py_ssize_t count) except -1

    # Inside.
    cdef int add_known(self, object item, bint deletion, const Coming *coming) except -1
    cdef Record *encode(self, bytes data, const Coming *coming, Record **base) except NULL
    cdef Record *hint_for(self, const Coming *coming, Record **base) noexcept
    cdef int encode_again(self, Py_ssize_t number) except -1
    cdef int reserve(self) except -1
    cdef int find_texts(self, Py_ssize_t change, Record *record, bint deletion, bint is_new, Object obj) except -1
    cdef int find_values(self, Py_ssize_t change, Py_ssize_t first, Record *record, bint is_new) except -1
    cdef int ask_functions(self, Py_ssize_t change, Py_ssize_t first, Object obj) except -1
    cdef Slice keep(self, Slice text, Slice like) except *


cdef Batch new_batch(Store store, Rows rows, Indexes indexes)
