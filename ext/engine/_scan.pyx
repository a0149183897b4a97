"""One strict pass over JSON bytes (RFC 8259)."""

cimport cython
from cpython.object cimport PyObject
from engine._scalars cimport (
    BAD_NUMBER,
    BAD_STRING,
    BAD_SYNTAX,
    BAD_UTF8,
    DUPLICATE_KEY,
    MAX_INTEGER_DIGITS,
    NO_FAULT,
    NO_MEMORY,
    RESPELLED,
    Refusal,
    TOO_DEEP,
    TOO_LARGE,
    UNESCAPED,
    Window,
    literal_end,
    number_end,
    open_window,
    refusal_of,
    spell_alike,
    spelled_hash,
    text_end,
)
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memset

import orjson

cdef extern from "blocks.h" nogil:
    uint64_t load64 "engine_load64"(const char *p)

cdef extern from "Python.h":
    # No exception to raise: what does not fit is clipped.
    Py_ssize_t clipped "PyNumber_AsSsize_t"(object number, PyObject *overflow)

cdef enum:
    FIRST_TOKENS = 16
    TOKEN_BYTES = 8  # of JSON, at the least, in what is seldom grown for
    SMALL_OBJECT = 32  # keys that are compared with each other; beyond, a set takes over


# --- Repeated keys ----------------------------------------------------------------------------------------------------


cdef struct Level:  # a container that is open
    uint64_t seen  # a bit for the signature of each key: where it is not set, no earlier key is equal
    uint32_t token
    uint32_t keys
    bint is_object
    bint respelled  # a key is written in one of several ways: bytes don't tell whether two are equal


cdef inline uint64_t signature(const char *data, const char *start, const char *stop) noexcept nogil:
    """One bit of 64 for a key, from its length and its last eight bytes, zeros before them if it is shorter."""
    cdef uint64_t size = stop - start
    cdef uint64_t word = 0
    if stop - data >= 8:
        word = load64(stop - 8)
    else:
        while start < stop:  # the first keys of a document
            word = word >> 8 | <uint64_t>(<uint8_t>start[0]) << 56
            start += 1
    if size < 8:  # in two steps: a shift by 64 is undefined
        word = word >> (8 * (7 - size)) >> 8
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
                    tape.repeats += not key.repeated
                    key.repeated = True
                    break
            at = (at + 1) & (capacity - 1)
        if tape.slots[at] == 0:
            tape.slots[at] = hashed >> 32 << 32 | (number + 1)
        number = tokens[key.next].next
    return NO_FAULT


# --- The pass ---------------------------------------------------------------------------------------------------------


cdef inline const char *skip_space(const char *p, const char *end) noexcept nogil:
    # Text from other programs has none: one comparison, not four.
    while p < end and <uint8_t>p[0] <= 32 and (p[0] == c" " or p[0] == c"\n" or p[0] == c"\r" or p[0] == c"\t"):
        p += 1
    return p


cdef bint grow_tokens(Tape *tape, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t capacity = max(tape.capacity * 2, size // TOKEN_BYTES + FIRST_TOKENS)
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
    token.escaped = UNESCAPED
    token.repeated = False
    token.pinned = False


cdef inline const char *put_text(
    Token *tokens, uint32_t number, int kind, Window *window, const char *data, const char *p, const char *end
) noexcept nogil:
    """A key or string as a token; to behind its closing quote, NULL when it is refused."""
    cdef uint8_t escaped = UNESCAPED
    cdef const char *stop = text_end(window, p + 1, end, &escaped)
    if stop == NULL:
        return NULL
    put(tokens + number, kind, p + 1 - data, stop - data, number + 1)
    tokens[number].escaped = escaped
    return stop + 1


cdef inline const char *put_scalar(
    Token *tokens, uint32_t number, Window *window, const char *data, const char *p, const char *end
) noexcept nogil:
    """A string, number or literal as a token; to behind it, NULL when it is refused."""
    cdef bint is_number = p[0] == c"-" or c"0" <= p[0] <= c"9"
    cdef const char *stop
    if p[0] == c'"':
        return put_text(tokens, number, STRING, window, data, p, end)
    stop = number_end(p, end) if is_number else literal_end(p, end)
    if stop != NULL:
        put(tokens + number, NUMBER if is_number else LITERAL, p - data, stop - data, number + 1)
    return stop


cdef inline Level opened(uint32_t number, char bracket) noexcept nogil:
    cdef Level level
    level.seen = 0
    level.token = number
    level.keys = 0
    level.is_object = bracket == c"{"
    level.respelled = False
    return level


cdef inline bint repeats(Level *level, const Token *tokens, uint32_t number, const char *data) noexcept nogil:
    """Notes a key. Whether it is written like an earlier one of a small object; check_keys looks at the others."""
    cdef const Token *key = tokens + number
    cdef uint64_t bit = signature(data, data + key.start, data + key.end)
    cdef bint seen = level.seen & bit != 0
    level.seen |= bit
    level.keys += 1
    level.respelled |= key.escaped == RESPELLED
    return seen and level.keys <= SMALL_OBJECT and has_key(tokens, level.token + 1, number, data)


cdef Fault scanned(const char *data, Py_ssize_t size, Tape *tape, bint strict) noexcept nogil:
    cdef Level[MAX_DEPTH + 1] levels  # the lowest is the document
    cdef Level *level = levels
    cdef const char *p = data
    cdef const char *end = data + size
    cdef const char *start
    cdef Token *tokens = tape.tokens
    cdef uint32_t number = 0  # of the next token
    cdef Window window
    cdef Refusal refusal
    cdef bint ahead  # a value or key must follow
    tape.count = 0
    tape.repeats = 0
    if size > <Py_ssize_t>0xFFFFFFFF:
        tape.fault_at = 0xFFFFFFFF
        return TOO_LARGE
    refusal.fault = NO_FAULT
    levels[0] = opened(0, 0)
    open_window(&window, data, end)
    while True:
        # A value begins here.
        if tape.capacity - <Py_ssize_t>number < 2:
            if not grow_tokens(tape, size):
                refusal.fault = NO_MEMORY
                break
            tokens = tape.tokens
        p = skip_space(p, end)
        start = p
        if p == end:
            refusal.fault = BAD_SYNTAX
            break
        if p[0] == c"{" or p[0] == c"[":
            if level - levels == MAX_DEPTH:
                refusal.fault = TOO_DEEP
                break
            level += 1
            level[0] = opened(number, p[0])
            put(tokens + number, OBJECT if level.is_object else ARRAY, p - data, p - data, number)
            number += 1
            p = skip_space(p + 1, end)
            ahead = p == end or p[0] != start[0] + 2  # in ASCII closing brackets are two behind opening ones
        else:
            p = put_scalar(tokens, number, &window, data, p, end)
            if p == NULL:
                refusal = refusal_of(start, end)
                p = refusal.at
                break
            number += 1
            ahead = False
        # Over all that closes, up to the next value or key.
        while not ahead:
            p = skip_space(p, end)
            if level == levels:
                break
            if p < end and p[0] == c",":
                p = skip_space(p + 1, end)
                ahead = True
            elif p < end and p[0] == (c"}" if level.is_object else c"]"):
                p += 1
                tokens[level.token].end = <uint32_t>(p - data)
                tokens[level.token].next = number
                if level.keys > SMALL_OBJECT or level.respelled:
                    refusal.fault = check_keys(tape, data, level, strict)
                    if refusal.fault != NO_FAULT:
                        break
                level -= 1
            else:
                refusal.fault = BAD_SYNTAX
                break
        if not ahead:
            break
        if level.is_object:
            start = p
            p = put_text(tokens, number, KEY, &window, data, p, end) if p < end and p[0] == c'"' else NULL
            if p == NULL:
                refusal = refusal_of(start, end)
                refusal.fault = BAD_SYNTAX if refusal.at == start else refusal.fault
                p = refusal.at
                break
            number += 1
            if repeats(level, tokens, number - 1, data):
                if strict:
                    tape.fault_token = number - 1
                    refusal.fault = DUPLICATE_KEY
                    break
                tokens[number - 1].repeated = True
                tape.repeats += 1
            p = skip_space(p, end)
            if p == end or p[0] != c":":
                refusal.fault = BAD_SYNTAX
                break
            p += 1
    if refusal.fault == NO_FAULT and p != end:
        refusal.fault = BAD_SYNTAX
    tape.count = number
    if refusal.fault != NO_FAULT:
        tape.fault_at = tokens[tape.fault_token].start - 1 if refusal.fault == DUPLICATE_KEY else p - data
        while level > levels:  # what is open holds all that was read
            tokens[level.token].next = number
            level -= 1
    return refusal.fault


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
    if tape.repeats:
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
