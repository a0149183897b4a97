cimport cython
from libc.stdint cimport uint64_t


cdef enum Kind:
    RECORD
    PAGE
    CHUNK
    MOMENT


cdef struct Retired:
    # Replaced in `epoch`; a snapshot of an earlier one may still look at it.
    uint64_t epoch
    void *what
    Kind kind


@cython.final
@cython.no_gc
cdef class Epochs:
    """Which moments are looked at, and what waits for them to go. What was born after the newest snapshot, nobody but
    the writer looks at."""

    cdef uint64_t now
    # Snapshots alive, by the epochs that ended with them, ascending.
    cdef uint64_t *forks
    cdef Py_ssize_t fork_count
    cdef Py_ssize_t fork_room
    # What waits, in the order of epochs: a ring from `first`.
    cdef Retired *retired
    cdef Py_ssize_t first
    cdef Py_ssize_t count
    cdef Py_ssize_t room

    cdef uint64_t fork(self) except 0
    cdef void release(self, uint64_t epoch) noexcept
    cdef bint may_change(self, uint64_t born) noexcept nogil
    cdef int expect(self, Py_ssize_t count) except -1
    cdef void retire(self, Kind kind, void *what) noexcept
    cdef bint take_unseen(self, Retired *unseen) noexcept
    cdef long long nbytes(self) noexcept
