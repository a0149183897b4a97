"""What every table asks of an object, from its bytes."""

from cpython.bytes cimport PyBytes_AS_STRING
from engine._json cimport Slice
from engine._path cimport Path, path_of
from engine._scan cimport (
    DUPLICATE_KEY,
    KEY,
    NO_FAULT,
    OBJECT,
    RESPELLED,
    STRING,
    Fault,
    Tape,
    Token,
    clear_tape,
    fault_of,
    find_path,
    scan,
    scan_repeats,
)
from libc.string cimport memchr

cdef enum:
    LARGE_TAPE = 1 << 16  # tokens; the memory for more is given back at once

cdef Path NAME = path_of("metadata.name")
cdef Path NAMESPACE = path_of("metadata.namespace")
cdef Path UID = path_of("metadata.uid")
cdef Path VERSION = path_of("metadata.resourceVersion")

# Lent to one scan at a time, and read before anything else can run.
cdef Tape TAPE


cdef Slice string_at(const char *data, Path path) noexcept:
    cdef Py_ssize_t number = find_path(&TAPE, data, path.raw_steps)
    cdef const Token *token = TAPE.tokens + number
    cdef Slice found
    found.start = NULL
    found.size = 0
    if number >= 0 and token.kind == STRING:
        found.start = data + token.start - 1
        found.size = token.end - token.start + 2
    return found


cdef Plainness scanned_plainness(const char *data, Py_ssize_t size) noexcept:
    cdef Py_ssize_t number
    if memchr(data, c"\\", size) != NULL:
        for number in range(TAPE.count):
            if TAPE.tokens[number].kind == KEY and TAPE.tokens[number].escaped == RESPELLED:
                return ODD
    return PLAIN


cdef void shrink_tape() noexcept:
    if TAPE.capacity > LARGE_TAPE:
        clear_tape(&TAPE)


cdef int read_header(bytes raw, Header *header) except -1:
    cdef const char *data = PyBytes_AS_STRING(raw)
    cdef Py_ssize_t size = len(raw)
    cdef Fault fault = scan(data, size, &TAPE)
    header.repeats = fault == DUPLICATE_KEY
    if header.repeats:
        fault = scan_repeats(data, size, &TAPE)
    if fault != NO_FAULT:
        raise fault_of(fault, &TAPE, data, size)
    if TAPE.tokens[0].kind != OBJECT:
        raise ValueError("expected a JSON object at offset 0")
    if not header.repeats:
        header.name = string_at(data, NAME)
        header.namespace = string_at(data, NAMESPACE)
        header.uid = string_at(data, UID)
        header.version = string_at(data, VERSION)
        header.plain = scanned_plainness(data, size)
    shrink_tape()
    return 0


cdef bint may_respell(const char *p, const char *end) noexcept:
    """Whether some string is written with escapes it could do without; False is certain."""
    while True:
        p = <const char *>memchr(p, c"\\", end - p)
        if p == NULL:
            return False
        if p[1] == c"u" or p[1] == c"/":
            return True
        p += 2  # an escaped character; in JSON there always is one


cdef Plainness plainness_of(bytes raw, bint of_record) noexcept:
    cdef const char *data = PyBytes_AS_STRING(raw)
    cdef Plainness plain = ODD
    if of_record and not may_respell(data, data + len(raw)):
        return PLAIN
    if scan(data, len(raw), &TAPE) == NO_FAULT:
        plain = scanned_plainness(data, len(raw))
    shrink_tape()
    return plain
