cimport cython
from engine._object cimport Object
from engine._path cimport Path
from engine._selectors cimport FieldSelector, LabelSelector


@cython.final
@cython.no_gc  # objects and events only, from which nothing leads back
cdef class Event:
    cdef readonly str type
    cdef readonly str key
    cdef readonly long long revision
    cdef readonly Object object
    cdef readonly Object old
    # Made once, whoever asks first.
    cdef bytes line
    # How readers see it whose selector the object entered or left; None until one does.
    cdef Event entered
    cdef Event left
    cdef double recorded  # seconds on the log's clock


@cython.final
cdef class WatchLog:
    # The ring: record number n stands in slots[n & mask] while tail <= n < head. Numbers never go back.
    cdef list slots
    cdef Py_ssize_t mask
    cdef long long head
    cdef long long tail
    # Bounds, and what is held against them.
    cdef double min_seconds
    cdef long long max_events
    cdef long long max_bytes
    cdef long long held_bytes
    cdef object clock
    # Revisions: newest known; a reader below `floor` has lost history.
    cdef readonly long long resource_version
    cdef long long floor
    cdef readonly bint closed
    cdef unsigned long writer  # the thread that writes; 0 before the first write
    # Parked cursors by what can wake them. Ordered sets: dict of Cursor to None.
    cdef dict waiting
    cdef dict waiting_namespace  # namespace -> cursors
    # What stands at the paths that cursors ask one value of: path text -> FieldBucket.
    cdef dict buckets

    cdef int record(self, str type, Object obj, Object old, long long revision) except -1
    cdef int check_thread(self) except -1
    cdef int make_room(self, Event event) except -1
    cdef int evict(self) except -1
    cdef int grow(self) except -1
    cdef int wake(self, Event event) except -1
    cdef long long first_after(self, long long revision)


@cython.final
cdef class FieldBucket:
    """The log by the value of one path, as long as cursors want it: each reads its own value's records only."""

    cdef Path path
    cdef long long since  # number of the first record that is filed here
    cdef dict filed  # value -> deque of numbers, ascending; none is empty
    cdef object trace  # deque of (number, value, value before or None), in the order of numbers
    cdef dict parked  # value -> cursors
    cdef Py_ssize_t readers  # cursors alive

    cdef int file(self, long long number, str value, str before) except -1
    cdef int evict(self, long long number) except -1


@cython.final
@cython.no_gc_clear  # __dealloc__ looks at its bucket; whatever refers back to a cursor can be cleared
cdef class Cursor:
    cdef WatchLog log
    cdef long long next  # number of the next record to read
    cdef long long after  # not wanted: records up to this revision, which lay ahead when the cursor was made; or -1
    cdef long long passed  # revision of the last record read
    cdef str namespace  # None: all
    cdef LabelSelector labels
    cdef FieldSelector fields
    cdef FieldBucket bucket  # with `value`: where the records stand that alone can concern it; or None
    cdef str value
    cdef object future  # while parked

    cdef Event seen(self, Event record)
    cdef bint selects(self, Object obj) except -1
    cdef int check(self) except -1
    cdef int read_filed(self, list found, Py_ssize_t max_events) except -1
    cdef bint has_filed(self) except -1
