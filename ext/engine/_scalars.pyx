"""JSON's strings, numbers and literals (RFC 8259)."""

from libc.stdint cimport int64_t
from libc.string cimport memcmp

import os

cdef enum:
    DOUBLE_EXPONENT = 308  # of ten, of the largest double


# --- Strings ----------------------------------------------------------------------------------------------------------


cdef inline int hex_value(char c) noexcept nogil:
    if c"0" <= c <= c"9":
        return c - c"0"
    c |= 32
    return c - c"a" + 10 if c"a" <= c <= c"f" else -1


cdef inline int hex_unit(const char *p) noexcept nogil:
    """The number that four hexadecimal digits write; below zero when they are not."""
    cdef int a = hex_value(p[0]), b = hex_value(p[1]), c = hex_value(p[2]), d = hex_value(p[3])
    if a < 0 or b < 0 or c < 0 or d < 0:
        return -1
    return a << 12 | b << 8 | c << 4 | d


cdef const char *escape_end(const char *p, const char *end, uint8_t *escaped) noexcept nogil:
    """From a backslash to behind its escape, of a surrogate pair both halves; NULL when it is none."""
    cdef int unit
    if end - p < 2:
        return NULL
    if p[1] == c'"' or p[1] == c"\\" or p[1] == c"n" or p[1] == c"t" or p[1] == c"r" or p[1] == c"b" or p[1] == c"f":
        escaped[0] |= ESCAPED
        return p + 2
    escaped[0] = RESPELLED
    if p[1] == c"/":
        return p + 2
    if p[1] != c"u" or end - p < 6:
        return NULL
    unit = hex_unit(p + 2)
    if unit < 0 or 0xDC00 <= unit <= 0xDFFF:
        return NULL
    if unit < 0xD800 or unit > 0xDFFF:
        return p + 6
    if end - p < 12 or p[6] != c"\\" or p[7] != c"u":
        return NULL
    unit = hex_unit(p + 8)
    return p + 12 if 0xDC00 <= unit <= 0xDFFF else NULL


cdef inline bint continues(char c) noexcept nogil:
    return <uint8_t>c & 0xC0 == 0x80


cdef inline const char *sequence_end(const char *p, const char *end) noexcept nogil:
    """Over one character of several bytes; NULL when they are no UTF-8 (the Unicode standard, table 3-7)."""
    cdef uint8_t lead = <uint8_t>p[0]
    cdef uint8_t second
    if end - p < 2 or not continues(p[1]):
        return NULL
    second = <uint8_t>p[1]
    if 0xC2 <= lead <= 0xDF:
        return p + 2
    if end - p < 3 or not continues(p[2]):
        return NULL
    if 0xE0 <= lead <= 0xEF:
        if lead == 0xE0 and second < 0xA0 or lead == 0xED and second > 0x9F:
            return NULL  # longer than needed; a surrogate
        return p + 3
    if end - p < 4 or not continues(p[3]) or not 0xF0 <= lead <= 0xF4:
        return NULL
    if lead == 0xF0 and second < 0x90 or lead == 0xF4 and second > 0x8F:
        return NULL  # longer than needed; beyond the last character
    return p + 4


cdef const char *odd_text_end(Window window, const char *p, const char *end, uint8_t *escaped) noexcept nogil:
    while p < end:
        if p[0] == c'"':
            return p
        if p[0] == c"\\":
            p = escape_end(p, end, escaped)
        elif <uint8_t>p[0] >= 0x80:
            p = sequence_end(p, end)
        else:
            return NULL
        if p == NULL:
            return NULL
        p = next_special(&window, p, end)
    return NULL


cdef const char *string_end(const char *p, const char *end) noexcept nogil:
    cdef uint8_t escaped
    cdef Window window
    open_window(&window, p, end)
    return text_end(&window, p, end, &escaped)


# --- What a string spells ---------------------------------------------------------------------------------------------


cdef uint32_t next_character(const char **at) noexcept nogil:
    """The code point that stands first in valid text, which it steps over."""
    cdef const char *p = at[0]
    cdef uint8_t lead = <uint8_t>p[0]
    cdef uint32_t unit
    if lead < 0x80 and lead != c"\\":
        at[0] = p + 1
        return lead
    if lead >= 0xF0:
        at[0] = p + 4
        return (lead & 7) << 18 | (p[1] & 63) << 12 | (p[2] & 63) << 6 | (p[3] & 63)
    if lead >= 0xE0:
        at[0] = p + 3
        return (lead & 15) << 12 | (p[1] & 63) << 6 | (p[2] & 63)
    if lead >= 0xC0:
        at[0] = p + 2
        return (lead & 31) << 6 | (p[1] & 63)
    at[0] = p + 2
    if p[1] == c"n":
        return c"\n"
    if p[1] == c"t":
        return c"\t"
    if p[1] == c"r":
        return c"\r"
    if p[1] == c"b":
        return 8
    if p[1] == c"f":
        return 12
    if p[1] != c"u":
        return p[1]
    unit = <uint32_t>hex_unit(p + 2)
    if unit < 0xD800 or unit > 0xDFFF:
        at[0] = p + 6
        return unit
    at[0] = p + 12
    return 0x10000 + ((unit - 0xD800) << 10) + (<uint32_t>hex_unit(p + 8) - 0xDC00)


cdef bint spell_alike(const char *a, const char *a_end, const char *b, const char *b_end) noexcept nogil:
    """Whether two valid texts are the same string, however they are written."""
    while a < a_end and b < b_end:
        if next_character(&a) != next_character(&b):
            return False
    return a == a_end and b == b_end


cdef uint64_t[2] SEED  # of this process, so that nobody can write keys that fall together in a set


cdef struct Sip:  # the state of SipHash-1-3
    uint64_t a
    uint64_t b
    uint64_t c
    uint64_t d


cdef inline uint64_t rotated(uint64_t x, int by) noexcept nogil:
    return x << by | x >> (64 - by)


cdef inline void sip_round(Sip *s) noexcept nogil:
    s.a += s.b
    s.b = rotated(s.b, 13) ^ s.a
    s.a = rotated(s.a, 32)
    s.c += s.d
    s.d = rotated(s.d, 16) ^ s.c
    s.a += s.d
    s.d = rotated(s.d, 21) ^ s.a
    s.c += s.b
    s.b = rotated(s.b, 17) ^ s.c
    s.c = rotated(s.c, 32)


cdef inline void sip_word(Sip *s, uint64_t word) noexcept nogil:
    s.d ^= word
    sip_round(s)
    s.a ^= word


cdef uint64_t spelled_hash(const char *p, const char *end) noexcept nogil:
    """SipHash-1-3 of the characters that a valid text spells, three to a word."""
    cdef Sip s
    cdef uint64_t word = 0, count = 0
    s.a = SEED[0] ^ 0x736F6D6570736575ULL
    s.b = SEED[1] ^ 0x646F72616E646F6DULL
    s.c = SEED[0] ^ 0x6C7967656E657261ULL
    s.d = SEED[1] ^ 0x7465646279746573ULL
    while p < end:
        word = word << 21 | next_character(&p)
        count += 1
        if count % 3 == 0:
            sip_word(&s, word)
            word = 0
    sip_word(&s, word)
    sip_word(&s, count)
    s.c ^= 0xFF
    sip_round(&s)
    sip_round(&s)
    sip_round(&s)
    return s.a ^ s.b ^ s.c ^ s.d


# --- Numbers and literals ---------------------------------------------------------------------------------------------


# 2**1024 - 2**970: a double's reader rounds what reaches it to infinity.
cdef const char *TOO_BIG = (
    b"17976931348623158079372897140530341507993413271003782693617377898044496829276475094664901797758720709633"
    b"02864166928879109465555478519404026306574886715058206819089020007083836762738548458177115317644757302700"
    b"69855571366959622842914819860834936475292719074168444365510704342711559699508093042880177904174497792"
)
cdef int64_t MANY = 1LL << 40  # more than any count of digits


cdef inline bint is_digit(char c) noexcept nogil:
    return c"0" <= c <= c"9"


cdef inline const char *digits_end(const char *p, const char *end) noexcept nogil:
    while p < end and is_digit(p[0]):
        p += 1
    return p


cdef bint overflows(const char *p, const char *end) noexcept nogil:
    """Whether a number (without its sign) is beyond every double. Exact, by comparing digits."""
    cdef const char *first = NULL  # the first digit that counts
    cdef int64_t exponent = 0, written = 0
    cdef bint fraction = False, negative
    cdef const char *limit = TOO_BIG
    while p < end and p[0] | 32 != c"e":
        if p[0] == c".":
            fraction = True
        elif first == NULL:
            if p[0] != c"0":
                first = p
            exponent -= fraction
        else:
            exponent += not fraction
        p += 1
    if first == NULL:
        return False
    if p < end:
        negative = p[1] == c"-"
        p += 2 if negative or p[1] == c"+" else 1
        while p < end:
            written = min(written * 10 + (p[0] - c"0"), MANY)
            p += 1
        exponent += -written if negative else written
    if exponent != DOUBLE_EXPONENT:
        return exponent > DOUBLE_EXPONENT
    p = first
    while limit[0] and p < end and p[0] | 32 != c"e":
        if p[0] != c".":
            if p[0] != limit[0]:
                return p[0] > limit[0]
            limit += 1
        p += 1
    while limit[0] == c"0":  # the number ends first: zeros follow
        limit += 1
    return not limit[0]


cdef const char *number_end(const char *p, const char *end) noexcept nogil:
    cdef const char *first
    cdef const char *whole
    cdef bint power = False
    if p < end and p[0] == c"-":
        p += 1
    first = p
    if p < end and p[0] == c"0":
        p += 1
    else:
        p = digits_end(p, end)
        if p == first:
            return NULL
    if p == end or p[0] != c"." and p[0] | 32 != c"e":
        return p if p - first <= MAX_INTEGER_DIGITS else NULL
    whole = p
    if p[0] == c".":
        p = digits_end(p + 1, end)
        if p - whole == 1:
            return NULL
    if p < end and p[0] | 32 == c"e":
        power = True
        p += 1
        if p < end and (p[0] == c"+" or p[0] == c"-"):
            p += 1
        if p == end or not is_digit(p[0]):
            return NULL
        p = digits_end(p, end)
    if (power or whole - first > DOUBLE_EXPONENT) and overflows(first, p):
        return NULL
    return p


cdef const char *literal_end(const char *p, const char *end) noexcept nogil:
    if end - p >= 4 and (memcmp(p, b"true", 4) == 0 or memcmp(p, b"null", 4) == 0):
        return p + 4
    if end - p >= 5 and memcmp(p, b"false", 5) == 0:
        return p + 5
    return NULL


# --- What is refused --------------------------------------------------------------------------------------------------


cdef Refusal refusal_of(const char *p, const char *end) noexcept nogil:
    cdef Refusal refusal
    cdef const char *behind
    cdef uint8_t unused = UNESCAPED
    refusal.at = p
    if p == end or p[0] != c'"':
        refusal.fault = BAD_NUMBER if p < end and (p[0] == c"-" or is_digit(p[0])) else BAD_SYNTAX
        return refusal
    p += 1
    while p < end:
        if p[0] == c"\\":
            behind = escape_end(p, end, &unused)
            refusal.fault = BAD_STRING
        elif <uint8_t>p[0] >= 0x80:
            behind = sequence_end(p, end)
            refusal.fault = BAD_UTF8
        else:
            behind = p + 1 if <uint8_t>p[0] >= 0x20 else NULL
            refusal.fault = BAD_STRING
        if behind == NULL:
            refusal.at = p
            return refusal
        p = behind
    refusal.fault = BAD_SYNTAX  # it does not end
    refusal.at = end
    return refusal


# --- The Python face --------------------------------------------------------------------------------------------------


def scalar_end(bytes data not None):
    cdef const char *start = data
    cdef const char *end = start + len(data)
    cdef const char *behind
    if data[:1] == b'"':
        behind = string_end(start + 1, end)
        if behind != NULL:
            behind += 1
    elif data[:1] in b"-0123456789":
        behind = number_end(start, end)
    else:
        behind = literal_end(start, end)
    return None if behind == NULL else behind - start


SEED[0] = int.from_bytes(os.urandom(8), "little")
SEED[1] = int.from_bytes(os.urandom(8), "little")
