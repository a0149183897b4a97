"""Lower-case hexadecimal digits and UUIDs in half their bytes, eight digits at a time."""

from engine._json cimport Slice
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    # Of a UUID: 01234567-9ABC-EF01-4567-9ABCDEF01234
    FIRST_DASH = 8
    SECOND_DASH = 13
    THIRD_DASH = 18
    FOURTH_DASH = 23
    LAST_WORD = 28


cdef inline int digit_of(char c) noexcept nogil:
    if c"0" <= c <= c"9":
        return c - c"0"
    return c - c"a" + 10 if c"a" <= c <= c"f" else -1


cdef inline char digit_for(int value) noexcept nogil:
    return <char>(c"0" + value if value < 10 else c"a" + value - 10)


cdef Py_ssize_t digits_at(Slice value) noexcept nogil:
    """Where the even run of digits begins that ends the value."""
    cdef Py_ssize_t at = value.size
    cdef uint64_t values
    while at >= DIGITS_OF_WORD and read_word(value.start + at - DIGITS_OF_WORD, &values):
        at -= DIGITS_OF_WORD
    while at > 0 and digit_of(value.start[at - 1]) >= 0:
        at -= 1
    return at + ((value.size - at) & 1)


cdef uint8_t *pack_digits(uint8_t *out, const char *p, Py_ssize_t digits) noexcept nogil:
    """An even number of them, which are digits; returns the place behind."""
    cdef const char *end = p + digits
    cdef uint64_t values
    while end - p >= DIGITS_OF_WORD:
        read_word(p, &values)
        out = write_packed(out, values)
        p += DIGITS_OF_WORD
    while p < end:
        out[0] = <uint8_t>(16 * digit_of(p[0]) + digit_of(p[1]))
        out += 1
        p += 2
    return out


cdef const uint8_t *unpack_digits(const uint8_t *p, Py_ssize_t count, char *out) noexcept nogil:
    """The digits of `count` bytes."""
    cdef const uint8_t *end = p + count
    while end - p >= BYTES_OF_WORD:
        write_digits(out, p)
        p += BYTES_OF_WORD
        out += DIGITS_OF_WORD
    while p < end:
        out[0] = digit_for(p[0] >> 4)
        out[1] = digit_for(p[0] & 15)
        p += 1
        out += 2
    return end


cdef bint read_uuid(Slice value, uint8_t *out) noexcept nogil:
    """Whether it is a UUID, whose bytes are in `out` then."""
    cdef const char *p = value.start
    cdef char[DIGITS_OF_WORD] second, third
    cdef uint64_t[4] values
    if value.size != UUID_SIZE or p[FIRST_DASH] != c"-" or p[SECOND_DASH] != c"-" or p[THIRD_DASH] != c"-" or (
        p[FOURTH_DASH] != c"-"
    ):
        return False
    memcpy(second, p + FIRST_DASH + 1, 4)
    memcpy(second + 4, p + SECOND_DASH + 1, 4)
    memcpy(third, p + THIRD_DASH + 1, 4)
    memcpy(third + 4, p + FOURTH_DASH + 1, 4)
    if not (
        read_word(p, &values[0])
        and read_word(second, &values[1])
        and read_word(third, &values[2])
        and read_word(p + LAST_WORD, &values[3])
    ):
        return False
    out = write_packed(out, values[0])
    out = write_packed(out, values[1])
    out = write_packed(out, values[2])
    write_packed(out, values[3])
    return True


cdef void write_uuid(char *out, const uint8_t *p) noexcept nogil:
    """The UUID_SIZE characters of UUID_BYTES bytes."""
    cdef char[DIGITS_OF_WORD] second, third
    write_digits(out, p)
    write_digits(second, p + BYTES_OF_WORD)
    write_digits(third, p + 2 * BYTES_OF_WORD)
    write_digits(out + LAST_WORD, p + 3 * BYTES_OF_WORD)
    out[FIRST_DASH] = out[SECOND_DASH] = out[THIRD_DASH] = out[FOURTH_DASH] = c"-"
    memcpy(out + FIRST_DASH + 1, second, 4)
    memcpy(out + SECOND_DASH + 1, second + 4, 4)
    memcpy(out + THIRD_DASH + 1, third, 4)
    memcpy(out + FOURTH_DASH + 1, third + 4, 4)
