"""Snapshots of rows: which moments are looked at, and what is kept for them."""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memmove

cdef enum:
    FIRST_ROOM = 8


@cython.final
@cython.no_gc
cdef class Epochs:
    def __cinit__(self):
        self.now = 1

    def __dealloc__(self):
        PyMem_Free(self.forks)
        PyMem_Free(self.retired)

    cdef uint64_t fork(self) except 0:
        """Ends an epoch, which the caller gives back by `release`, and begins the next."""
        cdef Py_ssize_t room = 2 * self.fork_room if self.fork_room else FIRST_ROOM
        cdef uint64_t *wider
        if self.fork_count == self.fork_room:
            wider = <uint64_t *>PyMem_Realloc(self.forks, room * sizeof(uint64_t))
            if wider == NULL:
                raise MemoryError
            self.forks = wider
            self.fork_room = room
        self.forks[self.fork_count] = self.now
        self.fork_count += 1
        self.now += 1
        return self.now - 1

    cdef void release(self, uint64_t epoch) noexcept:
        cdef Py_ssize_t at = self.fork_count - 1
        while self.forks[at] != epoch:
            at -= 1
        self.fork_count -= 1
        memmove(&self.forks[at], &self.forks[at + 1], (self.fork_count - at) * sizeof(uint64_t))

    cdef bint may_change(self, uint64_t born) noexcept nogil:
        """Whether what was born in this epoch may be written in place."""
        return self.fork_count == 0 or born > self.forks[self.fork_count - 1]

    cdef int expect(self, Py_ssize_t count) except -1:
        """Room for so many calls of `retire`, which then cannot fail. Without snapshots there are none."""
        cdef Py_ssize_t room = 2 * self.room if self.room else FIRST_ROOM
        cdef Py_ssize_t tail
        cdef Retired *wider
        if self.fork_count == 0 or self.count + count <= self.room:
            return 0
        wider = <Retired *>PyMem_Malloc(room * sizeof(Retired))
        if wider == NULL:
            raise MemoryError
        if self.count:
            tail = min(self.room - self.first, self.count)
            memcpy(wider, &self.retired[self.first], tail * sizeof(Retired))
            memcpy(&wider[tail], self.retired, (self.count - tail) * sizeof(Retired))
        PyMem_Free(self.retired)
        self.retired = wider
        self.room = room
        self.first = 0
        return 0

    cdef void retire(self, Kind kind, void *what) noexcept:
        cdef Py_ssize_t at = self.first + self.count
        if at >= self.room:
            at -= self.room
        self.retired[at].epoch = self.now
        self.retired[at].what = what
        self.retired[at].kind = kind
        self.count += 1

    cdef bint take_unseen(self, Retired *unseen) noexcept:
        """The next of what no snapshot sees any more; false when there is none: all was replaced after the oldest
        snapshot. (What was made and replaced between two snapshots waits for the older one.)"""
        if self.count and (self.fork_count == 0 or self.retired[self.first].epoch <= self.forks[0]):
            unseen[0] = self.retired[self.first]
            self.first = self.first + 1 if self.first + 1 < self.room else 0
            self.count -= 1
            return True
        if self.count == 0:
            PyMem_Free(self.retired)
            self.retired = NULL
            self.room = self.first = 0
        return False

    cdef long long nbytes(self) noexcept:
        return self.fork_room * sizeof(uint64_t) + self.room * sizeof(Retired)
