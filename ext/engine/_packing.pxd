from engine._json cimport Slice
from libc.stdint cimport int64_t, uint8_t, uint32_t


cdef enum Packed:
    # How a value is written, against the value that was expected at its place.
    AFFIXED  # against both ends of what was expected (see Affix)
    TIME  # 2026-11-23T05:06:07Z as the distance to the time before it, in seconds (zigzag varint)
    UUID  # lower case: 16 bytes
    INTEGER  # canonical decimal up to 18 digits (varint)
    IPV4  # canonical: 4 bytes
    HEXADECIMAL  # bytes shared at the front (u8), bytes of lower-case digits (u8), these
    COPIED  # the number (u8) of an earlier value of the object
    EXTENDED  # the same, and then as AFFIXED against that value
    CONTAINED  # in the object's name: where (u8), how many bytes (u8)
    WITHIN  # bytes shared at both ends (u8, u8), and what is between them in a kind of its own (u8)
    ANY_KIND  # of no value: not known yet


cdef enum Affix:
    # The first byte of an AFFIXED value. What it says is there follows: bytes shared at the front (u8), at the back
    # (u8), how many bytes the rest takes beyond MAX_SHORT (varint), these, and how many pairs of lower-case hexadecimal
    # digits stand behind it (u8), in half the bytes.
    MAX_SHORT = 15  # in the low bits; so many, and a varint
    CODED = 16  # the rest is coded (see _text)
    HAS_DIGITS = 32
    HAS_FRONT = 64
    HAS_BACK = 128


cdef enum:
    MAX_REMEMBERED = 255  # values of one object that later ones can be written against
    NO_PLACE = 255


cdef struct Memory:
    # What was written of an object so far; reading goes through the same states as writing.
    int64_t time
    uint32_t count
    Slice[MAX_REMEMBERED] values
    # For writing alone: values by their first bytes, the first and the last of each kind.
    uint8_t[256] first
    uint8_t[256] last


cdef void begin(Memory *memory) noexcept nogil
cdef void begin_reading(Memory *memory) noexcept nogil
cdef void remember(Memory *memory, Slice value) noexcept nogil
cdef void recall(Memory *memory, uint32_t first) noexcept nogil  # what was remembered for reading, for writing too
cdef void remember_for_reading(Memory *memory, Slice value) noexcept nogil
cdef Packed kind_of(Slice value, Slice expected, bint is_text) noexcept nogil
cdef uint8_t *pack(uint8_t *out, Packed kind, Slice value, Slice expected, Memory *memory) noexcept nogil
cdef uint8_t *pack_best(uint8_t *out, Slice value, Slice expected, bint is_text, Memory *memory,
                        uint8_t *usual) noexcept nogil
cdef const uint8_t *unpack(const uint8_t *p, Packed kind, Slice expected, Memory *memory, char *out,
                           Py_ssize_t *size) noexcept nogil
cdef bint refers_to_others(const uint8_t *p, Packed kind, uint32_t fixed) noexcept nogil
cdef bint can_unpack(const uint8_t *p, Packed kind, Slice expected, const Memory *memory) noexcept nogil
cdef const uint8_t *skip_packed(const uint8_t *p, Packed kind) noexcept nogil


cdef inline uint8_t *write_varint(uint8_t *out, unsigned long long number) noexcept nogil:
    while number >= 0x80:
        out[0] = <uint8_t>(number | 0x80)
        out += 1
        number >>= 7
    out[0] = <uint8_t>number
    return out + 1


cdef inline Py_ssize_t varint_size(unsigned long long number) noexcept nogil:
    cdef Py_ssize_t size = 1
    while number >= 0x80:
        size += 1
        number >>= 7
    return size


cdef inline const uint8_t *read_varint(const uint8_t *p, unsigned long long *number) noexcept nogil:
    cdef int shift = 0
    number[0] = p[0] & 0x7F
    while p[0] & 0x80:
        p += 1
        shift += 7
        number[0] |= <unsigned long long>(p[0] & 0x7F) << shift
    return p + 1
