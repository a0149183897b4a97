"""Single values in few bytes: what identifies, times or addresses an object, and what resembles an earlier value."""

from engine._json cimport Slice
from engine._text cimport code_text, decode_text
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memchr, memcmp, memcpy, memmove, memset

cdef enum:
    TIME_SIZE = 20  # 2026-11-23T05:06:07Z
    DATE_SIZE = 10
    SECONDS_OF_DAY = 86400
    UUID_SIZE = 36
    MAX_INTEGER = 18  # digits: always fit 64 bits
    MIN_HEXADECIMAL = 16  # digits: shorter runs are words as often as numbers
    MAX_SHARED = 255
    MIN_SHARED = 4  # bytes by which values are found again
    MIN_AFFIX = 2  # shorter ends cost as much as they save
    MIN_CODED = 3  # texts that can become shorter
    MIN_CONTAINED = 6  # bytes that cost less as a place in the name
    NEAR_TIME = 1_700_000_000  # from where the first time of an object is counted: four bytes reach four years


# --- Characters -------------------------------------------------------------------------------------------------------


cdef inline int digit(char c) noexcept nogil:
    return c - c"0" if c"0" <= c <= c"9" else -1


cdef inline int hexdigit(char c) noexcept nogil:
    if c"0" <= c <= c"9":
        return c - c"0"
    return c - c"a" + 10 if c"a" <= c <= c"f" else -1


cdef inline char hexchar(int value) noexcept nogil:
    return <char>(c"0" + value if value < 10 else c"a" + value - 10)


cdef inline int two_digits(const char *p) noexcept nogil:
    cdef int high = digit(p[0]), low = digit(p[1])
    return -1 if high < 0 or low < 0 else 10 * high + low


cdef inline void write_two(char *out, int number) noexcept nogil:
    out[0] = <char>(c"0" + number // 10)
    out[1] = <char>(c"0" + number % 10)


# --- Times ------------------------------------------------------------------------------------------------------------
# Days and civil dates by Howard Hinnant's formulas, for years from 1 on; most times are of the date before.
# https://howardhinnant.github.io/date_algorithms.html

cdef int64_t last_day = 0
cdef char[DATE_SIZE] last_date
memcpy(last_date, b"1970-01-01", DATE_SIZE)


cdef int64_t days_of(int year, int month, int day) noexcept nogil:
    cdef int64_t y = year - (month <= 2)
    cdef int64_t era = y // 400
    cdef int64_t year_of_era = y - era * 400
    cdef int64_t day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468


cdef void write_date(char *out, int64_t days) noexcept nogil:
    cdef int64_t z, era, day_of_era, year_of_era, day_of_year, month, year
    z = days + 719468
    era = z // 146097
    day_of_era = z - era * 146097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * day_of_year + 2) // 153
    year = year_of_era + era * 400
    write_two(out + 8, <int>(day_of_year - (153 * month + 2) // 5 + 1))
    month += 3 if month < 10 else -9
    year += month <= 2
    write_two(out, <int>(year // 100))
    write_two(out + 2, <int>(year % 100))
    out[4] = out[7] = c"-"
    write_two(out + 5, <int>month)


cdef void write_time(char *out, int64_t seconds) noexcept nogil:
    global last_day
    cdef int64_t days = seconds // SECONDS_OF_DAY
    cdef int rest
    if seconds < days * SECONDS_OF_DAY:
        days -= 1
    rest = <int>(seconds - days * SECONDS_OF_DAY)
    if days != last_day:
        write_date(last_date, days)
        last_day = days
    memcpy(out, last_date, DATE_SIZE)
    out[10] = c"T"
    write_two(out + 11, rest // 3600)
    out[13] = out[16] = c":"
    write_two(out + 14, rest // 60 % 60)
    write_two(out + 17, rest % 60)
    out[19] = c"Z"


cdef bint read_date(const char *p) noexcept nogil:
    """Makes it the last date, if it is one."""
    global last_day
    cdef char[DATE_SIZE] again
    cdef int century = two_digits(p), year = two_digits(p + 2), month = two_digits(p + 5), day = two_digits(p + 8)
    cdef int64_t days
    if century < 1 or year < 0 or month < 1 or month > 12 or day < 1:
        return False
    days = days_of(100 * century + year, month, day)
    write_date(again, days)
    if memcmp(again, p, DATE_SIZE) != 0:
        return False
    memcpy(last_date, again, DATE_SIZE)
    last_day = days
    return True


cdef bint read_time(Slice value, int64_t *seconds) noexcept nogil:
    """Whether it is a time that `write_time` writes just so."""
    cdef const char *p = value.start
    cdef int hour, minute, second
    if value.size != TIME_SIZE or p[10] != c"T" or p[13] != c":" or p[16] != c":" or p[19] != c"Z":
        return False
    hour = two_digits(p + 11)
    minute = two_digits(p + 14)
    second = two_digits(p + 17)
    if hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59:
        return False
    if memcmp(p, last_date, DATE_SIZE) != 0 and not read_date(p):
        return False
    seconds[0] = last_day * SECONDS_OF_DAY + hour * 3600 + minute * 60 + second
    return True


# --- Other kinds ------------------------------------------------------------------------------------------------------


cdef bint is_dash(Py_ssize_t at) noexcept nogil:
    return at == 8 or at == 13 or at == 18 or at == 23


cdef bint is_uuid(Slice value) noexcept nogil:
    cdef Py_ssize_t i
    if value.size != UUID_SIZE:
        return False
    for i in range(UUID_SIZE):
        if (value.start[i] != c"-") if is_dash(i) else hexdigit(value.start[i]) < 0:
            return False
    return True


cdef bint is_integer(Slice value) noexcept nogil:
    cdef Py_ssize_t i
    if value.size < 1 or value.size > MAX_INTEGER or (value.start[0] == c"0" and value.size > 1):
        return False
    for i in range(value.size):
        if digit(value.start[i]) < 0:
            return False
    return True


cdef bint read_ipv4(Slice value, uint8_t *parts) noexcept nogil:
    cdef Py_ssize_t at = 0
    cdef int part, number, digits
    for part in range(4):
        number = digits = 0
        while at < value.size and digit(value.start[at]) >= 0 and digits < 3:
            if digits and number == 0:
                return False
            number = 10 * number + digit(value.start[at])
            digits += 1
            at += 1
        if digits == 0 or number > 255:
            return False
        parts[part] = <uint8_t>number
        if part < 3:
            if at >= value.size or value.start[at] != c".":
                return False
            at += 1
    return at == value.size


cdef inline Py_ssize_t hexadecimal_at(Slice value) noexcept nogil:
    """Where the even run of digits begins that ends the value."""
    cdef Py_ssize_t at = value.size
    while at > 0 and hexdigit(value.start[at - 1]) >= 0:
        at -= 1
    return at + ((value.size - at) & 1)


cdef inline Py_ssize_t shared_front(Slice left, Slice right) noexcept nogil:
    cdef Py_ssize_t at = 0, limit = min(left.size, right.size, <Py_ssize_t>MAX_SHARED)
    while at < limit and left.start[at] == right.start[at]:
        at += 1
    return at


cdef inline Py_ssize_t shared_back(Slice left, Slice right, Py_ssize_t front) noexcept nogil:
    cdef Py_ssize_t at = 0, limit = min(left.size - front, right.size - front, <Py_ssize_t>MAX_SHARED)
    while at < limit and left.start[left.size - 1 - at] == right.start[right.size - 1 - at]:
        at += 1
    return at


cdef inline bint is_hexadecimal(Slice value, Slice expected, Py_ssize_t *front) noexcept nogil:
    """Whether it ends with digits behind a front that is expected."""
    front[0] = hexadecimal_at(value)
    return (
        MIN_HEXADECIMAL <= value.size - front[0] < 2 * MAX_SHARED
        and front[0] <= min(expected.size, <Py_ssize_t>MAX_SHARED)
        and memcmp(value.start, expected.start, front[0]) == 0
    )


cdef Packed kind_of(Slice value, Slice expected, bint is_text) noexcept nogil:
    """The kind that fits, AFFIXED for any other. Keys and literals, which are no text, are AFFIXED or INTEGER."""
    cdef uint8_t[4] parts
    cdef int64_t seconds
    cdef Py_ssize_t front
    if is_integer(value):
        return INTEGER
    if not is_text:
        return AFFIXED
    if read_time(value, &seconds):
        return TIME
    if is_uuid(value):
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


cdef void remember_for_reading(Memory *memory, Slice value) noexcept nogil:
    if memory.count < MAX_REMEMBERED and value.size >= MIN_SHARED:
        memory.values[memory.count] = value
        memory.count += 1


cdef void remember(Memory *memory, Slice value) noexcept nogil:
    cdef uint8_t bucket
    if memory.count < MAX_REMEMBERED and value.size >= MIN_SHARED:
        bucket = bucket_of(value)
        if memory.first[bucket] == NO_PLACE:
            memory.first[bucket] = <uint8_t>memory.count
        memory.last[bucket] = <uint8_t>memory.count
        remember_for_reading(memory, value)


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


cdef inline uint8_t *write_hexadecimal(uint8_t *out, Slice value, Py_ssize_t at) noexcept nogil:
    while at < value.size:
        if value.start[at] == c"-":
            at += 1
        out[0] = <uint8_t>(16 * hexdigit(value.start[at]) + hexdigit(value.start[at + 1]))
        out += 1
        at += 2
    return out


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
    digits = hexadecimal_at(middle)
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
    middle.start += middle.size
    middle.size = digits
    return write_hexadecimal(out + 1, middle, 0)


cdef inline bint is_border(char c) noexcept nogil:
    """Whether words end here, as names and addresses stand in longer values."""
    return c == c'"' or c == c"=" or c == c"/" or c == c":" or c == c"@" or c == c"," or c == c" " or c == c"\\"


cdef uint8_t *pack_within(uint8_t *out, Slice value, Slice expected, Memory *memory) noexcept nogil:
    """The words that differ as one earlier value, UUID or address; NULL when they are none."""
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
    if is_uuid(middle):
        out[2] = UUID
        return write_hexadecimal(out + 3, middle, 0)
    out[2] = IPV4
    return out + 7 if read_ipv4(middle, out + 3) else NULL


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
        return write_hexadecimal(out, value, 0) if is_uuid(value) else NULL
    if not is_hexadecimal(value, expected, &at):
        return NULL
    out[0] = <uint8_t>at
    out[1] = <uint8_t>((value.size - at) // 2)
    return write_hexadecimal(out + 2, value, at)


cdef uint8_t *pack_best(uint8_t *out, Slice value, Slice expected, bint is_text, Memory *memory) noexcept nogil:
    """The same behind a byte that says the kind, which is chosen here."""
    cdef Py_ssize_t shared, at
    cdef uint8_t place = similar(memory, value, &shared)
    cdef uint8_t *behind
    cdef Packed kind
    if place != NO_PLACE and shared == value.size and memory.values[place].size == shared:
        out[0] = COPIED
        out[1] = place
        return out + 2
    kind = kind_of(value, expected, is_text)
    if kind == AFFIXED:
        if memory.count and MIN_CONTAINED <= value.size <= MAX_SHARED:
            at = place_in(memory.values[0], value)
            if 0 <= at <= MAX_SHARED:
                out[0] = CONTAINED
                out[1] = <uint8_t>at
                out[2] = <uint8_t>value.size
                return out + 3
        out[0] = WITHIN
        behind = pack_within(out + 1, value, expected, memory)
        if behind != NULL:
            return behind
    out[0] = <uint8_t>kind
    if kind == AFFIXED and place != NO_PLACE:
        if shared > shared_front(value, expected) + shared_back(value, expected, shared_front(value, expected)) + 1:
            out[0] = EXTENDED
            out[1] = place
            return pack_affixed(out + 2, value, memory.values[place])
    return pack(out + 1, kind, value, expected, memory)


cdef inline const uint8_t *read_hexadecimal(const uint8_t *p, uint32_t count, char *out) noexcept nogil:
    cdef uint32_t i
    for i in range(count):
        out[2 * i] = hexchar(p[i] >> 4)
        out[2 * i + 1] = hexchar(p[i] & 15)
    return p + count


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
        p = read_hexadecimal(p + 1, p[0], out - 2 * p[0])
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
        at = 0
        for i in range(16):
            if is_dash(at):
                out[at] = c"-"
                at += 1
            out[at] = hexchar(p[i] >> 4)
            out[at + 1] = hexchar(p[i] & 15)
            at += 2
        size[0] = UUID_SIZE
        return p + 16
    front = p[0]
    memcpy(out, expected.start, front)
    size[0] = front + 2 * p[1]
    return read_hexadecimal(p + 2, p[1], out + front)
