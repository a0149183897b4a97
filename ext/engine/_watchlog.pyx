"""The log of changes of one resource, and the cursors that read it."""

cimport cython
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.ref cimport Py_INCREF
from engine._object cimport Object, bind, record_of, revision_of
from engine._ring cimport ADDED, DELETED, FIRST_SLOTS, IGNORED, MODIFIED, Change, Event, Ring, Slot, Verdict
from engine._watchers cimport NONE, Asked, Condition, FieldBucket, Probe, Selection, new_bucket, new_selection
from engine._selectors cimport field_selector_of, label_selector_of
from engine._store cimport Record, Store, hold
from libc.stdint cimport UINT32_MAX, int64_t, uint32_t

from time import monotonic

cdef enum:
    TICKS_PER_SECOND = 16  # of the time at which a record came
    SHRINK_STEP = 16  # records that one append evicts while the ring shrinks

cdef dict CHANGES = {"ADDED": ADDED, "MODIFIED": MODIFIED, "DELETED": DELETED}


class Expired(Exception):
    """The cursor fell off the end of the ring, or asked for history that is gone. Over HTTP: 410."""


@cython.final
@cython.no_gc_clear
cdef class WatchLog:
    """A ring of the last changes of one resource, read by cursors.

    The contract of every method is in engine/_watchlog.pyi.
    """

    def __cinit__(self, *args, **options):
        self.ring = Ring.__new__(Ring)
        self.probe = Probe.__new__(Probe)
        self.selections = {}
        self.buckets = {}
        self.waiting = {}

    def __init__(self, *, double min_seconds=75.0, long long max_events=1_000_000, long long max_bytes=1 << 30,
                 long long resource_version=0, clock=monotonic):
        if max_events < 1 or max_bytes < 1 or not min_seconds >= 0:
            raise ValueError("max_events and max_bytes must be positive, min_seconds not negative")
        # One tick more, since what is shorter than a tick may count as one.
        self.min_ticks = <uint32_t>min(min_seconds * TICKS_PER_SECOND + 1, <double>UINT32_MAX)
        self.max_events = max_events
        self.max_bytes = max_bytes
        self.clock = clock
        self.resource_version = self.floor = resource_version

    cdef int check_thread(self) except -1:
        cdef unsigned long here = <unsigned long>PyThread_get_thread_ident()
        if self.writer != here:
            if self.writer:
                raise RuntimeError(f"WatchLog is written by thread {self.writer}, not {here}")
            self.writer = here
        return 0

    cdef int share(self, Store store) except -1:
        if store is not self.ring.store:
            if self.ring.shared or self.ring.head != self.ring.tail:
                raise ValueError("the log holds records of another store")
            self.adopt(store)
        self.ring.shared = True
        return 0

    cdef int adopt(self, Store store) except -1:
        cdef FieldBucket bucket
        self.ring.store = self.probe.store = store
        for item in self.buckets.values():
            bucket = <FieldBucket>item
            bucket.watched = self.probe.watch(bucket.path)
        for item in self.selections.values():
            (<Selection>item).watch(self.probe)
        return 0

    # --- Writing ---

    def append(self, str type not None, Object object not None, Object old):
        if type not in CHANGES:
            raise ValueError(f"type {type!r} is none of {', '.join(CHANGES)}")
        self.add(type, object, old, revision_of(object))

    cdef int add(self, str type, Object obj, Object old, int64_t revision) except -1:
        """A change of objects: the records are those that they are views of, or made of them."""
        cdef Record *before = NULL
        cdef Record *now
        self.check_thread()
        if self.ring.store is None:
            self.adopt(Store.__new__(Store))
        if old is not None:
            before = record_of(self.ring.store, old, NULL)
        try:
            now = hold(before) if obj is old else record_of(self.ring.store, obj, before)
            bind(obj, self.ring.store, now)  # when it comes back as `old` it is this record
            try:
                self.record(<Change><int>CHANGES[type], now, before, revision, self.ticks())
            finally:
                self.ring.store.drop(now)
        finally:
            if before != NULL:
                self.ring.store.drop(before)
        return 0

    cdef uint32_t ticks(self) except? 0xFFFFFFFF:
        """The time of changes that are recorded now."""
        cdef double seconds = self.clock()
        return <uint32_t><int64_t>(seconds * TICKS_PER_SECOND)

    cdef int record(self, Change change, Record *object, Record *old, int64_t revision, uint32_t now) except -1:
        """`revision` counts as the newest known when it is older: order is the order of appends."""
        self.check_thread()
        self.make_room(self.ring.charge(change, object, old), now)
        if revision < self.resource_version:
            revision = self.resource_version
        self.ring.put(change, object, old, revision, now)
        self.resource_version = revision
        if self.waiting or self.buckets:
            self.wake(self.ring.head - 1)
        return 0

    cdef int make_room(self, long long charge, uint32_t now) except -1:
        cdef Ring ring = self.ring
        cdef long long room = self.max_bytes - charge - <long long>sizeof(Slot)
        while ring.head > ring.tail and (
            ring.head - ring.tail >= self.max_events
            or ring.held_bytes + (ring.head - ring.tail) * <long long>sizeof(Slot) > room
        ):
            self.floor = ring.evict()
        if ring.mask >= FIRST_SLOTS:
            self.shrink(now)
        if ring.head - ring.tail > ring.mask:
            if now - ring.at(ring.tail).recorded >= self.min_ticks:
                self.floor = ring.evict()
            else:
                self.resize(2 * (ring.mask + 1))
        return 0

    cdef int shrink(self, uint32_t now) except -1:
        """Halves a ring that is mostly empty, or whose newest quarter alone spans all the time that is asked for: in
        steps, since every record that goes takes its time."""
        cdef Ring ring = self.ring
        cdef int64_t half = (ring.mask + 1) // 2
        cdef int _step
        if ring.head - ring.tail > half // 2:
            if now - ring.at(ring.head - half // 2).recorded < self.min_ticks:
                return 0
            for _step in range(SHRINK_STEP):
                if ring.head - ring.tail <= half:
                    break
                self.floor = ring.evict()
        if ring.head - ring.tail <= half:
            self.resize(half)
        return 0

    cdef int resize(self, int64_t capacity) except -1:
        """Ring and buckets; where memory is short in between, a wider bucket does no harm."""
        cdef FieldBucket bucket
        if capacity <= self.ring.mask:
            self.ring.resize(capacity)
        for item in self.buckets.values():
            bucket = <FieldBucket>item
            bucket.resize(capacity, max(self.ring.tail, bucket.since), self.ring.head)
        if capacity > self.ring.mask + 1:
            self.ring.resize(capacity)
        return 0

    def advance(self, long long resource_version):
        self.check_thread()
        if resource_version > self.resource_version:
            self.resource_version = resource_version

    def expire(self):
        self.check_thread()
        while self.ring.tail < self.ring.head:
            self.ring.evict()
        self.floor = self.resource_version
        self.resize(FIRST_SLOTS)

    def close(self):
        cdef list futures = []
        cdef Cursor cursor
        self.check_thread()
        self.closed = True
        for selection in list(self.selections.values()):
            for item in list((<Selection>selection).parked):
                cursor = <Cursor>item
                cursor.next = self.ring.head
                futures.append(unpark(cursor))
        resume(futures)

    # --- Waking ---

    cdef int wake(self, int64_t number) except -1:
        cdef Slot *slot = self.ring.at(number)
        cdef list futures = []
        cdef FieldBucket bucket
        cdef Asked now
        cdef uint32_t mark, before
        if self.waiting:
            self.rouse(<dict>self.waiting.get(None), number, futures)
            self.rouse(<dict>self.waiting.get(self.ring.store.namespace(slot.object)), number, futures)
        for item in self.buckets.values():
            bucket = <FieldBucket>item
            mark = before = bucket.mark_in(self.probe, slot.object)
            now = bucket.met
            if slot.old != NULL and slot.old != slot.object:
                before = bucket.mark_in(self.probe, slot.old)
            bucket.file(number, max(self.ring.tail, bucket.since), mark, before)
            if now is not None and now.waiting:
                self.rouse(now.waiting, number, futures)
            if bucket.met is not None and bucket.met.waiting and bucket.met is not now:
                self.rouse(bucket.met.waiting, number, futures)
        if futures:
            resume(futures)
        return 0

    cdef int rouse(self, dict group, int64_t number, list futures) except -1:
        """Unparks the cursors that the record concerns and adds their futures. What they slept through did not concern
        them: they go on at this record."""
        cdef int64_t revision = self.ring.at(number).revision
        cdef Selection selection
        cdef Cursor cursor
        if group is None:
            return 0
        for item in list(group):
            selection = <Selection>item
            if selection.judge(self.probe, number, self.ring.at(number)) == IGNORED:
                continue
            for parked in list(selection.parked):
                cursor = <Cursor>parked
                if revision > cursor.after:
                    cursor.next = number
                    if selection.bucket is not None:
                        cursor.link = number
                    futures.append(unpark(cursor))
        return 0

    # --- Readers ---

    def cursor(self, resource_version=None, *, str namespace=None, label_selector=None, field_selector=None):
        cdef Cursor cursor = Cursor.__new__(Cursor)
        cdef int64_t passed = self.resource_version if resource_version is None else resource_version
        cdef tuple key = (namespace or None, label_selector_of(label_selector), field_selector_of(field_selector))
        if passed < self.floor:
            raise Expired(f"too old resource version: {passed} ({self.floor})")
        cursor.passed = passed
        cursor.next = self.ring.head if resource_version is None else self.ring.first_after(passed)
        cursor.link = NONE
        cursor.after = passed if passed > self.resource_version else -1
        cursor.selection = self.selection(key)
        cursor.selection.readers += 1
        cursor.log = self
        if cursor.selection.readers > 1:
            cursor.selection.remember()
        return cursor

    cdef Selection selection(self, tuple key):
        """What all cursors share that select the same."""
        cdef Selection selection = <Selection>self.selections.get(key)
        cdef FieldBucket bucket
        cdef Condition condition
        if selection is not None:
            return selection
        selection = new_selection(key)
        selection.watch(self.probe)
        condition = selection.exact_condition()
        if condition is not None:
            bucket = <FieldBucket>self.buckets.get(condition.path.text)
            if bucket is None:
                bucket = new_bucket(condition.path, self.ring.mask + 1, self.ring.head)
                bucket.watched = condition.watched
                self.buckets[condition.path.text] = bucket
            selection.join(bucket, condition, self.ring.head)
        self.selections[key] = selection
        return selection

    cdef int forget(self, Selection selection) except -1:
        """Its last cursor is gone."""
        cdef FieldBucket bucket = selection.bucket
        self.selections.pop(selection.key, None)
        if bucket is not None:
            selection.leave()
            if not bucket.asked:
                self.buckets.pop(bucket.path.text, None)
        return 0

    @property
    def oldest(self):
        return self.floor

    @property
    def nbytes(self):
        return self.ring.nbytes() + sum([(<FieldBucket>bucket).nbytes() for bucket in self.buckets.values()])

    def __len__(self):
        return self.ring.head - self.ring.tail


# --- Parked cursors ---------------------------------------------------------------------------------------------------


cdef int park(Cursor cursor) except -1:
    cdef Selection selection = cursor.selection
    cdef dict group
    if not selection.parked:
        if selection.asked is not None:
            group = selection.asked.waiting
        else:
            group = <dict>cursor.log.waiting.setdefault(selection.namespace, {})
        group[selection] = None
    selection.parked[cursor] = None
    return 0


cdef object unpark(Cursor cursor):
    """Returns the future that its waiter awaits."""
    cdef Selection selection = cursor.selection
    cdef object future = cursor.future
    cdef dict group
    cursor.future = None
    del selection.parked[cursor]
    if selection.parked:
        return future
    if selection.asked is not None:
        del selection.asked.waiting[selection]
    else:
        group = <dict>cursor.log.waiting[selection.namespace]
        del group[selection]
        if not group:
            del cursor.log.waiting[selection.namespace]
    return future


cdef int resume(list futures) except -1:
    for future in futures:
        if not future.done() and not future.get_loop().is_closed():  # who waited in a closed loop is gone
            future.set_result(None)
    return 0


cdef object running_loop = None  # asyncio.get_running_loop, once asyncio is needed


cdef object new_future():
    global running_loop
    if running_loop is None:
        import asyncio

        running_loop = asyncio.get_running_loop
    return running_loop().create_future()


# --- Cursors ----------------------------------------------------------------------------------------------------------


@cython.final
@cython.no_gc_clear
cdef class Cursor:
    """A position in a WatchLog: next_batch() never blocks, wait() sleeps until there may be more."""

    def __init__(self):
        raise TypeError("use WatchLog.cursor")

    def __dealloc__(self):
        if self.log is not None:
            self.selection.readers -= 1
            if self.selection.readers == 0:
                self.log.forget(self.selection)

    cdef int check(self) except -1:
        if self.next < self.log.ring.tail:
            raise Expired(f"too old resource version: {self.passed} ({self.log.floor})")
        return 0

    cdef int skip(self) noexcept:
        """Passes over what lay ahead when the cursor was made and was not wanted, if nothing else is gone."""
        cdef Ring ring = self.log.ring
        if self.after >= 0 and (self.next >= ring.tail or self.after >= self.log.floor):
            self.next = max(self.next, ring.first_after(self.after))
            if self.next < ring.head:
                self.after = -1
        return 0

    def next_batch(self, Py_ssize_t max_events=1000):
        cdef Selection selection = self.selection
        cdef Ring ring = self.log.ring
        cdef list found
        if self.future is not None:
            return []
        self.skip()
        self.check()
        if selection.everything:
            return self.take(max_events)
        found = []
        while self.next < ring.head and len(found) < max_events:
            if selection.bucket is not None and self.next >= selection.bucket.since:
                self.read_filed(found, max_events)
                break
            self.tell(found, self.next)
            self.passed = ring.at(self.next).revision
            self.next += 1
        return found

    cdef list take(self, Py_ssize_t max_events):
        cdef Ring ring = self.log.ring
        cdef int64_t count = min(<int64_t>max_events, ring.head - self.next)
        cdef list found
        cdef Event event
        cdef int64_t i
        if count <= 0:
            return []
        found = PyList_New(count)
        for i in range(count):
            event = ring.event_at(self.next + i)
            Py_INCREF(event)  # for the list, which takes it over
            PyList_SET_ITEM(found, i, event)
        self.next += count
        self.passed = ring.at(self.next - 1).revision
        return found

    cdef int tell(self, list found, int64_t number) except -1:
        cdef Ring ring = self.log.ring
        cdef Verdict verdict = self.selection.judge(self.log.probe, number, ring.at(number))
        if verdict != IGNORED:
            found.append(ring.event_for(number, verdict))
        return 0

    cdef int64_t next_filed(self) noexcept:
        """The next record that bears the selection's mark, or NONE. `next` must be among those that are filed."""
        cdef FieldBucket bucket = self.selection.bucket
        return bucket.find(self.selection.mark, self.next, self.link, max(self.log.ring.tail, bucket.since))

    cdef int read_filed(self, list found, Py_ssize_t max_events) except -1:
        cdef Ring ring = self.log.ring
        cdef int64_t number
        while len(found) < max_events:
            number = self.next_filed()
            if number == NONE:
                self.next = ring.head
                self.passed = ring.at(self.next - 1).revision
                break
            self.tell(found, number)
            self.next = number + 1
            self.link = number
            self.passed = ring.at(number).revision
        return 0

    async def wait(self):
        cdef FieldBucket bucket = self.selection.bucket
        if self.future is not None:
            raise RuntimeError("another task waits on this cursor")
        if self.log.closed:
            return
        self.skip()
        if self.next != self.log.ring.head:
            if self.next < self.log.ring.tail or bucket is None or self.next < bucket.since:
                return
            if self.next_filed() != NONE:
                return
            self.next = self.log.ring.head  # all that came is for others
        future = self.future = new_future()
        park(self)
        try:
            await future
        finally:
            if self.future is future:  # cancelled while parked: nothing until now was for this cursor
                unpark(self)
                self.next = self.log.ring.head

    @property
    def resource_version(self):
        cdef Ring ring = self.log.ring
        if self.future is not None or self.next == ring.head:
            return max(self.passed, self.log.resource_version)
        if self.next < ring.tail:
            return self.passed
        # Records of one replace share a revision, which is handed out when the last of them is.
        return min(self.passed, ring.at(self.next).revision - 1)

    @property
    def pending(self):
        if self.future is not None:
            return 0
        return self.log.ring.head - self.next

    def __repr__(self):
        return f"<Cursor at {self.resource_version}, {self.pending} pending>"
