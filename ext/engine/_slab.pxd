cimport cython
from engine._arena cimport Arena
from libc.stdint cimport uint8_t, uint16_t, uint32_t


cdef enum:
    STEP = 16  # bytes by which blocks of one size differ from those of the next
    MAX_BLOCK = 2304  # bytes; what is larger comes from the C library
    SIZES = MAX_BLOCK // STEP + 1
    SPAN = 1 << 15  # bytes of a span, which begins at a multiple of them
    FILLS = 4  # how full spans with free blocks are told apart
    TAKEN = 5
    HEAD = 64  # bytes of a span before its blocks


cdef struct Span:
    # Blocks of one size, behind this.
    Span *next  # in the list of spans that are as full
    Span *previous
    uint16_t steps  # the size of its blocks
    uint16_t capacity
    uint16_t used
    uint16_t fresh  # blocks from here on were not used yet
    uint16_t free  # the number of the first free block before `fresh`, counted from 1; it holds that of the next
    uint8_t fill  # the list it is in: FILLS when it is full, and in none, TAKEN when it is being emptied


@cython.final
@cython.no_gc
cdef class Slab:
    """Small blocks of memory. The fullest span with room serves first, so that sparse ones run empty; an empty one
    gives its memory back."""

    cdef Arena arena  # for spans
    cdef Span *spans[SIZES][FILLS]  # with free blocks, by size and fill
    cdef Span *idle  # empty spans that are used again first, so that sizes of few blocks cost no system calls
    cdef uint32_t idle_count
    cdef uint32_t turn  # the size at which sparse spans are looked for next
    cdef readonly long long held  # bytes that were used of spans, with their heads, and of larger blocks
    cdef readonly long long used  # bytes of the blocks that are in use

    cdef void *allocate(self, Py_ssize_t size) noexcept  # NULL: no memory
    cdef int release(self, void *block, Py_ssize_t size) noexcept  # the size that was allocated
    # To move blocks together: a span that serves nothing until it is put back, whose blocks have room elsewhere. NULL:
    # there is none, or so little is free that it is not worth it.
    cdef Span *take_sparse(self) noexcept
    cdef int put_back(self, Span *span) noexcept

    # Inside.
    cdef bint has_fuller(self, uint32_t steps, int fill) noexcept
    cdef int settle(self, Span *span) noexcept
    cdef Span *new_span(self, uint32_t steps) noexcept
    cdef int retire(self, Span *span) noexcept
    cdef int release_idle(self, uint32_t kept) noexcept
    cdef int release_span(self, Span *span) noexcept
    cdef int link(self, Span *span, uint8_t fill) noexcept
    cdef int unlink(self, Span *span) noexcept


cdef Py_ssize_t block_bytes(Py_ssize_t size) noexcept nogil  # what a block of so many bytes takes


cdef inline char *block_at(Span *span, uint32_t number) noexcept nogil:
    return <char *>span + HEAD + number * <uint32_t>span.steps * STEP
