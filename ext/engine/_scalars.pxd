"""JSON's strings, numbers and literals as spans of bytes: where a valid one ends, and what a string spells."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from "blocks.h" nogil:
    int lowest_bit "engine_lowest_bit"(uint64_t bits)
    uint64_t special "engine_special"(const char *p)  # a bit for each of 64 bytes that is not plain text
    uint64_t special16 "engine_special16"(const char *p)  # of 16
    uint64_t last_special "engine_last_special"(const char *p, size_t size)  # of fewer

cdef enum:
    WINDOW = 64  # bytes
    SHORT_WINDOW = 16
    MAX_INTEGER_DIGITS = 4300  # what Python's int() reads

cdef enum Escapes:  # truth: there is a backslash in it
    UNESCAPED = 0
    ESCAPED  # only escapes that its text cannot be written without: equal texts are written alike
    RESPELLED  # has \u or \/, so that equal texts may be written in several ways

cdef enum Fault:
    NO_FAULT = 0
    NO_MEMORY
    BAD_SYNTAX
    BAD_STRING  # a control character, an escape that is none, half a surrogate pair
    BAD_UTF8
    BAD_NUMBER  # no number, one beyond a double, an integer of more than MAX_INTEGER_DIGITS
    DUPLICATE_KEY
    TOO_DEEP
    TOO_LARGE  # from 4 GiB on

cdef struct Refusal:
    Fault fault
    const char *at

# Single values, as strict as a whole document: from the first byte (of a string: behind its opening quote) to behind
# the last (of a string: to its closing quote); NULL when there is no valid one. Nothing is read at or behind `end`.
cdef const char *string_end(const char *p, const char *end) noexcept nogil
cdef const char *number_end(const char *p, const char *end) noexcept nogil
cdef const char *literal_end(const char *p, const char *end) noexcept nogil
cdef Refusal refusal_of(const char *p, const char *end) noexcept nogil  # of a value that none of them takes

# Of valid texts only: whether two are the same string, however they are written; a hash of that string, seeded.
cdef bint spell_alike(const char *a, const char *a_end, const char *b, const char *b_end) noexcept nogil
cdef uint64_t spelled_hash(const char *p, const char *end) noexcept nogil


# --- The way of plain text, inline ------------------------------------------------------------------------------------


cdef struct Window:  # moves over the text; strings end at a bit of it, so that finding one waits for no load
    const char *base
    uint64_t bits  # the special bytes of WINDOW from `base` on


cdef inline void open_window(Window *window, const char *p, const char *end) noexcept nogil:
    window.base = p
    window.bits = special(p) if end - p >= WINDOW else last_special(p, end - p)


cdef inline const char *next_special(Window *window, const char *p, const char *end) noexcept nogil:
    """The first byte at or behind `p` that ends plain text; `end` when none does. `p` never goes back."""
    cdef uint64_t bits
    while p < end:
        if p - window.base >= WINDOW:
            open_window(window, window.base + ((p - window.base) & -WINDOW), end)
        bits = window.bits >> (p - window.base)
        if bits != 0:
            return p + lowest_bit(bits)
        if end - window.base <= WINDOW:
            break
        p = window.base + WINDOW
    return end


cdef inline const char *text_end(Window *window, const char *p, const char *end, uint8_t *escaped) noexcept nogil:
    """From behind the opening quote to the closing one; NULL when there is none or the text is refused."""
    escaped[0] = UNESCAPED
    p = next_special(window, p, end)
    if p < end and p[0] == c'"':
        return p
    return odd_text_end(window[0], p, end, escaped)


cdef inline const char *short_end(const char *p, const char *end) noexcept nogil:
    """string_end where most texts are short and plain."""
    cdef const char *begin = p
    cdef uint64_t bits
    while end - p >= SHORT_WINDOW:
        bits = special16(p)
        if bits:
            p += lowest_bit(bits)
            return p if p[0] == c'"' else string_end(begin, end)
        p += SHORT_WINDOW
    return string_end(begin, end)


# text_end from the first byte on that is not plain, with a window of its own.
cdef const char *odd_text_end(Window window, const char *p, const char *end, uint8_t *escaped) noexcept nogil
