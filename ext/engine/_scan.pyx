"""One strict pass over JSON bytes (RFC 8259)."""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memset

import os

import orjson

cdef extern from "blocks.h" nogil:
    enum:
        BLOCK "ENGINE_BLOCK"  # bytes looked at in one step
        BLOCK_SHIFT "ENGINE_BLOCK_SHIFT"
    uint64_t load64 "engine_load64"(const char *p)
    int lowest_bit "engine_lowest_bit"(uint64_t bits)
    uint64_t special "engine_special"(const char *p)

cdef extern from "Python.h":
    # No exception to raise: what does not fit is clipped.
    Py_ssize_t clipped "PyNumber_AsSsize_t"(object number, PyObject *overflow)

cdef enum:
    FIRST_TOKENS = 512
    SMALL_OBJECT = 32  # keys that are compared with each other; beyond, a set takes over
    DOUBLE_EXPONENT = 308  # of ten, of the largest double


# --- Strings ----------------------------------------------------------------------------------------------------------


cdef struct Refusal:
    Fault fault
    const char *at


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


cdef const char *walked_text(const char *p, const char *end, uint8_t *escaped, Refusal *refusal) noexcept nogil:
    """text_end byte by byte, with what is wrong and where when it returns NULL."""
    cdef const char *behind
    while p < end:
        if p[0] == c'"':
            return p
        if p[0] == c"\\":
            behind = escape_end(p, end, escaped)
            refusal.fault = BAD_STRING
        elif <uint8_t>p[0] >= 0x80:
            behind = sequence_end(p, end)
            refusal.fault = BAD_UTF8
        else:
            behind = p + 1 if <uint8_t>p[0] >= 0x20 else NULL
            refusal.fault = BAD_STRING
        if behind == NULL:
            refusal.at = p
            return NULL
        p = behind
    refusal.fault = BAD_SYNTAX
    refusal.at = end
    return NULL


cdef inline const char *text_end(const char *p, const char *end, uint8_t *escaped) noexcept nogil:
    """From behind the opening quote to the closing one; NULL when there is none or the text is refused."""
    cdef uint64_t bits
    cdef Refusal unused
    escaped[0] = UNESCAPED
    while end - p >= BLOCK:
        bits = special(p)
        if bits == 0:
            p += BLOCK
            continue
        p += lowest_bit(bits) >> BLOCK_SHIFT
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
    return walked_text(p, end, escaped, &unused)


cdef const char *string_end(const char *p, const char *end) noexcept nogil:
    cdef uint8_t escaped
    return text_end(p, end, &escaped)


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


# --- Repeated keys ----------------------------------------------------------------------------------------------------


cdef struct Level:  # a container that is open
    uint64_t seen  # a bit for the signature of each key: where it is not set, no earlier key is equal
    uint32_t token
    uint32_t keys
    bint is_object
    bint respelled  # a key is written in one of several ways: bytes don't tell whether two are equal


cdef inline uint64_t signature(const char *start, const char *stop) noexcept nogil:
    """One bit of 64 for a key, from its last eight bytes and its length."""
    cdef uint64_t size = stop - start
    cdef uint64_t word = 0
    if size >= 8:
        word = load64(stop - 8)
    else:
        while start < stop:
            word = word << 8 | <uint8_t>start[0]
            start += 1
    return <uint64_t>1 << ((word + size) * 0x9E3779B97F4A7C15ULL >> 58)


cdef bint has_key(const Token *tokens, uint32_t number, uint32_t behind, const char *data) noexcept nogil:
    """Whether a key from `number` on is written like the one that stands at `behind`."""
    cdef const Token *key = tokens + behind
    cdef uint32_t size = key.end - key.start
    while number < behind:
        if tokens[number].end - tokens[number].start == size and memcmp(
            data + tokens[number].start, data + key.start, size
        ) == 0:
            return True
        number = tokens[tokens[number].next].next
    return False


cdef Fault check_keys(Tape *tape, const char *data, const Level *level, bint strict) noexcept nogil:
    """Looks for repeated keys in a whole object, by a set of what they spell."""
    cdef Py_ssize_t capacity = 2 * SMALL_OBJECT
    cdef uint64_t *grown
    cdef Token *tokens = tape.tokens
    cdef Token *key
    cdef Token *other
    cdef uint32_t number = level.token + 1, behind = tokens[level.token].next
    cdef uint64_t hashed
    cdef Py_ssize_t at
    while capacity < 2 * <Py_ssize_t>level.keys:
        capacity *= 2
    if capacity > tape.slot_capacity:
        grown = <uint64_t *>malloc(capacity * sizeof(uint64_t))
        if grown == NULL:
            return NO_MEMORY
        free(tape.slots)
        tape.slots = grown
        tape.slot_capacity = capacity
    memset(tape.slots, 0, capacity * sizeof(uint64_t))
    while number < behind:
        key = tokens + number
        hashed = spelled_hash(data + key.start, data + key.end)
        at = <Py_ssize_t>(hashed & <uint64_t>(capacity - 1))
        while tape.slots[at] != 0:
            if tape.slots[at] >> 32 == hashed >> 32:
                other = tokens + (<uint32_t>tape.slots[at] - 1)
                if spell_alike(data + key.start, data + key.end, data + other.start, data + other.end):
                    if strict:
                        tape.fault_token = number
                        return DUPLICATE_KEY
                    key.repeated = True
                    break
            at = (at + 1) & (capacity - 1)
        if tape.slots[at] == 0:
            tape.slots[at] = hashed >> 32 << 32 | (number + 1)
        number = tokens[key.next].next
    return NO_FAULT


# --- The pass ---------------------------------------------------------------------------------------------------------


cdef inline const char *skip_space(const char *p, const char *end) noexcept nogil:
    while p < end and (p[0] == c" " or p[0] == c"\n" or p[0] == c"\r" or p[0] == c"\t"):
        p += 1
    return p


cdef bint grow_tokens(Tape *tape) noexcept nogil:
    cdef Py_ssize_t capacity = tape.capacity * 2 if tape.capacity else FIRST_TOKENS
    cdef Token *tokens = <Token *>realloc(tape.tokens, capacity * sizeof(Token))
    if tokens == NULL:
        return False
    tape.tokens = tokens
    tape.capacity = capacity
    return True


cdef inline void put(Token *token, int kind, Py_ssize_t start, Py_ssize_t end, Py_ssize_t next_) noexcept nogil:
    token.start = <uint32_t>start
    token.end = <uint32_t>end
    token.next = <uint32_t>next_
    token.kind = kind
    token.escaped = 0
    token.repeated = 0


cdef Fault scanned(const char *data, Py_ssize_t size, Tape *tape, bint strict) noexcept nogil:
    cdef Level[MAX_DEPTH + 1] levels  # the lowest is the document
    cdef Level *level = levels
    cdef const char *p = data
    cdef const char *end = data + size
    cdef const char *start
    cdef Token *tokens = tape.tokens
    cdef uint32_t number = 0  # of the next token
    cdef uint64_t bit
    cdef Refusal refusal
    cdef Fault fault = NO_FAULT
    cdef uint8_t escaped = 0
    cdef bint opened
    refusal.at = data
    refusal.fault = NO_FAULT
    level.token = 0
    level.is_object = False
    if size > <Py_ssize_t>0xFFFFFFFF:
        tape.count = 0
        tape.fault_at = 0xFFFFFFFF
        return TOO_LARGE
    while True:
        # A value begins here.
        if tape.capacity - <Py_ssize_t>number < 2:
            if not grow_tokens(tape):
                fault = NO_MEMORY
                break
            tokens = tape.tokens
        p = skip_space(p, end)
        if p == end:
            fault = BAD_SYNTAX
            break
        start = p
        opened = False
        if p[0] == c'"':
            p = text_end(p + 1, end, &escaped)
            if p == NULL:
                walked_text(start + 1, end, &escaped, &refusal)
                fault = refusal.fault
                p = refusal.at
                break
            put(tokens + number, STRING, start + 1 - data, p - data, number + 1)
            tokens[number].escaped = escaped
            number += 1
            p += 1
        elif p[0] == c"{" or p[0] == c"[":
            if level - levels == MAX_DEPTH:
                fault = TOO_DEEP
                break
            level += 1
            level.seen = 0
            level.token = number
            level.keys = 0
            level.is_object = p[0] == c"{"
            level.respelled = False
            put(tokens + number, OBJECT if level.is_object else ARRAY, p - data, p - data, number)
            number += 1
            p = skip_space(p + 1, end)
            # Both closing brackets are two behind the opening one.
            opened = p == end or p[0] != start[0] + 2
        elif p[0] == c"-" or is_digit(p[0]):
            p = number_end(p, end)
            if p == NULL:
                p = start
                fault = BAD_NUMBER
                break
            put(tokens + number, NUMBER, start - data, p - data, number + 1)
            number += 1
        else:
            p = literal_end(p, end)
            if p == NULL:
                p = start
                fault = BAD_SYNTAX
                break
            put(tokens + number, LITERAL, start - data, p - data, number + 1)
            number += 1
        # A value, or the opening bracket of one, is behind us: over what closes, up to the next value.
        while not opened:
            p = skip_space(p, end)
            if level == levels:
                break
            if p == end:
                fault = BAD_SYNTAX
                break
            if p[0] == c"," and tokens[level.token].next != number:
                p = skip_space(p + 1, end)
                opened = True
            elif p[0] == (c"}" if level.is_object else c"]"):
                p += 1
                tokens[level.token].end = <uint32_t>(p - data)
                tokens[level.token].next = number
                if level.keys > SMALL_OBJECT or level.respelled:
                    fault = check_keys(tape, data, level, strict)
                    if fault != NO_FAULT:
                        break
                level -= 1
            else:
                fault = BAD_SYNTAX
                break
        if not opened or fault != NO_FAULT:
            break
        if not level.is_object:
            continue
        # A key stands here.
        start = p
        if p == end or p[0] != c'"':
            fault = BAD_SYNTAX
            break
        p = text_end(p + 1, end, &escaped)
        if p == NULL:
            walked_text(start + 1, end, &escaped, &refusal)
            fault = refusal.fault
            p = refusal.at
            break
        put(tokens + number, KEY, start + 1 - data, p - data, number + 1)
        tokens[number].escaped = escaped
        level.keys += 1
        level.respelled |= escaped == RESPELLED
        bit = signature(start + 1, p)
        if level.seen & bit and level.keys <= SMALL_OBJECT and has_key(tokens, level.token + 1, number, data):
            if strict:
                tape.fault_token = number
                number += 1
                fault = DUPLICATE_KEY
                break
            tokens[number].repeated = True
        level.seen |= bit
        number += 1
        p = skip_space(p + 1, end)
        if p == end or p[0] != c":":
            fault = BAD_SYNTAX
            break
        p += 1
    tape.count = number
    if fault == NO_FAULT and p != end:
        fault = BAD_SYNTAX
    if fault != NO_FAULT:
        tape.fault_at = tokens[tape.fault_token].start - 1 if fault == DUPLICATE_KEY else p - data
        while level > levels:  # what is open holds all that was read
            tokens[level.token].next = number
            level -= 1
    return fault


cdef Fault scan(const char *data, Py_ssize_t size, Tape *tape) noexcept nogil:
    return scanned(data, size, tape, True)


cdef Fault scan_repeats(const char *data, Py_ssize_t size, Tape *tape) noexcept nogil:
    return scanned(data, size, tape, False)


cdef void clear_tape(Tape *tape) noexcept nogil:
    free(tape.tokens)
    free(tape.slots)
    memset(tape, 0, sizeof(Tape))


# --- Reading the tape -------------------------------------------------------------------------------------------------


cdef Py_ssize_t find_path(const Tape *tape, const char *data, tuple raw_steps) noexcept:
    cdef Py_ssize_t at = 0, behind, left
    cdef const Token *tokens = tape.tokens
    if tape.count == 0:
        return -1
    for step in raw_steps:
        behind = tokens[at].next
        if type(step) is bytes:
            if tokens[at].kind != OBJECT:
                return -1
            at += 1
            while at < behind and not is_spelled(tokens + at, data, <bytes>step, len(<bytes>step)):
                at = tokens[tokens[at].next].next
            if at >= behind:
                return -1
            at = tokens[at].next
        else:
            left = clipped(step, NULL)
            if tokens[at].kind != ARRAY:
                return -1
            at += 1
            while at < behind and left > 0:
                at = tokens[at].next
                left -= 1
            if at >= behind:
                return -1
    return at


cdef bint is_spelled(const Token *key, const char *data, const char *name, Py_ssize_t size) noexcept nogil:
    """Whether a key spells `name`, which stands as it would between quotes without \\u."""
    if key.escaped == RESPELLED:
        return spell_alike(data + key.start, data + key.end, name, name + size)
    return <Py_ssize_t>(key.end - key.start) == size and memcmp(data + key.start, name, size) == 0


cdef str text_of(const Token *token, const char *data):
    cdef bytes text = data[token.start : token.end]
    return orjson.loads(b'"' + text + b'"') if token.escaped else text.decode()


cdef str path_to(const Tape *tape, const char *data, Py_ssize_t number):
    """From the top down to a token: past what ends before it, into what holds it."""
    cdef str path = ""
    cdef const Token *tokens = tape.tokens
    cdef Py_ssize_t at = 0, element
    while at < number:
        element = 0
        if tokens[at].kind == ARRAY:
            at += 1
            while tokens[at].next <= number:
                at = tokens[at].next
                element += 1
            path = f"{path}[{element}]"
        else:
            at += 1
            while at != number and tokens[tokens[at].next].next <= number:
                at = tokens[tokens[at].next].next
            path = member_path(path, tokens + at, data)
            if at != number:
                at = tokens[at].next
    return path


cdef str member_path(str path, const Token *key, const char *data):
    return f"{path}.{text_of(key, data)}" if path else text_of(key, data)


cdef list repeated_paths(const Tape *tape, const char *data):
    cdef dict found = {}  # a set in order
    if tape.count:
        add_repeats(tape.tokens, 0, "", data, found)
    return list(found)


cdef int add_repeats(const Token *tokens, uint32_t container, str path, const char *data, dict found) except -1:
    """What is repeated in a container and below. Recursion is no deeper than MAX_DEPTH: scan saw to that."""
    cdef uint32_t number = container + 1, value, element = 0
    cdef bint inner
    while number < tokens[container].next and len(found) < MAX_REPEATS:
        value = number + (tokens[container].kind == OBJECT)
        inner = tokens[value].next > value + 1
        here = None
        if tokens[container].kind == ARRAY:
            here = f"{path}[{element}]" if inner else None
        elif inner or tokens[number].repeated:
            here = member_path(path, tokens + number, data)
            if tokens[number].repeated:
                found[here] = None
        if inner:
            add_repeats(tokens, value, here, data, found)
        element += 1
        number = tokens[value].next
    return 0


cdef tuple NAMES = ("KEY", "STRING", "NUMBER", "LITERAL", "OBJECT", "ARRAY")

cdef dict REASONS = {
    BAD_SYNTAX: "no JSON",
    BAD_STRING: "no string of JSON",
    BAD_UTF8: "no UTF-8",
    BAD_NUMBER: f"no number of JSON, or one beyond a double or {MAX_INTEGER_DIGITS} digits",
    TOO_DEEP: f"nested deeper than {MAX_DEPTH} levels",
    TOO_LARGE: "4 GiB or more",
}


cdef object fault_of(Fault fault, const Tape *tape, const char *data, Py_ssize_t size):
    if fault == NO_MEMORY:
        return MemoryError()
    if fault == DUPLICATE_KEY:
        reason = f"duplicate key {path_to(tape, data, tape.fault_token)}"
    elif fault == BAD_SYNTAX and tape.fault_at >= size:
        reason = "the text ends too early"
    else:
        reason = REASONS[fault]
    return ValueError(f"{reason} at offset {tape.fault_at}")


# --- The Python face --------------------------------------------------------------------------------------------------


@cython.final
@cython.internal
cdef class Scanned:
    """The tape of bytes that hold JSON, given back with this."""

    cdef Tape tape

    def __cinit__(self, bytes data not None):
        cdef Fault fault = scan(data, len(data), &self.tape)
        if fault != NO_FAULT:
            raise fault_of(fault, &self.tape, data, len(data))

    def __dealloc__(self):
        clear_tape(&self.tape)


def count_tokens(bytes data not None):
    return Scanned(data).tape.count


def tokens(bytes data not None):
    cdef Scanned scanned_ = Scanned(data)
    cdef Token *token
    cdef Py_ssize_t number
    cdef list found = []
    for number in range(scanned_.tape.count):
        token = scanned_.tape.tokens + number
        found.append((NAMES[token.kind], token.start, token.end, token.next, token.escaped != 0))
    return found


def find(bytes data not None, tuple steps not None):
    cdef Scanned scanned_ = Scanned(data)
    return find_path(&scanned_.tape, data, steps)


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
