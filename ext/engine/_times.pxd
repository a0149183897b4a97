from engine._json cimport Slice
from libc.stdint cimport int64_t


cdef enum:
    TIME_SIZE = 20  # 2026-11-23T05:06:07Z


cdef bint read_time(Slice value, int64_t *seconds) noexcept nogil
cdef void write_time(char *out, int64_t seconds) noexcept nogil


cdef inline int digit(char c) noexcept nogil:
    return c - c"0" if c"0" <= c <= c"9" else -1
