cimport cython
from engine._object cimport Object
from engine._ring cimport ADDED, DELETED, MODIFIED, Change, Ring
from engine._watchers cimport Probe, Selection
from engine._store cimport Record, Store
from libc.stdint cimport int64_t, uint32_t


@cython.final
@cython.no_gc_clear  # cursors look at it when they go; the dicts in between can be cleared
cdef class WatchLog:
    cdef Ring ring
    # Bounds beside which the ring grows and shrinks.
    cdef uint32_t min_ticks
    cdef long long max_events
    cdef long long max_bytes
    cdef object clock
    # Revisions: newest known; a reader below `floor` has lost history.
    cdef readonly long long resource_version
    cdef long long floor
    cdef readonly bint closed
    cdef unsigned long writer  # the thread that writes; 0 before the first write
    # Readers: what they select, as long as one does, (namespace, labels, fields) -> Selection; what stands at the paths
    # that they ask one value of, path text -> FieldBucket; Selections with parked cursors by the namespace that can
    # wake them (None: any), in ordered sets: dict to None.
    cdef Probe probe
    cdef dict selections
    cdef dict buckets
    cdef dict waiting

    # What a Cache calls. `share`: the log's records are of this store from now on; ValueError when it holds others.
    # `record`: takes counts of its own on both records; a DELETED whose `object` is `old` is told stamped with
    # `revision`. The change must stand in the cache before, and nothing may be pending there: it can run Python code.
    cdef int share(self, Store store) except -1
    cdef uint32_t ticks(self) except? 0xFFFFFFFF
    cdef int record(self, Change change, Record *object, Record *old, int64_t revision, uint32_t now) except -1

    cdef int add(self, str type, Object obj, Object old, int64_t revision) except -1
    cdef int adopt(self, Store store) except -1
    cdef int check_thread(self) except -1
    cdef int make_room(self, long long charge, uint32_t now) except -1
    cdef int shrink(self, uint32_t now) except -1
    cdef int resize(self, int64_t capacity) except -1
    cdef int wake(self, int64_t number) except -1
    cdef int rouse(self, dict group, int64_t number, list futures) except -1
    cdef Selection selection(self, tuple key)
    cdef int forget(self, Selection selection) except -1


@cython.final
@cython.no_gc_clear  # __dealloc__ looks at log and selection; whatever refers back to a cursor can be cleared
cdef class Cursor:
    cdef WatchLog log
    cdef Selection selection
    cdef int64_t next  # number of the next record to read
    cdef int64_t link  # a record not behind `next` in the chain of the selection's mark, to go on from; or NONE
    cdef int64_t after  # not wanted: records up to this revision, which lay ahead when the cursor was made; or -1
    cdef int64_t passed  # revision of the last record read
    cdef object future  # while parked

    cdef int check(self) except -1
    cdef int skip(self) noexcept
    cdef list take(self, Py_ssize_t max_events)
    cdef int tell(self, list found, int64_t number) except -1
    cdef int read_filed(self, list found, Py_ssize_t max_events) except -1
    cdef int64_t next_filed(self) noexcept
