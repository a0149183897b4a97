cimport cython
from engine._object cimport Object, Path
from engine._selectors cimport FieldSelector, LabelSelector


@cython.final
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
    cdef dict waiting_field  # path text -> FieldBucket

    cdef int record(self, str type, Object obj, Object old, long long revision) except -1
    cdef int check_thread(self) except -1
    cdef int make_room(self, Event event) except -1
    cdef int evict(self) except -1
    cdef int grow(self) except -1
    cdef int forget_parsed(self) except -1
    cdef int wake(self, Event event) except -1
    cdef long long first_after(self, long long revision)


@cython.final
cdef class FieldBucket:
    """Parked cursors that ask for one value of one path."""

    cdef Path path
    cdef dict by_value  # value -> cursors


@cython.final
cdef class Cursor:
    cdef WatchLog log
    cdef long long next  # number of the next record to read
    cdef long long after  # records up to this revision are not wanted
    cdef long long passed  # revision of the last record read
    cdef str namespace  # None: all
    cdef LabelSelector labels
    cdef FieldSelector fields
    cdef Path trigger  # the path and the value that alone can wake it, or None
    cdef str trigger_value
    cdef object future  # while parked

    cdef Event seen(self, Event record)
    cdef bint selects(self, Object obj) except -1
    cdef int check(self) except -1
