from engine._json cimport Slice
from engine._words cimport word_at
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #define EACH_BYTE(byte) (0x0101010101010101ULL * (byte))
    #define EACH_PAIR(pair) (0x0001000100010001ULL * (pair))
    #define EACH_HALF(half) (0x0000000100000001ULL * (half))
    """
    # A word of the same bytes, pairs of bytes or halves.
    uint64_t EACH_BYTE(int byte) noexcept nogil
    uint64_t EACH_PAIR(int pair) noexcept nogil
    uint64_t EACH_HALF(int half) noexcept nogil


cdef enum:
    UUID_SIZE = 36
    UUID_BYTES = 16
    DIGITS_OF_WORD = 8
    BYTES_OF_WORD = 4


cdef inline bint read_word(const char *p, uint64_t *values) noexcept nogil:
    """Whether eight lower-case digits stand at `p`, and what each of them is worth, a byte for each."""
    cdef uint64_t word = word_at(p)
    cdef uint64_t letters = word >> 6 & EACH_BYTE(1)
    values[0] = (word & EACH_BYTE(15)) + 9 * letters
    return (
        (word & EACH_BYTE(0xF0)) == EACH_BYTE(0x30) + 0x30 * letters
        and values[0] & EACH_BYTE(0x10) == 0
        and (values[0] + EACH_BYTE(6)) >> 4 & EACH_BYTE(1) == letters
    )


cdef inline uint8_t *write_packed(uint8_t *out, uint64_t values) noexcept nogil:
    """Two digits to the byte."""
    cdef uint64_t pairs = (values << 4 | values >> 8) & EACH_PAIR(0xFF)
    cdef uint32_t packed
    pairs = (pairs | pairs >> 8) & EACH_HALF(0xFFFF)
    packed = <uint32_t>(pairs | pairs >> 16)
    memcpy(out, &packed, BYTES_OF_WORD)
    return out + BYTES_OF_WORD


cdef inline void write_digits(char *out, const uint8_t *p) noexcept nogil:
    """The eight digits of four bytes."""
    cdef uint32_t packed
    cdef uint64_t values
    memcpy(&packed, p, BYTES_OF_WORD)
    values = packed
    values = (values | values << 16) & EACH_HALF(0xFFFF)
    values = (values | values << 8) & EACH_PAIR(0xFF)
    values = (values >> 4 | values << 8) & EACH_BYTE(15)
    values += EACH_BYTE(c"0") + ((values + EACH_BYTE(6)) >> 4 & EACH_BYTE(1)) * (c"a" - c"0" - 10)
    memcpy(out, &values, DIGITS_OF_WORD)


cdef Py_ssize_t digits_at(Slice value) noexcept nogil
cdef uint8_t *pack_digits(uint8_t *out, const char *p, Py_ssize_t digits) noexcept nogil
cdef const uint8_t *unpack_digits(const uint8_t *p, Py_ssize_t count, char *out) noexcept nogil
cdef bint read_uuid(Slice value, uint8_t *out) noexcept nogil
cdef void write_uuid(char *out, const uint8_t *p) noexcept nogil
