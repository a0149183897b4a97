"""Memory of records and other small blocks: those of one size side by side, and pages that go back to the system."""

cimport cython
from engine._arena cimport new_arena
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

cdef extern from *:
    """
    #include <stdlib.h>
    #include "maps.h"

    /* The pages stay mapped; what is in them is gone. */
    static void engine_let_go(char *start, size_t bytes) {
        if (bytes % (size_t)sysconf(_SC_PAGESIZE) == 0) { /* else neighbours would lose theirs */
            madvise(start, bytes, MADV_DONTNEED);
        }
    }
    """
    const bint ENGINE_BLOCKS
    void engine_let_go(char *start, size_t bytes) noexcept nogil

cdef enum:
    MOST_IDLE = 16
    IDLE_SHARE = 32  # and no more than one span of so many
    LARGE_HEAD = 16  # bytes that the C library needs beside a large block
    SPARE_SHARE = 64  # blocks are moved when more than this part of what is used is free
    SPARE_BYTES = 1 << 18  # and more than this


cdef inline Span *span_of(const void *block) noexcept nogil:
    return <Span *>(<uintptr_t>block & ~<uintptr_t>(SPAN - 1))


cdef inline uint8_t fill_of(const Span *span) noexcept nogil:
    cdef uint32_t quarter = (span.capacity + FILLS - 1) // FILLS
    if span.used == span.capacity:
        return FILLS
    return <uint8_t>((span.used >= quarter) + (span.used >= 2 * quarter) + (span.used >= 3 * quarter))


cdef inline bint is_large(Py_ssize_t size) noexcept nogil:
    return size > MAX_BLOCK or not ENGINE_BLOCKS


cdef Py_ssize_t block_bytes(Py_ssize_t size) noexcept nogil:
    return size + LARGE_HEAD if is_large(size) else (size + STEP - 1) // STEP * STEP


@cython.final
@cython.no_gc
cdef class Slab:
    def __cinit__(self):
        self.arena = new_arena(SPAN)

    cdef void *allocate(self, Py_ssize_t size) noexcept:
        cdef uint32_t steps = <uint32_t>((size + STEP - 1) // STEP)
        cdef Span *span = NULL
        cdef char *block
        cdef int fill
        if is_large(size):
            block = <char *>malloc(size)
            if block != NULL:
                self.held += size + LARGE_HEAD
                self.used += size + LARGE_HEAD
            return block
        for fill in range(FILLS - 1, -1, -1):
            span = self.spans[steps][fill]
            if span != NULL:
                break
        if span == NULL:
            span = self.new_span(steps)
            if span == NULL:
                return NULL
        if span.free:
            block = block_at(span, span.free - 1)
            span.free = (<uint16_t *>block)[0]
        else:
            block = block_at(span, span.fresh)
            span.fresh += 1
            self.held += steps * STEP
        span.used += 1
        self.used += steps * STEP
        self.settle(span)
        return block

    cdef int release(self, void *block, Py_ssize_t size) noexcept:
        cdef Span *span
        if is_large(size):
            self.held -= size + LARGE_HEAD
            self.used -= size + LARGE_HEAD
            free(block)
            return 0
        span = span_of(block)
        self.used -= span.steps * STEP
        (<uint16_t *>block)[0] = span.free
        span.free = <uint16_t>((<char *>block - block_at(span, 0)) // (<Py_ssize_t>span.steps * STEP) + 1)
        span.used -= 1
        return 0 if span.fill == TAKEN else self.settle(span)

    # --- Sparse spans ---

    cdef Span *take_sparse(self) noexcept:
        cdef long long spare = self.held - self.used
        cdef Span *span
        cdef int fill, _look
        if spare < SPARE_BYTES or spare * SPARE_SHARE < self.used:
            return NULL
        for fill in range(FILLS - 1):
            for _look in range(SIZES):
                self.turn = self.turn + 1 if self.turn + 1 < SIZES else 0
                span = self.spans[self.turn][fill]
                if span != NULL and (span.next != NULL or self.has_fuller(self.turn, fill)):
                    self.unlink(span)
                    span.fill = TAKEN
                    return span
        return NULL

    cdef bint has_fuller(self, uint32_t steps, int fill) noexcept:
        cdef int other
        for other in range(fill + 1, FILLS):
            if self.spans[steps][other] != NULL:
                return True
        return False

    cdef int put_back(self, Span *span) noexcept:
        span.fill = FILLS  # in no list
        if span.used < span.capacity and span.used:
            return self.link(span, fill_of(span))
        return self.settle(span)

    # --- Spans ---

    cdef int settle(self, Span *span) noexcept:
        """Puts a span where it belongs after one of its blocks came or went."""
        cdef uint8_t fill = fill_of(span)
        if span.used == 0:
            self.unlink(span)
            return self.retire(span)
        if fill != span.fill:
            self.unlink(span)
            self.link(span, fill)
        return 0

    cdef int link(self, Span *span, uint8_t fill) noexcept:
        span.fill = fill
        span.next = span.previous = NULL
        if fill < FILLS:
            span.next = self.spans[span.steps][fill]
            if span.next != NULL:
                span.next.previous = span
            self.spans[span.steps][fill] = span
        return 0

    cdef int unlink(self, Span *span) noexcept:
        if span.fill == FILLS:
            return 0
        if span.next != NULL:
            span.next.previous = span.previous
        if span.previous != NULL:
            span.previous.next = span.next
        else:
            self.spans[span.steps][span.fill] = span.next
        return 0

    cdef Span *new_span(self, uint32_t steps) noexcept:
        cdef Span *span = self.idle
        if span != NULL:
            self.idle = span.next
            self.idle_count -= 1
            self.held -= HEAD + <long long>span.fresh * span.steps * STEP
        else:
            span = <Span *>self.arena.allocate()
            if span == NULL:
                return NULL
        memset(span, 0, sizeof(Span))
        span.steps = <uint16_t>steps
        span.capacity = <uint16_t>((SPAN - HEAD) // (steps * STEP))
        self.held += HEAD
        self.link(span, 0)
        return span

    cdef int retire(self, Span *span) noexcept:
        """An empty one that is in no list."""
        span.next = self.idle
        self.idle = span
        self.idle_count += 1
        return self.release_idle(min(self.arena.blocks // IDLE_SHARE, <uint32_t>MOST_IDLE) if self.used else 0)

    cdef int release_idle(self, uint32_t kept) noexcept:
        cdef Span *span
        while self.idle_count > kept:
            span = self.idle
            self.idle = span.next
            self.idle_count -= 1
            self.release_span(span)
        return 0

    cdef int release_span(self, Span *span) noexcept:
        self.held -= HEAD + <long long>span.fresh * span.steps * STEP
        engine_let_go(<char *>span, SPAN)
        return self.arena.release(span)
