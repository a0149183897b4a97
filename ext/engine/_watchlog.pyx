"""The ring of changes of one resource, and the cursors that read it."""

cimport cython
from cpython.pythread cimport PyThread_get_thread_ident
from engine._object cimport Object, restamped, value_in
from engine._selectors cimport Term, field_selector_of, label_selector_of, text_of_field

from bisect import bisect_left
from collections import deque
from itertools import islice
from time import monotonic

cdef enum:
    FIRST_SLOTS = 128
    RECORD_BYTES = 200  # what a record costs beside its JSON

cdef tuple TYPES = ("ADDED", "MODIFIED", "DELETED")


class Expired(Exception):
    """The cursor fell off the end of the ring, or asked for history that is gone. Over HTTP: 410."""


cdef Event new_event(str type, Object obj, Object old, long long revision):
    cdef Event event = Event.__new__(Event)
    event.type = type
    event.key = obj.key
    event.revision = revision
    event.object = obj
    event.old = old
    return event


@cython.final
@cython.no_gc
cdef class Event:
    """One change as a reader sees it: type, key, revision, object, old, encoded."""

    def __init__(self):
        raise TypeError("events come from a WatchLog")

    @property
    def encoded(self):
        if self.line is None:
            self.line = b'{"type":"' + self.type.encode() + b'","object":' + self.object.raw + b"}\n"
        return self.line

    def __repr__(self):
        return f"<Event {self.type} {self.key} at {self.revision}>"


@cython.final
cdef class FieldBucket:
    cdef int file(self, long long number, str value, str before) except -1:
        self.trace.append((number, value, before))
        for text in (value,) if before is None else (value, before):
            numbers = self.filed.get(text)
            if numbers is None:
                numbers = self.filed[text] = deque()
            numbers.append(number)
        return 0

    cdef int evict(self, long long number) except -1:
        cdef tuple oldest
        if number < self.since or not self.trace:
            return 0
        oldest = self.trace.popleft()
        for text in (oldest[1],) if oldest[2] is None else (oldest[1], oldest[2]):
            numbers = self.filed[text]
            numbers.popleft()
            if not numbers:
                del self.filed[text]
        return 0


@cython.final
cdef class WatchLog:
    """A ring of the last changes of one resource, read by cursors.

    The contract of every method is in engine/_watchlog.pyi.
    """

    def __init__(self, *, double min_seconds=75.0, long long max_events=1_000_000, long long max_bytes=1 << 30,
                 long long resource_version=0, clock=monotonic):
        if max_events < 1 or max_bytes < 1 or min_seconds < 0:
            raise ValueError("max_events and max_bytes must be positive, min_seconds not negative")
        self.slots = [None] * FIRST_SLOTS
        self.mask = FIRST_SLOTS - 1
        self.min_seconds = min_seconds
        self.max_events = max_events
        self.max_bytes = max_bytes
        self.clock = clock
        self.resource_version = self.floor = resource_version
        self.waiting = {}
        self.waiting_namespace = {}
        self.buckets = {}

    cdef int check_thread(self) except -1:
        cdef unsigned long here = <unsigned long>PyThread_get_thread_ident()
        if self.writer != here:
            if self.writer:
                raise RuntimeError(f"WatchLog is written by thread {self.writer}, not {here}")
            self.writer = here
        return 0

    # --- Writing ---

    def append(self, str type not None, Object object not None, Object old):
        if type not in TYPES:
            raise ValueError(f"type {type!r} is none of {', '.join(TYPES)}")
        self.record(type, object, old, object.resource_version)

    cdef int record(self, str type, Object obj, Object old, long long revision) except -1:
        """`revision` counts as the newest known when it is older: order is the order of appends."""
        cdef Event event
        self.check_thread()
        if revision < self.resource_version:
            revision = self.resource_version
        event = new_event(type, obj, old, revision)
        event.recorded = self.clock()
        self.make_room(event)
        self.slots[self.head & self.mask] = event
        self.head += 1
        self.resource_version = revision
        if self.buckets or self.waiting or self.waiting_namespace:
            self.wake(event)
        return 0

    cdef int make_room(self, Event event) except -1:
        cdef long long size = RECORD_BYTES + len(event.object.raw)
        while self.head > self.tail and self.held_bytes + size > self.max_bytes:
            self.evict()
        while self.head - self.tail >= self.max_events:
            self.evict()
        if self.head - self.tail > self.mask:
            if event.recorded - (<Event>self.slots[self.tail & self.mask]).recorded > self.min_seconds:
                self.evict()
            else:
                self.grow()
        self.held_bytes += size
        return 0

    cdef int evict(self) except -1:
        cdef Event oldest = <Event>self.slots[self.tail & self.mask]
        self.floor = oldest.revision
        self.held_bytes -= RECORD_BYTES + len(oldest.object.raw)
        self.slots[self.tail & self.mask] = None
        for bucket in self.buckets.values():
            (<FieldBucket>bucket).evict(self.tail)
        self.tail += 1
        return 0

    cdef int grow(self) except -1:
        cdef Py_ssize_t wider = 2 * self.mask + 1
        cdef list slots = [None] * (wider + 1)
        cdef long long number
        for number in range(self.tail, self.head):
            slots[number & wider] = self.slots[number & self.mask]
        self.slots = slots
        self.mask = wider
        return 0

    def advance(self, long long resource_version):
        self.check_thread()
        if resource_version > self.resource_version:
            self.resource_version = resource_version

    def expire(self):
        self.check_thread()
        while self.tail < self.head:
            self.evict()
        self.floor = self.resource_version

    def close(self):
        cdef Cursor cursor
        cdef list parked = []
        self.check_thread()
        self.closed = True
        parked += self.waiting
        for cursors in self.waiting_namespace.values():
            parked += cursors
        for bucket in self.buckets.values():
            for cursors in (<FieldBucket>bucket).parked.values():
                parked += cursors
        for cursor in parked:
            cursor.next = self.head
            unpark(cursor)
            resume(cursor)

    # --- Waking ---

    cdef int wake(self, Event event) except -1:
        cdef FieldBucket bucket
        cdef Object obj = event.object
        cdef Object old = event.old
        cdef str value, before
        if self.waiting:
            wake_all(self.waiting, event)
        if self.waiting_namespace:
            cursors = self.waiting_namespace.get(obj.namespace)
            if cursors is not None:
                wake_all(cursors, event)
        for name, item in list(self.buckets.items()):
            bucket = <FieldBucket>item
            if not bucket.readers:
                del self.buckets[name]
                continue
            value = text_of_field(value_in(obj, bucket.path))
            before = None if old is None else text_of_field(value_in(old, bucket.path))
            if before == value:
                before = None
            bucket.file(self.head - 1, value, before)
            if bucket.parked:
                for text in (value, before):
                    cursors = bucket.parked.get(text)
                    if cursors is not None:
                        wake_all(cursors, event)
        return 0

    # --- Reading ---

    def cursor(self, resource_version=None, *, str namespace=None, label_selector=None, field_selector=None):
        cdef Cursor cursor = Cursor.__new__(Cursor)
        cursor.log = self
        cursor.namespace = namespace or None
        cursor.labels = label_selector_of(label_selector)
        cursor.fields = field_selector_of(field_selector)
        cursor.passed = self.resource_version if resource_version is None else resource_version
        if cursor.passed < self.floor:
            raise Expired(f"too old resource version: {cursor.passed} ({self.floor})")
        cursor.next = self.head if resource_version is None else self.first_after(cursor.passed)
        cursor.after = cursor.passed if cursor.passed > self.resource_version else -1
        choose_bucket(cursor)
        return cursor

    cdef long long first_after(self, long long revision):
        cdef long long low = self.tail, high = self.head, middle
        while low < high:
            middle = (low + high) >> 1
            if (<Event>self.slots[middle & self.mask]).revision > revision:
                high = middle
            else:
                low = middle + 1
        return low

    @property
    def oldest(self):
        return self.floor

    @property
    def nbytes(self):
        return self.held_bytes + 8 * len(self.slots)

    def __len__(self):
        return self.head - self.tail


# --- Cursors ----------------------------------------------------------------------------------------------------------


cdef int choose_bucket(Cursor cursor) except -1:
    """A cursor that asks for one value of a path is served by that value's records."""
    cdef WatchLog log = cursor.log
    cdef FieldBucket bucket
    cdef Term term
    if cursor.fields is None:
        return 0
    for item in cursor.fields.terms:
        term = <Term>item
        if not term.equal:
            continue
        bucket = <FieldBucket>log.buckets.get(term.path.text)
        if bucket is None:
            bucket = FieldBucket.__new__(FieldBucket)
            bucket.path = term.path
            bucket.since = log.head
            bucket.filed = {}
            bucket.trace = deque()
            bucket.parked = {}
            log.buckets[term.path.text] = bucket
        bucket.readers += 1
        cursor.bucket = bucket
        cursor.value = term.value
        break
    return 0


cdef int park(Cursor cursor) except -1:
    cdef WatchLog log = cursor.log
    if cursor.bucket is not None:
        cursor.bucket.parked.setdefault(cursor.value, {})[cursor] = None
    elif cursor.namespace is not None:
        log.waiting_namespace.setdefault(cursor.namespace, {})[cursor] = None
    else:
        log.waiting[cursor] = None
    return 0


cdef int unpark(Cursor cursor) except -1:
    cdef WatchLog log = cursor.log
    if cursor.bucket is not None:
        drop(cursor.bucket.parked, cursor.value, cursor)
    elif cursor.namespace is not None:
        drop(log.waiting_namespace, cursor.namespace, cursor)
    else:
        del log.waiting[cursor]
    return 0


cdef int drop(dict groups, str name, Cursor cursor) except -1:
    cdef dict group = groups[name]
    del group[cursor]
    if not group:
        del groups[name]
    return 0


cdef int resume(Cursor cursor) except -1:
    future = cursor.future
    cursor.future = None
    if not future.done():
        future.set_result(None)
    return 0


cdef int wake_all(dict cursors, Event event) except -1:
    """What the cursors slept through did not concern them: they go on at this record."""
    cdef Cursor cursor
    for item in list(cursors):
        cursor = <Cursor>item
        if cursor.seen(event) is not None:
            cursor.next = cursor.log.head - 1
            unpark(cursor)
            resume(cursor)
    return 0


cdef object running_loop = None  # asyncio.get_running_loop, once asyncio is needed


cdef object new_future():
    global running_loop
    if running_loop is None:
        import asyncio

        running_loop = asyncio.get_running_loop
    return running_loop().create_future()


@cython.final
cdef class Cursor:
    """A position in a WatchLog: next_batch() never blocks, wait() sleeps until there may be more."""

    def __init__(self):
        raise TypeError("use WatchLog.cursor")

    def __dealloc__(self):
        if self.bucket is not None:
            self.bucket.readers -= 1

    cdef Event seen(self, Event record):
        """The record as this cursor's selector sees it; None when it does not."""
        cdef bint now, before
        if record.revision <= self.after:
            return None
        if self.namespace is not None and record.object.namespace != self.namespace:
            return None
        if self.labels is None and self.fields is None:
            return record
        now = self.selects(record.object)
        before = self.selects(record.old) if record.old is not None else record.type == "DELETED" and now
        if record.type == "DELETED":
            return record if before else None
        if now and before:
            return record
        if now:
            if record.type == "ADDED":
                return record
            if record.entered is None:
                record.entered = new_event("ADDED", record.object, record.old, record.revision)
            return record.entered
        if before:
            if record.left is None:
                record.left = new_event("DELETED", restamped(record.old, record.revision), record.old, record.revision)
            return record.left
        return None

    cdef bint selects(self, Object obj) except -1:
        if self.labels is not None and not self.labels.selects(obj):
            return False
        return self.fields is None or self.fields.selects(obj)

    cdef int check(self) except -1:
        if self.next < self.log.tail:
            raise Expired(f"too old resource version: {self.passed} ({self.log.floor})")
        return 0

    def next_batch(self, Py_ssize_t max_events=1000):
        cdef WatchLog log = self.log
        cdef list found = []
        cdef Event record, event
        if self.future is not None:
            return found
        self.check()
        while self.next < log.head and len(found) < max_events:
            if self.bucket is not None and self.next >= self.bucket.since:
                self.read_filed(found, max_events)
                break
            record = <Event>log.slots[self.next & log.mask]
            event = self.seen(record)
            if event is not None:
                found.append(event)
            self.next += 1
            self.passed = record.revision
        return found

    cdef int read_filed(self, list found, Py_ssize_t max_events) except -1:
        cdef WatchLog log = self.log
        cdef Event record, event
        cdef long long number
        numbers = self.bucket.filed.get(self.value)
        if numbers is not None and numbers[len(numbers) - 1] >= self.next:
            for number in islice(numbers, bisect_left(numbers, self.next), None):
                record = <Event>log.slots[number & log.mask]
                event = self.seen(record)
                if event is None:
                    continue
                found.append(event)
                if len(found) >= max_events:
                    self.next = number + 1
                    self.passed = record.revision
                    return 0
        self.next = log.head
        self.passed = (<Event>log.slots[(log.head - 1) & log.mask]).revision
        return 0

    cdef bint has_filed(self) except -1:
        if self.next < self.bucket.since:
            return True
        numbers = self.bucket.filed.get(self.value)
        return numbers is not None and numbers[len(numbers) - 1] >= self.next

    async def wait(self):
        if self.future is not None:
            raise RuntimeError("another task waits on this cursor")
        if self.log.closed:
            return
        if self.next != self.log.head:
            if self.next < self.log.tail or self.bucket is None or self.has_filed():
                return
            self.next = self.log.head  # all that came is for others
        future = self.future = new_future()
        park(self)
        try:
            await future
        finally:
            if self.future is future:  # cancelled while parked: nothing until now was for this cursor
                self.future = None
                unpark(self)
                self.next = self.log.head

    @property
    def resource_version(self):
        cdef long long version
        if self.future is not None or self.next == self.log.head:
            return max(self.passed, self.log.resource_version)
        if self.next < self.log.tail:
            return self.passed
        # Records of one replace share a revision, which is handed out when the last of them is.
        version = (<Event>self.log.slots[self.next & self.log.mask]).revision - 1
        return min(self.passed, version)

    @property
    def pending(self):
        if self.future is not None:
            return 0
        return self.log.head - self.next

    def __repr__(self):
        return f"<Cursor at {self.resource_version}, {self.pending} pending>"
