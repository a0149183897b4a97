from engine._json cimport Slice
from libc.stdint cimport uint8_t


cdef Py_ssize_t code_text(uint8_t *out, Slice text) noexcept nogil
cdef char *decode_text(const uint8_t *p, Py_ssize_t size, char *out) noexcept nogil
