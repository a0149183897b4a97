"""Texts, compared a word at a time."""

from engine._json cimport Slice
from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy

cdef extern from *:
    """
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    #error "words of text are read as processors do that have the lowest byte first"
    #endif
    """
    int __builtin_ctzll(unsigned long long) noexcept nogil
    int __builtin_clzll(unsigned long long) noexcept nogil


cdef enum:
    WORD = 8  # bytes
    LONG_RUN = 24  # bytes that the C library compares faster
    BLOCK = 256  # in which a difference is looked for


cdef inline uint64_t word_at(const char *p) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, p, sizeof(word))
    return word


cdef inline bint is_same_text(const char *left, const char *right, Py_ssize_t size) noexcept nogil:
    """For the short texts of values; the last word may overlap the one before."""
    cdef Py_ssize_t at = 0
    if size >= WORD:
        while at < size - WORD:
            if word_at(left + at) != word_at(right + at):
                return False
            at += WORD
        return word_at(left + size - WORD) == word_at(right + size - WORD)
    while at < size:
        if left[at] != right[at]:
            return False
        at += 1
    return True


cdef inline bint is_same(Slice left, Slice right) noexcept nogil:
    return left.size == right.size and is_same_text(left.start, right.start, left.size)


cdef inline Py_ssize_t same_bytes(const char *left, const char *right, Py_ssize_t size) noexcept nogil:
    """How many bytes are the same before the first that is not; the last word may overlap the one before."""
    cdef Py_ssize_t at = 0
    cdef uint64_t odd
    if size >= LONG_RUN:
        while size - at > BLOCK and memcmp(left + at, right + at, BLOCK) == 0:
            at += BLOCK
        if size - at <= BLOCK and memcmp(left + at, right + at, size - at) == 0:
            return size
    if size >= WORD:
        while at < size:
            at = min(at, size - WORD)
            odd = word_at(left + at) ^ word_at(right + at)
            if odd:
                return at + (__builtin_ctzll(odd) >> 3)
            at += WORD
        return size
    while at < size and left[at] == right[at]:
        at += 1
    return at


cdef inline Py_ssize_t same_end(const char *left, const char *right, Py_ssize_t size) noexcept nogil:
    """How many bytes before these places are the same, `size` at most."""
    cdef Py_ssize_t at = 0
    cdef uint64_t odd
    while at + WORD <= size:
        odd = word_at(left - at - WORD) ^ word_at(right - at - WORD)
        if odd:
            return at + (__builtin_clzll(odd) >> 3)
        at += WORD
    while at < size and left[-at - 1] == right[-at - 1]:
        at += 1
    return at
