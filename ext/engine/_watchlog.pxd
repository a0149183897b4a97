cimport cython
from cpython.object cimport PyObject
from engine._object cimport Object
from engine._path cimport Path
from engine._selectors cimport FieldSelector, LabelSelector
from engine._store cimport Record, Store
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t


cdef enum Change:
    ADDED
    MODIFIED
    DELETED


cdef enum Verdict:
    # How a reader with a selector sees a record.
    UNSEEN  # not judged yet
    IGNORED
    AS_IS
    ENTERED  # as ADDED: the older state was not selected
    LEFT  # as DELETED: the older state, stamped with the revision


cdef struct Slot:
    # One change. The log holds both records and owns the Event.
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
    cdef Record *old_record
    cdef int64_t stamp
    # Made once, whoever asks first.
    cdef str name
    cdef Object view
    cdef Object old_view
    cdef bytes line
    # How readers see it whose selector the object entered or left; None until one does.
    cdef Event entered
    cdef Event left
    # The log that keeps it, to be told of the line: borrowed, NULL once the log lets go.
    cdef PyObject *keeper


@cython.final
cdef class WatchLog:
    # The memory of the records: a cache's once the log is given to one, else its own; None before the first record.
    cdef Store store
    cdef bint shared  # the store is a cache's
    # The ring: record number n stands in slots[n & mask] while tail <= n < head. Numbers never go back.
    cdef Slot *slots
    cdef int64_t mask
    cdef int64_t head
    cdef int64_t tail
    # Bounds, and what is held against them.
    cdef double min_seconds
    cdef long long max_events
    cdef long long max_bytes
    cdef long long held_bytes
    cdef object clock
    # Numbers of the records whose Event is kept, in the order in which readers first asked: a ring of its own.
    cdef int64_t *kept
    cdef int64_t kept_mask
    cdef int64_t kept_head
    cdef int64_t kept_tail
    cdef long long line_bytes  # of kept Events
    # Revisions: newest known; a reader below `floor` has lost history.
    cdef readonly long long resource_version
    cdef long long floor
    cdef readonly bint closed
    cdef unsigned long writer  # the thread that writes; 0 before the first write
    # Selections with parked cursors by the namespace that can wake them (None: any), each an ordered set: dict to None.
    cdef dict waiting
    # What stands at the paths that cursors ask one value of: path text -> FieldBucket.
    cdef dict buckets
    # What cursors select, as long as one does: (namespace, labels, fields) -> Selection.
    cdef dict selections

    # What a Cache calls. `share`: the log's records are of this store from now on; ValueError when it holds others.
    # `record`: takes counts of its own on both records; a DELETED whose `object` is `old` is told stamped with
    # `revision`. The change must stand in the cache before, and nothing may be pending there: it can run Python code.
    cdef int share(self, Store store) except -1
    cdef int record(self, Change change, Record *object, Record *old, int64_t revision) except -1

    cdef int check_thread(self) except -1
    cdef int make_room(self, int64_t charge) except -1
    cdef int evict(self) except -1
    cdef int resize(self, int64_t capacity) except -1
    cdef int64_t first_after(self, long long revision) noexcept
    cdef Event event_at(self, int64_t number)
    cdef int trim(self) except -1
    cdef int wake(self, int64_t number) except -1


@cython.final
@cython.no_gc
cdef class FieldBucket:
    """The log by the value of one path, as long as cursors want it: each reads its own value's records only."""

    cdef Path path
    cdef int watched  # the path's number in the store; -1: not watched
    cdef Py_ssize_t readers


@cython.final
cdef class Selection:
    """What some cursors select, judged once for all of them."""

    cdef LabelSelector labels
    cdef FieldSelector fields
    cdef str namespace  # None: all
    cdef FieldBucket bucket  # with `mark`: where the records are filed that alone can concern it; or None
    cdef uint64_t mark  # of the value
    cdef dict parked  # ordered set: dict of Cursor to None
    cdef Py_ssize_t readers  # cursors alive


@cython.final
@cython.no_gc_clear  # __dealloc__ looks at its selection; whatever refers back to a cursor can be cleared
cdef class Cursor:
    cdef WatchLog log
    cdef int64_t next  # number of the next record to read
    cdef int64_t after  # not wanted: records up to this revision, which lay ahead when the cursor was made; or -1
    cdef int64_t passed  # revision of the last record read
    cdef Selection selection  # None: everything
    cdef object future  # while parked
