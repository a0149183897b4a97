cimport cython
from engine._json cimport Slice
from engine._numberset cimport NumberSet
from engine._table cimport Places, Table
from libc.stdint cimport uint32_t, uint64_t


cdef class ValueTexts:
    """Values by number, of which the terms of only one value are read again instead of copied."""

    # The raw JSON of a value, valid until the next call.
    cdef Slice text_at(self, uint32_t number) except *


cdef struct Part:
    # One term of one value.
    uint64_t hash
    uint32_t offset  # of its text in `text`
    uint32_t size
    bint common  # the list beside has it too: nothing to do


cdef struct Parts:
    # The terms of one value, each once.
    Part *at
    uint32_t count
    uint32_t capacity
    char *text
    uint32_t text_size
    uint32_t text_capacity


cdef struct Posting:
    # A term of several values.
    uint64_t hash
    NumberSet numbers  # of the values
    uint32_t size
    char text[1]


cdef struct Members:
    # What a term was found in. Valid until the next write.
    const NumberSet *numbers  # NULL: only one, or none
    uint32_t only
    uint32_t count


@cython.final
cdef class Terms:
    """Values by term, over distinct values, not rows. A term of one value is a number in a table and nothing else."""

    cdef bint labels  # values are maps of labels
    cdef Table table  # flag set: the number of the only value; else of a posting
    cdef Places postings
    cdef long long posting_bytes  # without their sets
    # Of the value that comes, of the one that may go, and of whatever is compared with.
    cdef Parts arriving
    cdef Parts leaving
    cdef Parts other

    cdef int scan(self, Parts *parts, Slice raw) except -1
    cdef int add(self, const Parts *parts, uint32_t number, ValueTexts values) except -1
    cdef int add_one(self, const Part *part, const char *text, uint32_t number, ValueTexts values) except -1
    cdef int remove(self, const Parts *parts, uint32_t number) noexcept
    cdef int double(self, const Parts *parts, uint32_t number) noexcept
    cdef int undouble(self, const Parts *parts, uint32_t number) noexcept
    cdef int renumber(self, const Parts *parts, uint32_t old, uint32_t new) noexcept
    cdef uint32_t posting_at(self, uint64_t hash, const char *text, uint32_t size) noexcept
    cdef uint32_t posting_with(self, uint64_t hash, uint32_t number, uint32_t *at) noexcept
    cdef int lone_at(
        self, uint64_t hash, const char *text, uint32_t size, ValueTexts values, uint32_t but, uint32_t *at
    ) except -1
    cdef int forget(self, uint32_t number) noexcept
    cdef Members find(self, bytes term, ValueTexts values) except *
    cdef int rest(self) noexcept
    cdef long long nbytes(self)


cdef uint64_t hash_of(const char *text, Py_ssize_t size) noexcept nogil
cdef int leave_common(Parts *left, Parts *right) noexcept
