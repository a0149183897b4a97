"""client-go's work queue, in batches."""

cimport cython

from collections import deque
from heapq import heapify, heappop, heappush
from time import monotonic

cdef enum:
    MAX_DOUBLINGS = 60
    SLACK = 64  # entries that do not count are swept out when there are more of them than of those that do

cdef double SHORTEST_TIMER = 0.001  # seconds; a timer that fires early by a rounding error must not spin


cdef inline str namespace_of(str key):
    cdef Py_ssize_t slash = key.find("/")
    return key[:slash] if slash > 0 else ""


@cython.final
cdef class Level:
    def __cinit__(self):
        self.turns = deque()
        self.lines = {}


@cython.final
cdef class WorkQueue:
    """Keys to work on: never two workers on one key, no lost add, at most one pending copy.

    See engine/_workqueue.pyi.
    """

    def __init__(self, *, double base_delay_seconds=0.005, double max_delay_seconds=1000.0, clock=monotonic):
        if base_delay_seconds < 0 or max_delay_seconds < base_delay_seconds:
            raise ValueError("delays must not be negative, and max_delay_seconds not below base_delay_seconds")
        self.ready = {}
        self.levels = {}
        self.priorities = []
        self.working = set()
        self.again = {}
        self.heap = []
        self.delayed = {}
        self.failed = {}
        self.base_delay = base_delay_seconds
        self.max_delay = max_delay_seconds
        self.clock = clock
        self.waiters = deque()

    # --- Adding ---

    def add(self, str key not None, long priority=0):
        if not self.stopped:
            self.push(key, priority)
            self.wake_one()

    def add_many(self, keys, long priority=0):
        if self.stopped:
            return
        for key in keys:
            self.push(check_key(key), priority)
        self.wake_one()

    cdef int push(self, str key, long priority) except -1:
        if key in self.working:
            known = self.again.get(key)
            if known is None or priority > <long>known:
                self.again[key] = priority
            return 0
        known = self.ready.get(key)
        if known is not None and priority <= <long>known:
            return 0
        self.ready[key] = priority
        self.enqueue(key, priority)
        if self.queued > 2 * len(self.ready) + SLACK:
            self.compact()
        return 0

    cdef int enqueue(self, str key, long priority) except -1:
        cdef Level level = <Level>self.levels.get(priority)
        cdef str namespace = namespace_of(key)
        if level is None:
            level = Level.__new__(Level)
            self.levels[priority] = level
            self.priorities.append(priority)
            self.priorities.sort()
        line = level.lines.get(namespace)
        if line is None:
            line = level.lines[namespace] = deque()
            level.turns.append(namespace)
        line.append(key)
        self.queued += 1
        return 0

    cdef int compact(self) except -1:
        """Drops the entries of keys that moved to a higher priority, when they are the most."""
        cdef dict levels = self.levels
        cdef set placed = set()
        self.levels = {}
        self.priorities = []
        self.queued = 0
        for priority, level in levels.items():
            for namespace in (<Level>level).turns:
                for key in (<Level>level).lines[namespace]:
                    if self.ready.get(key) == priority and key not in placed:
                        placed.add(key)
                        self.enqueue(<str>key, priority)
        return 0

    def add_after(self, str key not None, double seconds, long priority=0):
        if self.stopped:
            return
        if seconds <= 0:
            self.push(key, priority)
            self.wake_one()
        else:
            self.delay(key, seconds, priority)

    cdef int delay(self, str key, double seconds, long priority) except -1:
        cdef double deadline = self.clock() + seconds
        known = self.delayed.get(key)
        if known is not None:
            priority = max(priority, known[2])
            if known[0] <= deadline:
                self.delayed[key] = (known[0], known[1], priority)
                return 0
        self.number += 1
        self.delayed[key] = (deadline, self.number, priority)
        heappush(self.heap, (deadline, self.number, key))
        if len(self.heap) > 2 * len(self.delayed) + SLACK:
            self.heap = [(entry[0], entry[1], name) for name, entry in self.delayed.items()]
            heapify(self.heap)
        self.set_timer()
        return 0

    def add_rate_limited(self, str key not None, long priority=0):
        cdef long failures = self.failed.get(key, 0)
        cdef double seconds = self.base_delay * <double>(<long long>1 << min(failures, <long>MAX_DOUBLINGS))
        if seconds > self.max_delay:
            seconds = self.max_delay
        self.failed[key] = failures + 1
        self.add_after(key, seconds, priority)
        return seconds

    def forget(self, str key not None):
        self.failed.pop(key, None)

    def failures(self, str key not None):
        return self.failed.get(key, 0)

    # --- Taking ---

    cdef int ripen(self) except -1:
        """Moves what is due from the delays to the ready keys."""
        cdef double now
        if not self.heap:
            return 0
        now = self.clock()
        while self.heap:
            deadline, number, key = self.heap[0]
            known = self.delayed.get(key)
            if known is None or known[1] != number:
                heappop(self.heap)
            elif <double>deadline <= now:
                heappop(self.heap)
                del self.delayed[key]
                self.push(key, known[2])
            else:
                break
        return 0

    cdef list pop(self, Py_ssize_t max_keys):
        cdef list found = []
        cdef Level level
        cdef str key, namespace
        cdef long priority
        while self.priorities and len(found) < max_keys:
            priority = self.priorities[len(self.priorities) - 1]
            level = <Level>self.levels[priority]
            while level.turns and len(found) < max_keys:
                namespace = level.turns.popleft()
                line = level.lines[namespace]
                key = line.popleft()
                self.queued -= 1
                if line:
                    level.turns.append(namespace)
                else:
                    del level.lines[namespace]
                if self.ready.get(key) == priority:
                    del self.ready[key]
                    self.working.add(key)
                    found.append(key)
            if not level.turns:
                del self.levels[priority]
                self.priorities.pop()
        return found

    def take(self, Py_ssize_t max_keys):
        self.ripen()
        return self.pop(max_keys)

    async def get_batch(self, Py_ssize_t max_keys):
        if max_keys < 1:
            raise ValueError("max_keys must be at least 1")
        while True:
            self.ripen()
            found = self.pop(max_keys)
            if found or self.stopped:
                if self.ready:
                    self.wake_one()
                return found
            future = new_future()
            self.waiters.append(future)
            self.set_timer()
            try:
                await future
            except BaseException:
                if future.done() and not future.cancelled():
                    self.wake_one()  # the wake-up was meant for somebody who still waits
                raise
            finally:
                if future in self.waiters:
                    self.waiters.remove(future)
                self.set_timer()

    def done(self, keys):
        for key in keys:
            check_key(key)
            if key in self.working:
                self.working.discard(key)
                priority = self.again.pop(key, None)
                if priority is not None:
                    self.push(key, priority)
        if self.ready:
            self.wake_one()

    # --- Waking ---

    cdef int wake_one(self) except -1:
        while self.waiters and self.ready:
            future = self.waiters.popleft()
            if not future.done():
                future.set_result(None)
                break
        return 0

    cdef int set_timer(self) except -1:
        """One timer, for the next deadline, while somebody waits."""
        cdef double deadline
        if not self.waiters or not self.heap:
            if self.timer is not None:
                self.timer.cancel()
                self.timer = None
            return 0
        deadline = self.heap[0][0]
        if self.timer is not None:
            if self.timer_deadline <= deadline:
                return 0
            self.timer.cancel()
        loop = self.waiters[0].get_loop()
        self.timer_deadline = deadline
        self.timer = loop.call_at(loop.time() + max(deadline - self.clock(), SHORTEST_TIMER), self._on_timer)
        return 0

    def _on_timer(self):
        self.timer = None
        self.ripen()
        self.wake_one()
        self.set_timer()

    def shut_down(self):
        self.stopped = True
        self.heap.clear()
        self.delayed.clear()
        self.set_timer()
        while self.waiters:
            future = self.waiters.popleft()
            if not future.done():
                future.set_result(None)

    @property
    def next_deadline(self):
        while self.heap:
            deadline, number, key = self.heap[0]
            known = self.delayed.get(key)
            if known is not None and known[1] == number:
                return deadline
            heappop(self.heap)
        return None

    def __len__(self):
        self.ripen()
        return len(self.ready)


cdef str check_key(object key):
    if type(key) is not str:
        raise TypeError(f"a key is a str, not {type(key).__name__}")
    return <str>key


cdef object running_loop = None  # asyncio.get_running_loop, once asyncio is needed


cdef object new_future():
    global running_loop
    if running_loop is None:
        import asyncio

        running_loop = asyncio.get_running_loop
    return running_loop().create_future()
