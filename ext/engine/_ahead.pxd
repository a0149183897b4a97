"""Having memory read before it is needed."""

cdef extern from *:
    void prefetch "__builtin_prefetch" (const void *address) noexcept nogil


cdef enum:
    LINE = 64  # bytes that memory gives at once
    FOUR_LINES = 4 * LINE


cdef inline void prefetch_two(const void *start) noexcept nogil:
    prefetch(start)
    prefetch(<const char *>start + LINE)


cdef inline void prefetch_lines(const void *start, Py_ssize_t bytes) noexcept nogil:
    """Those that begin at `start` and every LINE behind it, as far as there are so many bytes, and up to three more."""
    cdef const char *p = <const char *>start
    cdef const char *end = p + bytes
    while p < end:
        prefetch(p)
        prefetch(p + LINE)
        prefetch(p + 2 * LINE)
        prefetch(p + 3 * LINE)
        p += FOUR_LINES
