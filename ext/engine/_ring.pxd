cimport cython
from cpython.object cimport PyObject
from engine._object cimport Object
from engine._store cimport Record, Store
from libc.stdint cimport int64_t, uint8_t, uint32_t


cdef enum:
    FIRST_SLOTS = 128  # a power of two, as the size of every ring here; no ring has fewer


cdef enum Change:
    ADDED
    MODIFIED
    DELETED


cdef enum Verdict:
    # How a reader with a selector sees a record.
    IGNORED
    AS_IS
    ENTERED  # as ADDED: the older state was not selected
    LEFT  # as DELETED: the older state, stamped with the revision


cdef struct Slot:
    # One change. The ring holds both records and owns the Event.
    int64_t revision
    Record *object
    Record *old  # NULL: there was none
    PyObject *event  # what all readers share, while it is kept; NULL before the first one asks and afterwards
    uint32_t recorded  # ticks of the log's clock; wraps, so only differences count
    uint8_t change


@cython.final
@cython.no_gc  # strings, bytes, Objects and a store only, from which nothing leads back
cdef class Event:
    cdef readonly str type
    cdef readonly long long revision
    # What it tells, held; `stamp` is the revision to put into the object, 0: as it stands.
    cdef Store store
    cdef Record *record
    cdef Record *old_record  # NULL: there was none
    cdef int64_t stamp
    # Made once, whoever asks first.
    cdef str name
    cdef Object view
    cdef Object old_view
    cdef bytes line
    # How readers see it whose selector the object entered or left; None until one does.
    cdef Event entered
    cdef Event left
    # The Ring that keeps it, to be told of the line: borrowed, NULL once it lets go.
    cdef PyObject *keeper


@cython.final
@cython.no_gc  # a store only; Events lead to no ring but by a borrowed pointer
cdef class Ring:
    """The records of one log in C, and the Events that are kept for its readers."""

    # The memory of the records: a cache's once the log is given to one, else its own; None before the first record.
    cdef Store store
    cdef bint shared  # the store is a cache's
    # Record number n stands in slots[n & mask] while tail <= n < head. Numbers never go back.
    cdef Slot *slots
    cdef int64_t mask
    cdef int64_t head
    cdef int64_t tail
    cdef long long held_bytes  # of records that are held on account of the ring
    # Numbers of the records whose Event is kept, in the order in which readers first asked. What was evicted meanwhile
    # is passed over.
    cdef int64_t *kept
    cdef int64_t kept_mask
    cdef int64_t kept_head
    cdef int64_t kept_tail
    cdef long long kept_events
    cdef long long line_bytes  # of these

    cdef Slot *at(self, int64_t number) noexcept
    cdef int64_t first_after(self, int64_t revision) noexcept
    cdef long long charge(self, Change change, Record *object, Record *old) noexcept
    cdef int put(self, Change change, Record *object, Record *old, int64_t revision, uint32_t recorded) noexcept
    cdef int64_t evict(self) noexcept
    cdef int resize(self, int64_t capacity) except -1
    cdef Event event_at(self, int64_t number)
    cdef Event event_for(self, int64_t number, Verdict verdict)
    cdef int keep(self, int64_t number) except -1
    cdef int let_go(self, Slot *slot) noexcept
    cdef int trim(self, long long limit) noexcept
    cdef long long nbytes(self)
