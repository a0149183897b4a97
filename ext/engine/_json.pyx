"""What a strict reader must know of JSON bytes that a parser into dicts forgets."""

from libc.stdint cimport uint32_t
from libc.string cimport memchr, memcmp, memset, strlen
from engine._scalars cimport NO_FAULT, Fault
from engine._scan cimport (
    ARRAY,
    KEY,
    NUMBER,
    OBJECT,
    STRING,
    Tape,
    Token,
    clear_tape,
    fault_of,
    repeated_paths,
    scan,
    scan_repeats,
    text_of,
)

import json

import orjson

cdef extern from "skip.h" nogil:
    const char *engine_container_end(const char *p, const char *end) noexcept

cdef enum:
    LONG_NUMBER = 19  # digits; a shorter integer always fits 64 bits


# --- Walking valid JSON -----------------------------------------------------------------------------------------------


cdef const char *skip_space(const char *p, const char *end) noexcept nogil:
    while p < end and (p[0] == c" " or p[0] == c"\n" or p[0] == c"\r" or p[0] == c"\t"):
        p += 1
    return p


cdef inline const char *skip_string(const char *p, const char *end) noexcept nogil:
    """From the opening quote to behind the closing one."""
    cdef const char *close
    cdef const char *back
    while True:
        close = <const char *>memchr(p + 1, c'"', end - p - 1)
        if close == NULL:
            return end
        back = close
        while back > p + 1 and (back - 1)[0] == c"\\":
            back -= 1
        if (close - back) & 1 == 0:  # an even number of backslashes escapes itself, not the quote
            return close + 1
        p = close


cdef inline const char *skip_scalar(const char *p, const char *end) noexcept nogil:
    while p < end and p[0] != c"," and p[0] != c"}" and p[0] != c"]" and p[0] > 32:
        p += 1
    return p


cdef const char *skip_value(const char *p, const char *end) noexcept nogil:
    if p >= end:
        return end
    if p[0] == c'"':
        return skip_string(p, end)
    if p[0] == c"{" or p[0] == c"[":
        return engine_container_end(p, end)
    return skip_scalar(p, end)


cdef inline bint is_key(const char *p, const char *end, const char *name, Py_ssize_t size) noexcept nogil:
    """Whether the string that opens at `p` is `name`."""
    return end - p >= size + 2 and p[size + 1] == c'"' and memcmp(p + 1, name, size) == 0


# --- Exact numbers ----------------------------------------------------------------------------------------------------


cdef inline bint is_digit(char c) noexcept nogil:
    return c"0" <= c <= c"9"


cdef bint has_digit_run(const char *p, Py_ssize_t size) noexcept nogil:
    """Whether LONG_NUMBER digits stand together: every such run covers one of the positions looked at."""
    cdef Py_ssize_t at = LONG_NUMBER - 1
    cdef Py_ssize_t low, high
    while at < size:
        if is_digit(p[at]):
            low = high = at
            while low > 0 and is_digit(p[low - 1]):
                low -= 1
            while high + 1 < size and is_digit(p[high + 1]):
                high += 1
            if high - low + 1 >= LONG_NUMBER:
                return True
            at = high + LONG_NUMBER
        else:
            at += LONG_NUMBER
    return False


cdef bint has_long_number(const char *p, Py_ssize_t size) noexcept nogil:
    """The same outside strings."""
    cdef const char *end = p + size
    cdef Py_ssize_t run = 0
    while p < end:
        if p[0] == c'"':
            p = skip_string(p, end)
            run = 0
            continue
        run = run + 1 if is_digit(p[0]) else 0
        if run >= LONG_NUMBER:
            return True
        p += 1
    return False


cdef object loads_exact(bytes data):
    # orjson turns integers beyond 64 bits into floats, and refuses them beyond a double.
    cdef bint long_number = has_digit_run(data, len(data)) and has_long_number(data, len(data))
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        if not long_number:
            raise
        return built(data)
    return built(data) if long_number else document


cdef object built(bytes data):
    """The parsed form with integers of any size, from the tape."""
    cdef Tape tape
    cdef Fault fault
    memset(&tape, 0, sizeof(Tape))
    try:
        fault = scan_repeats(data, len(data), &tape)
        if fault != NO_FAULT:
            raise fault_of(fault, &tape, data, len(data))
        return value_of(&tape, data, 0)
    finally:
        clear_tape(&tape)


cdef object value_of(const Tape *tape, const char *data, uint32_t number):
    cdef const Token *token = tape.tokens + number
    cdef uint32_t behind = token.next
    if token.kind == OBJECT:
        members = {}
        number += 1
        while number < behind:
            value = value_of(tape, data, number + 1)
            members[text_of(tape.tokens + number, data)] = value
            number = tape.tokens[number + 1].next
        return members
    if token.kind == ARRAY:
        elements = []
        number += 1
        while number < behind:
            elements.append(value_of(tape, data, number))
            number = tape.tokens[number].next
        return elements
    if token.kind == STRING:
        return text_of(token, data)
    text = data[token.start : token.end]
    if token.kind == NUMBER and token.end - token.start >= LONG_NUMBER and text.lstrip(b"-").isdigit():
        return int(text)
    return orjson.loads(text)


def loads(bytes data not None):
    return loads_exact(data)


# --- Duplicate fields -------------------------------------------------------------------------------------------------


def duplicate_fields(bytes data not None):
    cdef Tape tape
    cdef Fault fault
    memset(&tape, 0, sizeof(Tape))
    try:
        fault = scan_repeats(data, len(data), &tape)
        if fault != NO_FAULT:
            raise fault_of(fault, &tape, data, len(data))
        return repeated_paths(&tape, data)
    finally:
        clear_tape(&tape)


# --- Reading one value of many ----------------------------------------------------------------------------------------


cdef bint is_plain(bytes data) except -1:
    """Whether no key occurs twice and none is written with escapes: then `locate` sees what a parser sees."""
    cdef Tape tape
    cdef Py_ssize_t number
    cdef bint plain
    memset(&tape, 0, sizeof(Tape))
    plain = scan(data, len(data), &tape) == NO_FAULT
    for number in range(tape.count):
        if tape.tokens[number].kind == KEY and tape.tokens[number].escaped:
            plain = False
            break
    clear_tape(&tape)
    return plain


cdef Slice locate(bytes data, tuple steps) noexcept:
    """Where the value stands that `steps` lead to (bytes: a member, int: an element); a start of NULL: nowhere."""
    cdef const char *p = data
    cdef const char *end = p + len(data)
    cdef Slice found
    found.start = NULL
    found.size = 0
    p = skip_space(p, end)
    for step in steps:
        if type(step) is bytes:
            p = find_member(p, end, <bytes>step, len(<bytes>step)) if p < end and p[0] == c"{" else NULL
        else:
            p = find_element(p, end, step) if p < end and p[0] == c"[" else NULL
        if p == NULL:
            return found
    found.start = p
    found.size = skip_value(p, end) - p
    return found


cdef object value_at(Slice place):
    if place.size >= 2 and place.start[0] == c'"' and memchr(place.start, c"\\", place.size) == NULL:
        return place.start[1 : place.size - 1].decode("utf-8")
    return loads_exact(place.start[: place.size])


cdef const char *find_member(const char *p, const char *end, const char *name, Py_ssize_t size) noexcept nogil:
    """The value of member `name` of the object that opens at `p`; NULL when it has none."""
    cdef bint here
    p = skip_space(p + 1, end)
    while p < end and p[0] == c'"':
        here = is_key(p, end, name, size)
        p = skip_space(skip_space(skip_string(p, end), end) + 1, end)  # over the colon
        if here:
            return p if p < end else NULL
        p = skip_space(skip_value(p, end), end)
        if p < end and p[0] == c",":
            p = skip_space(p + 1, end)
    return NULL


cdef int find_two(const char *p, const char *end, const char *one, Slice *first, const char *other,
                  Slice *second) noexcept nogil:
    """The values of two members of the object that opens at `p`; a start of NULL for what it has not."""
    cdef Py_ssize_t one_size = strlen(one), other_size = strlen(other)
    cdef Slice *here
    first.start = second.start = NULL
    first.size = second.size = 0
    p = skip_space(p + 1, end)
    while p < end and p[0] == c'"' and (first.start == NULL or second.start == NULL):
        here = first if is_key(p, end, one, one_size) else second if is_key(p, end, other, other_size) else NULL
        p = skip_space(skip_space(skip_string(p, end), end) + 1, end)  # over the colon
        if here != NULL and p < end:
            here.start = p
        p = skip_value(p, end)
        if here != NULL and here.start != NULL:
            here.size = p - here.start
        p = skip_space(p, end)
        if p < end and p[0] == c",":
            p = skip_space(p + 1, end)
    return 0


cdef const char *find_element(const char *p, const char *end, Py_ssize_t number) noexcept nogil:
    """Element `number` of the array that opens at `p`; NULL when it is shorter."""
    p = skip_space(p + 1, end)
    while p < end and p[0] != c"]":
        if number == 0:
            return p
        number -= 1
        p = skip_space(skip_value(p, end), end)
        if p < end and p[0] == c",":
            p = skip_space(p + 1, end)
    return NULL


# --- The version of an object -----------------------------------------------------------------------------------------


cdef str NO_METADATA = "no metadata object to set the resource version in"


cdef bytes respliced(bytes data, long long resource_version):
    """The same for an object whose keys are written with escapes."""
    document = loads_exact(data)
    metadata = document.get("metadata") if type(document) is dict else None
    if type(metadata) is not dict:
        raise ValueError(NO_METADATA)
    metadata["resourceVersion"] = str(resource_version)
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


cdef bytes spliced(bytes data, long long resource_version):
    cdef const char *start = data
    cdef const char *end = start + len(data)
    cdef const char *p = skip_space(start, end)
    cdef const char *metadata = NULL
    cdef const char *value
    cdef bytes number = b'"%d"' % resource_version
    if p < end and p[0] == c"{":
        metadata = find_member(p, end, b"metadata", 8)
    if b"\\u" in data and not is_plain(data):
        return respliced(data, resource_version)
    if metadata == NULL or metadata[0] != c"{":
        raise ValueError(NO_METADATA)
    value = find_member(metadata, end, b"resourceVersion", 15)
    if value != NULL:
        p = skip_value(value, end)
        return data[: value - start] + number + p[: end - p]
    p = skip_space(metadata + 1, end)
    member = b'"resourceVersion":' + number
    if p < end and p[0] != c"}":
        member += b","
    return data[: metadata + 1 - start] + member + p[: end - p]


def splice_resource_version(bytes data not None, long long resource_version):
    return spliced(data, resource_version)


# --- What informers leave out -----------------------------------------------------------------------------------------


def without_managed_fields(bytes data not None):
    cdef const char *start = data
    cdef const char *end = start + len(data)
    cdef const char *metadata = find_member(skip_space(start, end), end, b"metadata", len(b"metadata"))
    cdef const char *value = NULL
    cdef const char *first
    cdef const char *behind
    if metadata != NULL and metadata[0] == c"{":
        value = find_member(metadata, end, b"managedFields", len(b"managedFields"))
    if value == NULL:
        return data
    first = value
    while first[0] != c'"':  # back over the colon
        first -= 1
    first -= len(b'"managedFields')
    behind = skip_space(skip_value(value, end), end)
    if behind < end and behind[0] == c",":
        return data[: first - start] + (behind + 1)[: end - behind - 1]
    while first[-1] <= c" ":
        first -= 1
    if first[-1] == c",":
        first -= 1
    return data[: first - start] + behind[: end - behind]
