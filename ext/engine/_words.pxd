"""Short texts, compared a word at a time."""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy


cdef enum:
    WORD = 8  # bytes


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
