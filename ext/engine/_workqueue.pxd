cimport cython


@cython.final
cdef class Level:
    """The ready keys of one priority: one line per namespace, and whose turn it is."""

    cdef object turns  # deque of namespaces with a line
    cdef dict lines  # namespace -> deque of keys


@cython.final
cdef class WorkQueue:
    # Invariants: a key is in `ready` or not, never twice; no key is both in `ready` and in `working`;
    # `again` holds keys of `working` that were added meanwhile.
    cdef dict ready  # key -> priority
    cdef dict levels  # priority -> Level; may hold keys that moved to a higher priority or left
    cdef list priorities  # of levels, ascending
    cdef Py_ssize_t queued  # entries of all lines, those that do not count any more included
    cdef set working
    cdef dict again  # key -> priority
    # Delays: a heap whose entries count only while `delayed` agrees with them.
    cdef list heap  # (deadline, number, key)
    cdef dict delayed  # key -> (deadline, number, priority)
    cdef long long number
    cdef dict failed  # key -> failures
    cdef double base_delay
    cdef double max_delay
    cdef object clock
    cdef bint stopped
    # Waiters: a wake-up wakes one, who wakes the next when keys are left.
    cdef object waiters  # deque of futures
    cdef object timer  # for the earliest deadline, only while somebody waits
    cdef double timer_deadline

    cdef int push(self, str key, long priority) except -1
    cdef int enqueue(self, str key, long priority) except -1
    cdef int compact(self) except -1
    cdef int delay(self, str key, double seconds, long priority) except -1
    cdef int ripen(self) except -1
    cdef list pop(self, Py_ssize_t max_keys)
    cdef int wake_one(self) except -1
    cdef int set_timer(self) except -1
