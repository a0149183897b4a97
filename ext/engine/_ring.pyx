"""The last changes of one resource as slots in C, and the Events that readers share."""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from engine._ahead cimport prefetch
from engine._object cimport raw_of, restamped, view_of
from engine._store cimport Record, Store, hold
from libc.stdint cimport int64_t, uint8_t, uint32_t

cdef enum:
    # What is kept of Events for readers to come; whoever holds one more keeps it alive himself.
    KEPT_EVENTS = 16384  # a power of two
    KEPT_LINE_BYTES = 32 << 20
    FIRST_KEPT = 64
    RECORDS_AHEAD = 8  # that are read from memory before they go

cdef tuple TYPES = ("ADDED", "MODIFIED", "DELETED")
cdef dict BEGINNINGS = {type: b'{"type":"' + type.encode() + b'","object":' for type in TYPES}


# --- Events -----------------------------------------------------------------------------------------------------------


cdef Event new_event(str type, Store store, Record *record, Record *old, int64_t revision, int64_t stamp):
    cdef Event event = Event.__new__(Event)
    event.type = type
    event.revision = revision
    event.store = store
    event.record = hold(record)
    event.old_record = NULL if old == NULL else hold(old)
    event.stamp = stamp
    return event


@cython.final
@cython.no_gc
@cython.freelist(256)  # Python's memory for so many is used again at once
cdef class Event:
    """One change as a reader sees it: type, key, revision, object, old, encoded."""

    def __init__(self):
        raise TypeError("events come from a WatchLog")

    def __dealloc__(self):
        if self.record != NULL:
            self.store.drop(self.record)
        if self.old_record != NULL:
            self.store.drop(self.old_record)

    @property
    def key(self):
        if self.name is None:
            self.name = self.store.key(self.record)
        return self.name

    @property
    def object(self):
        if self.view is None:
            found = view_of(self.store, self.record)
            self.view = restamped(found, self.stamp) if self.stamp else found
        return self.view

    @property
    def old(self):
        if self.old_view is None and self.old_record != NULL:
            self.old_view = view_of(self.store, self.old_record)
        return self.old_view

    @property
    def encoded(self):
        cdef bytes raw
        cdef Ring ring
        if self.line is None:
            raw = raw_of(self.object) if self.stamp else self.store.raw(self.record)
            self.line = b"".join((BEGINNINGS[self.type], raw, b"}\n"))
            if self.keeper != NULL:
                ring = <Ring>self.keeper  # alive: it takes the pointer back when it lets go of the event or ends
                ring.line_bytes += len(self.line)
                ring.trim(KEPT_EVENTS)
        return self.line

    def __repr__(self):
        return f"<Event {self.type} {self.key} at {self.revision}>"


cdef long long disown(Event event) noexcept:
    """The ring keeps the event no longer. Returns the bytes of its lines."""
    cdef long long size = 0
    if event is None:
        return 0
    event.keeper = NULL
    if event.line is not None:
        size = len(event.line)
    return size + disown(event.entered) + disown(event.left)


# --- The ring ---------------------------------------------------------------------------------------------------------


@cython.final
@cython.no_gc
cdef class Ring:
    def __cinit__(self):
        self.resize(FIRST_SLOTS)

    def __dealloc__(self):
        while self.tail < self.head:
            self.evict()
        PyMem_Free(self.slots)
        PyMem_Free(self.kept)

    cdef Slot *at(self, int64_t number) noexcept:
        return &self.slots[number & self.mask]

    cdef int64_t first_after(self, int64_t revision) noexcept:
        """The number of the first record behind `revision`; head if there is none. O(log n)"""
        cdef int64_t low = self.tail, high = self.head, middle
        while low < high:
            middle = (low + high) >> 1
            if self.at(middle).revision > revision:
                high = middle
            else:
                low = middle + 1
        return low

    cdef long long charge(self, Change change, Record *object, Record *old) noexcept:
        """Bytes of records that are held on account of this change. A cache's newest states are the cache's: what it no
        longer has is `old`, and the state that a deletion brought."""
        cdef long long size = 0 if old == NULL else old.size
        if object != old and (change == DELETED or not self.shared):
            size += object.size
        return size

    cdef int put(self, Change change, Record *object, Record *old, int64_t revision, uint32_t recorded) noexcept:
        """There must be room."""
        cdef Slot *slot = self.at(self.head)
        slot.revision = revision
        slot.object = hold(object)
        slot.old = NULL if old == NULL else hold(old)
        slot.event = NULL
        slot.recorded = recorded
        slot.change = <uint8_t>change
        self.held_bytes += self.charge(change, object, old)
        self.head += 1
        return 0

    cdef int64_t evict(self) noexcept:
        """Forgets the oldest record and returns its revision. There must be one."""
        cdef Slot oldest = self.at(self.tail)[0]
        cdef Slot *later = self.at(min(self.tail + RECORDS_AHEAD, self.head - 1))
        prefetch(later.object)
        prefetch(later.old)
        self.at(self.tail).event = NULL
        self.tail += 1
        self.held_bytes -= self.charge(<Change>oldest.change, oldest.object, oldest.old)
        self.let_go(&oldest)
        if oldest.old != NULL:
            self.store.drop(oldest.old)
        self.store.drop(oldest.object)
        return oldest.revision

    cdef int resize(self, int64_t capacity) except -1:
        """To a power of two that has room for what is held."""
        cdef Slot *slots = <Slot *>PyMem_Malloc(capacity * sizeof(Slot))
        cdef int64_t number
        if slots == NULL:
            raise MemoryError
        for number in range(self.tail, self.head):
            slots[number & (capacity - 1)] = self.slots[number & self.mask]
        PyMem_Free(self.slots)
        self.slots = slots
        self.mask = capacity - 1
        return 0

    # --- Kept Events ---

    cdef Event event_at(self, int64_t number):
        """What all readers of the record share."""
        cdef Slot *slot = self.at(number)
        cdef Event event
        cdef int64_t stamp = 0
        if slot.event != NULL:
            return <Event>slot.event
        if slot.change == DELETED and slot.object == slot.old and slot.object.revision != slot.revision:
            stamp = slot.revision
        event = new_event(TYPES[slot.change], self.store, slot.object, slot.old, slot.revision, stamp)
        self.keep(number)
        event.keeper = <PyObject *>self  # borrowed: `disown` takes it back before the ring ends
        Py_INCREF(event)  # the slot's
        slot.event = <PyObject *>event
        return event

    cdef Event event_for(self, int64_t number, Verdict verdict):
        """The record as all readers with this verdict share it."""
        cdef Event event = self.event_at(number)
        if verdict == ENTERED:
            if event.entered is None:
                event.entered = new_event("ADDED", self.store, event.record, event.old_record, event.revision, 0)
                event.entered.keeper = event.keeper
            return event.entered
        if verdict == LEFT:
            if event.left is None:
                event.left = new_event(
                    "DELETED", self.store, event.old_record, event.old_record, event.revision, event.revision
                )
                event.left.keeper = event.keeper
            return event.left
        return event

    cdef int keep(self, int64_t number) except -1:
        """Notes that the record's Event is about to be kept; the oldest one makes room."""
        cdef int64_t *wider
        cdef int64_t capacity, i
        while self.kept_tail < self.kept_head and self.kept[self.kept_tail & self.kept_mask] < self.tail:
            self.kept_tail += 1
        self.trim(KEPT_EVENTS - 1)
        if self.kept == NULL or self.kept_head - self.kept_tail > self.kept_mask:
            capacity = FIRST_KEPT if self.kept == NULL else 2 * (self.kept_mask + 1)
            wider = <int64_t *>PyMem_Malloc(capacity * sizeof(int64_t))
            if wider == NULL:
                raise MemoryError
            for i in range(self.kept_tail, self.kept_head):
                wider[i & (capacity - 1)] = self.kept[i & self.kept_mask]
            PyMem_Free(self.kept)
            self.kept = wider
            self.kept_mask = capacity - 1
        self.kept[self.kept_head & self.kept_mask] = number
        self.kept_head += 1
        self.kept_events += 1
        return 0

    cdef int trim(self, long long limit) noexcept:
        """Lets go of the oldest kept Events until there are `limit` and their lines fit."""
        cdef int64_t number
        while self.kept_tail < self.kept_head and (
            self.kept_head - self.kept_tail > limit or self.line_bytes > KEPT_LINE_BYTES
        ):
            number = self.kept[self.kept_tail & self.kept_mask]
            self.kept_tail += 1
            if number >= self.tail:
                self.let_go(self.at(number))
        return 0

    cdef int let_go(self, Slot *slot) noexcept:
        """Readers that hold the Event keep it; another one is made when the record is asked for again."""
        cdef PyObject *event = slot.event
        if event != NULL:
            slot.event = NULL
            self.kept_events -= 1
            self.line_bytes -= disown(<Event>event)
            Py_DECREF(<object>event)  # may free it, so it comes last
        return 0

    cdef long long nbytes(self):
        """All that is held: slots, records, kept Events with their lines. Of a cache's store it counts what `charge`
        says; a store of its own, whole."""
        cdef long long size = (self.mask + 1) * sizeof(Slot) + self.line_bytes
        size += self.kept_events * <long long>Event.__basicsize__
        if self.kept != NULL:
            size += (self.kept_mask + 1) * sizeof(int64_t)
        if self.shared:
            return size + self.held_bytes
        return size if self.store is None else size + self.store.nbytes()
