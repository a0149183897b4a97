"""Single values in few bytes: what identifies, times or addresses an object, and what resembles an earlier value."""

from engine._hexadecimal cimport (
    UUID_BYTES,
    UUID_SIZE,
    digits_at,
    pack_digits,
    read_uuid,
    unpack_digits,
    write_uuid,
)
from engine._json cimport Slice
from engine._text cimport code_text, decode_text
from engine._times cimport TIME_SIZE, digit, read_time, write_time
from engine._words cimport same_bytes, same_end
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memchr, memcmp, memcpy, memmove, memset

cdef enum:
    MAX_INTEGER = 18  # digits: always fit 64 bits
    MIN_HEXADECIMAL = 16  # digits: shorter runs are words as often as numbers
    MAX_SHARED = 255
    MIN_SHARED = 4  # bytes by which values are found again
    MIN_AFFIX = 2  # shorter ends cost as much as they save
    MIN_CODED = 3  # texts that can become shorter
    KEYED_FRONT = 5  # k:{\"
    KEYED_END = 3  # \"}
    MIN_CONTAINED = 6  # bytes that cost less as a place in the name
    NEAR_TIME = 1_700_000_000  # from where the first time of an object is counted: four bytes reach four years


# --- Kinds ------------------------------------------------------------------------------------------------------------


cdef bint is_integer(Slice value) noexcept nogil:
    cdef Py_ssize_t i
    if value.size < 1 or value.size > MAX_INTEGER or (value.start[0] == c"0" and value.size > 1):
        return False
    for i in range(value.size):
        if digit(value.start[i]) < 0:
            return False
    return True


cdef bint read_ipv4(Slice value, uint8_t *parts) noexcept nogil:
    cdef const char *p = value.start
    cdef const char *end = p + value.size
    cdef uint32_t number
    cdef int part
    for part in range(4):
        if part:
            if p == end or p[0] != c".":
                return False
            p += 1
        if p == end or digit(p[0]) < 0:
            return False
        number = digit(p[0])
        p += 1
        while p < end and digit(p[0]) >= 0:
            if number == 0 or number > 25:
                return False
            number = 10 * number + digit(p[0])
            p += 1
        if number > 255:
            return False
        parts[part] = <uint8_t>number
    return p == end


cdef inline Py_ssize_t shared_front(Slice left, Slice right) noexcept nogil:
    return same_bytes(left.start, right.start, min(left.size, right.size, <Py_ssize_t>MAX_SHARED))


cdef inline Py_ssize_t shared_back(Slice left, Slice right, Py_ssize_t front) noexcept nogil:
    return same_end(
        left.start + left.size,
        right.start + right.size,
        min(left.size - front, right.size - front, <Py_ssize_t>MAX_SHARED),
    )


cdef inline bint is_hexadecimal(Slice value, Slice expected, Py_ssize_t *front) noexcept nogil:
    """Whether it ends with digits behind a front that is expected."""
    front[0] = digits_at(value)
    return (
        MIN_HEXADECIMAL <= value.size - front[0] < 2 * MAX_SHARED
        and front[0] <= min(expected.size, <Py_ssize_t>MAX_SHARED)
        and memcmp(value.start, expected.start, front[0]) == 0
    )


cdef Packed kind_of(Slice value, Slice expected, bint is_text) noexcept nogil:
    """The kind that fits, AFFIXED for any other. Keys and literals, which are no text, are AFFIXED or INTEGER."""
    cdef uint8_t[UUID_BYTES] parts
    cdef int64_t seconds
    cdef Py_ssize_t front
    if is_integer(value):
        return INTEGER
    if not is_text:
        return AFFIXED
    if read_time(value, &seconds):
        return TIME
    if read_uuid(value, parts):
        return UUID
    if read_ipv4(value, parts):
        return IPV4
    return HEXADECIMAL if is_hexadecimal(value, expected, &front) else AFFIXED


# --- Memory -----------------------------------------------------------------------------------------------------------


cdef void begin_reading(Memory *memory) noexcept nogil:
    memory.time = NEAR_TIME
    memory.count = 0


cdef void begin(Memory *memory) noexcept nogil:
    begin_reading(memory)
    memset(memory.first, NO_PLACE, sizeof(memory.first))
    memset(memory.last, NO_PLACE, sizeof(memory.last))


cdef inline uint8_t bucket_of(Slice value) noexcept nogil:
    cdef uint32_t word
    memcpy(&word, value.start, sizeof(word))
    return <uint8_t>((word * <uint32_t>0x9E3779B1) >> 24)


cdef inline Slice keyed(Slice value) noexcept nogil:
    """The element of a list that a key of managedFields names, as in k:{\\"name\\":\\"web\\"}; else nothing."""
    cdef Slice name
    cdef Py_ssize_t at = value.size - KEYED_END
    name.start = NULL
    name.size = 0
    if at > KEYED_FRONT and memcmp(value.start, b'k:{\\"', KEYED_FRONT) == 0:
        while at > KEYED_FRONT and value.start[at - 1] != c'"':
            at -= 1
        name.start = value.start + at
        name.size = value.size - KEYED_END - at
    return name


cdef void remember_for_reading(Memory *memory, Slice value) noexcept nogil:
    cdef Slice name
    if memory.count < MAX_REMEMBERED and value.size >= MIN_SHARED:
        memory.values[memory.count] = value
        memory.count += 1
        name = keyed(value)
        if name.size >= MIN_SHARED:
            remember_for_reading(memory, name)


cdef void remember(Memory *memory, Slice value) noexcept nogil:
    cdef uint32_t first = memory.count
    remember_for_reading(memory, value)
    recall(memory, first)


cdef void recall(Memory *memory, uint32_t first) noexcept nogil:
    cdef uint32_t i
    cdef uint8_t bucket
    for i in range(first, memory.count):
        bucket = bucket_of(memory.values[i])
        if memory.first[bucket] == NO_PLACE:
            memory.first[bucket] = <uint8_t>i
        memory.last[bucket] = <uint8_t>i


cdef uint8_t similar(Memory *memory, Slice value, Py_ssize_t *shared) noexcept nogil:
    """The number of the value that begins most alike; `shared` bytes are the same."""
    cdef uint8_t bucket, place, best = NO_PLACE
    cdef Py_ssize_t front
    cdef int i
    shared[0] = 0
    if value.size < MIN_SHARED:
        return NO_PLACE
    bucket = bucket_of(value)
    for i in range(2):
        place = memory.last[bucket] if i else memory.first[bucket]
        if place == NO_PLACE or place == best:
            continue
        front = shared_front(value, memory.values[place])
        if front > shared[0] or best == NO_PLACE:
            shared[0] = front
            best = place
    return best


# --- Writing and reading ----------------------------------------------------------------------------------------------


cdef uint8_t *pack_affixed(uint8_t *out, Slice value, Slice expected) noexcept nogil:
    cdef Py_ssize_t front = shared_front(value, expected), back, digits, size = 0
    cdef uint8_t *head = out
    cdef Slice middle
    if front < MIN_AFFIX:
        front = 0
    back = shared_back(value, expected, front)
    if back < MIN_AFFIX:
        back = 0
    middle.start = value.start + front
    middle.size = value.size - front - back
    head[0] = 0
    out += 1
    if front:
        head[0] |= HAS_FRONT
        out[0] = <uint8_t>front
        out += 1
    if back:
        head[0] |= HAS_BACK
        out[0] = <uint8_t>back
        out += 1
    digits = digits_at(middle)
    if MIN_HEXADECIMAL <= middle.size - digits < 2 * MAX_SHARED:
        head[0] |= HAS_DIGITS
        middle.size = digits
    if middle.size >= MIN_CODED:
        # Where the length takes more than the head it moves there, once it is known.
        size = code_text(out, middle)
    if size:
        head[0] |= CODED
        if size >= MAX_SHORT:
            memmove(out + varint_size(size - MAX_SHORT), out, size)
    else:
        size = middle.size
    head[0] |= <uint8_t>min(size, <Py_ssize_t>MAX_SHORT)
    if size >= MAX_SHORT:
        out = write_varint(out, size - MAX_SHORT)
    if not head[0] & CODED:
        memcpy(out, middle.start, size)
    out += size
    if not head[0] & HAS_DIGITS:
        return out
    digits = value.size - back - (middle.start - value.start) - middle.size
    out[0] = <uint8_t>(digits // 2)
    return pack_digits(out + 1, middle.start + middle.size, digits)


cdef inline Py_ssize_t place_in(Slice text, Slice value) noexcept nogil:
    """Where the value stands in the text, or -1."""
    cdef const char *p = text.start
    cdef const char *last = text.start + text.size - value.size
    while p <= last:
        p = <const char *>memchr(p, value.start[0], last - p + 1)
        if p == NULL:
            return -1
        if memcmp(p, value.start, value.size) == 0:
            return p - text.start
        p += 1
    return -1


cdef inline uint8_t *pack_contained(uint8_t *out, Slice value, Memory *memory) noexcept nogil:
    """A part of the object's name as its place there; NULL when it is none."""
    cdef Py_ssize_t at
    if memory.count == 0 or not MIN_CONTAINED <= value.size <= MAX_SHARED:
        return NULL
    at = place_in(memory.values[0], value)
    if not 0 <= at <= MAX_SHARED:
        return NULL
    out[0] = <uint8_t>at
    out[1] = <uint8_t>value.size
    return out + 2


cdef uint8_t[256] BORDERS  # characters at which words end, as names and addresses stand in longer values


cdef int mark_borders() noexcept:
    cdef char border
    for border in b'"=/:@, \\':
        BORDERS[<uint8_t>border] = True
    return 0


mark_borders()


cdef inline bint is_border(char c) noexcept nogil:
    return BORDERS[<uint8_t>c]


cdef uint8_t *pack_within(uint8_t *out, Slice value, Slice expected, Memory *memory) noexcept nogil:
    """The words that differ as one earlier value, UUID, address or part of the name; NULL when they are none."""
    cdef Py_ssize_t front = shared_front(value, expected), back, shared
    cdef Slice middle
    cdef uint8_t place
    while front > 0 and not is_border(value.start[front - 1]):
        front -= 1
    back = shared_back(value, expected, front)
    while back > 0 and not is_border(value.start[value.size - back]):
        back -= 1
    if front + back == 0:
        return NULL
    middle.start = value.start + front
    middle.size = value.size - front - back
    place = similar(memory, middle, &shared)
    out[0] = <uint8_t>front
    out[1] = <uint8_t>back
    if place != NO_PLACE and shared == middle.size and memory.values[place].size == shared:
        out[2] = COPIED
        out[3] = place
        return out + 4
    if read_uuid(middle, out + 3):
        out[2] = UUID
        return out + 3 + UUID_BYTES
    if read_ipv4(middle, out + 3):
        out[2] = IPV4
        return out + 7
    out[2] = CONTAINED
    return pack_contained(out + 3, middle, memory)


cdef uint8_t *pack(uint8_t *out, Packed kind, Slice value, Slice expected, Memory *memory) noexcept nogil:
    """Writes a value; returns the place behind it, or NULL when it cannot be written in this kind."""
    cdef unsigned long long number = 0
    cdef Py_ssize_t i, at = 0
    cdef int64_t seconds
    if kind == AFFIXED:
        return pack_affixed(out, value, expected)
    if kind == TIME:
        if not read_time(value, &seconds):
            return NULL
        number = <unsigned long long>(seconds - memory.time) << 1
        if seconds < memory.time:
            number = ~number
        memory.time = seconds
        return write_varint(out, number)
    if kind == INTEGER:
        if not is_integer(value):
            return NULL
        for i in range(value.size):
            number = number * 10 + digit(value.start[i])
        return write_varint(out, number)
    if kind == IPV4:
        return out + 4 if read_ipv4(value, out) else NULL
    if kind == UUID:
        return out + UUID_BYTES if read_uuid(value, out) else NULL
    if not is_hexadecimal(value, expected, &at):
        return NULL
    out[0] = <uint8_t>at
    out[1] = <uint8_t>((value.size - at) // 2)
    return pack_digits(out + 2, value.start + at, value.size - at)


cdef uint8_t *pack_best(uint8_t *out, Slice value, Slice expected, bint is_text, Memory *memory,
                        uint8_t *usual) noexcept nogil:
    """The same behind a byte that says the kind, which is chosen here. `usual` is the kind that was best for such
    values and is tried first: to search takes long."""
    cdef Py_ssize_t shared
    cdef uint8_t place = similar(memory, value, &shared)
    cdef uint8_t *behind
    cdef Packed kind
    if place != NO_PLACE and shared == value.size and memory.values[place].size == shared:
        out[0] = COPIED
        out[1] = place
        return out + 2
    if usual[0] == WITHIN:
        out[0] = WITHIN
        behind = pack_within(out + 1, value, expected, memory)
        if behind != NULL:
            return behind
    kind = AFFIXED if usual[0] == AFFIXED else kind_of(value, expected, is_text)
    if kind == AFFIXED and usual[0] != AFFIXED:
        out[0] = CONTAINED
        behind = pack_contained(out + 1, value, memory)
        if behind != NULL:
            return behind
        out[0] = WITHIN
        behind = pack_within(out + 1, value, expected, memory)
        if behind != NULL:
            usual[0] = WITHIN
            return behind
        usual[0] = AFFIXED
    out[0] = <uint8_t>kind
    if kind == AFFIXED and place != NO_PLACE:
        if shared > shared_front(value, expected) + shared_back(value, expected, shared_front(value, expected)) + 1:
            out[0] = EXTENDED
            out[1] = place
            return pack_affixed(out + 2, value, memory.values[place])
    return pack(out + 1, kind, value, expected, memory)


cdef const uint8_t *unpack_affixed(const uint8_t *p, Slice expected, char *out, Py_ssize_t *size) noexcept nogil:
    cdef uint8_t head = p[0]
    cdef char *begin = out
    cdef Py_ssize_t back = 0, rest = head & MAX_SHORT
    cdef unsigned long long more
    p += 1
    if head & HAS_FRONT:
        memcpy(out, expected.start, p[0])
        out += p[0]
        p += 1
    if head & HAS_BACK:
        back = p[0]
        p += 1
    if rest == MAX_SHORT:
        p = read_varint(p, &more)
        rest += <Py_ssize_t>more
    if head & CODED:
        out = decode_text(p, rest, out)
    else:
        memcpy(out, p, rest)
        out += rest
    p += rest
    if head & HAS_DIGITS:
        out += 2 * p[0]
        p = unpack_digits(p + 1, p[0], out - 2 * p[0])
    if back:
        memcpy(out, expected.start + expected.size - back, back)
    size[0] = out + back - begin
    return p


cdef const uint8_t *unpack(const uint8_t *p, Packed kind, Slice expected, Memory *memory, char *out,
                           Py_ssize_t *size) noexcept nogil:
    """Writes to `out` what was packed at `p`; returns the place behind it."""
    cdef unsigned long long number
    cdef Py_ssize_t front, back, i, at
    cdef char[MAX_INTEGER + 2] digits
    if kind == EXTENDED:
        expected = memory.values[p[0]]
        p += 1
        kind = AFFIXED
    if kind == AFFIXED:
        return unpack_affixed(p, expected, out, size)
    if kind == WITHIN:
        front = p[0]
        back = p[1]
        memcpy(out, expected.start, front)
        p = unpack(p + 3, <Packed>p[2], expected, memory, out + front, &at)
        memcpy(out + front + at, expected.start + expected.size - back, back)
        size[0] = front + at + back
        return p
    if kind == COPIED:
        size[0] = memory.values[p[0]].size
        memcpy(out, memory.values[p[0]].start, size[0])
        return p + 1
    if kind == CONTAINED:
        size[0] = p[1]
        memcpy(out, memory.values[0].start + p[0], p[1])
        return p + 2
    if kind == TIME:
        p = read_varint(p, &number)
        memory.time += <int64_t>(~(number >> 1)) if number & 1 else <int64_t>(number >> 1)
        write_time(out, memory.time)
        size[0] = TIME_SIZE
        return p
    if kind == INTEGER:
        p = read_varint(p, &number)
        at = sizeof(digits)
        while True:
            at -= 1
            digits[at] = <char>(c"0" + number % 10)
            number //= 10
            if number == 0:
                break
        size[0] = sizeof(digits) - at
        memcpy(out, digits + at, size[0])
        return p
    if kind == IPV4:
        at = 0
        for i in range(4):
            if p[i] >= 100:
                out[at] = <char>(c"0" + p[i] // 100)
                at += 1
            if p[i] >= 10:
                out[at] = <char>(c"0" + p[i] // 10 % 10)
                at += 1
            out[at] = <char>(c"0" + p[i] % 10)
            out[at + 1] = c"."
            at += 2
        size[0] = at - 1
        return p + 4
    if kind == UUID:
        write_uuid(out, p)
        size[0] = UUID_SIZE
        return p + UUID_BYTES
    front = p[0]
    memcpy(out, expected.start, front)
    size[0] = front + 2 * p[1]
    return unpack_digits(p + 2, p[1], out + front)


cdef const uint8_t *skip_packed(const uint8_t *p, Packed kind) noexcept nogil:
    """What stands behind the value that was packed at `p`."""
    cdef unsigned long long number
    cdef uint8_t head
    if kind == EXTENDED:
        p += 1
        kind = AFFIXED
    if kind == AFFIXED:
        head = p[0]
        p += 1 + ((head & HAS_FRONT) != 0) + ((head & HAS_BACK) != 0)
        number = 0
        if head & MAX_SHORT == MAX_SHORT:
            p = read_varint(p, &number)
        p += (head & MAX_SHORT) + number
        return p + 1 + p[0] if head & HAS_DIGITS else p
    if kind == WITHIN:
        return skip_packed(p + 3, <Packed>p[2])
    if kind == COPIED:
        return p + 1
    if kind == CONTAINED:
        return p + 2
    if kind == TIME or kind == INTEGER:
        return read_varint(p, &number)
    if kind == IPV4:
        return p + 4
    return p + UUID_BYTES if kind == UUID else p + 2 + p[1]


cdef bint refers_to_others(const uint8_t *p, Packed kind, uint32_t fixed) noexcept nogil:
    """Whether what the value at `p` says hangs on an earlier value that is none of the first `fixed` ones."""
    if kind == WITHIN:
        return refers_to_others(p + 3, <Packed>p[2], fixed)
    if kind == COPIED or kind == EXTENDED:
        return p[0] >= fixed
    return kind == TIME or kind == CONTAINED and fixed == 0


cdef bint can_unpack(const uint8_t *p, Packed kind, Slice expected, const Memory *memory) noexcept nogil:
    """Whether what the value at `p` refers to is there, where it need not be what it was when that was packed."""
    if kind == COPIED or kind == EXTENDED:
        if p[0] >= memory.count:
            return False
        return kind == COPIED or can_unpack(p + 1, AFFIXED, memory.values[p[0]], memory)
    if kind == CONTAINED:
        return memory.count > 0 and <Py_ssize_t>p[0] + p[1] <= memory.values[0].size
    if kind == WITHIN:
        return (
            <Py_ssize_t>p[0] <= expected.size
            and <Py_ssize_t>p[1] <= expected.size
            and can_unpack(p + 3, <Packed>p[2], expected, memory)
        )
    if kind == HEXADECIMAL:
        return <Py_ssize_t>p[0] <= expected.size
    if kind != AFFIXED:
        return True
    if p[0] & HAS_FRONT and <Py_ssize_t>p[1] > expected.size:
        return False
    return not p[0] & HAS_BACK or <Py_ssize_t>p[1 + ((p[0] & HAS_FRONT) != 0)] <= expected.size
