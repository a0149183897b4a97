"""One strict pass over JSON bytes; what it leaves is a tape of tokens: spans of the text, no Python objects."""

from engine._scalars cimport (  # can be had from here as well
    BAD_NUMBER,
    BAD_STRING,
    BAD_SYNTAX,
    BAD_UTF8,
    DUPLICATE_KEY,
    ESCAPED,
    Escapes,
    Fault,
    literal_end,
    NO_FAULT,
    NO_MEMORY,
    number_end,
    RESPELLED,
    string_end,
    TOO_DEEP,
    TOO_LARGE,
    UNESCAPED,
)
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    MAX_DEPTH = 1024  # containers within containers, as orjson has it
    MAX_REPEATS = 100  # paths of repeated keys, as in the API server

cdef enum TokenKind:
    KEY  # an object's key
    STRING
    NUMBER
    LITERAL  # true, false, null
    OBJECT
    ARRAY

cdef struct Token:  # in document order; a container stands before what is in it
    uint32_t start  # offset of the text: behind the opening quote of a KEY or STRING, at the bracket of a container
    uint32_t end  # offset behind it: at the closing quote of a KEY or STRING, behind the closing bracket of a container
    uint32_t next  # number of the first token behind it and all that is in it (for a KEY: its value's number)
    uint8_t kind  # a TokenKind
    uint8_t escaped  # an Escapes, of a KEY or STRING
    uint8_t repeated  # a KEY that an earlier one of its object is equal to (only scan_repeats lets it pass)
    uint8_t pinned  # left to whoever reads the tape; scan clears it

cdef struct Tape:  # all zero at first; clear_tape gives its memory back
    Token *tokens
    Py_ssize_t count
    Py_ssize_t capacity
    uint64_t *slots  # scratch: the set of an object's keys, hash << 32 | token number + 1, 0 is free
    Py_ssize_t slot_capacity  # a power of two
    Py_ssize_t repeats  # keys that scan_repeats marked
    Py_ssize_t fault_at  # offset of what was refused; of a DUPLICATE_KEY its opening quote
    uint32_t fault_token  # of a DUPLICATE_KEY

# `tape` takes the tokens of a whole document and keeps its memory for the next. After a fault the tape holds what stood
# before it and `fault_at` is set. O(size), also for objects with very many keys; no recursion.
cdef Fault scan(const char *data, Py_ssize_t size, Tape *tape) noexcept nogil
cdef Fault scan_repeats(const char *data, Py_ssize_t size, Tape *tape) noexcept nogil  # marks repeated keys, no fault
cdef void clear_tape(Tape *tape) noexcept nogil
cdef object fault_of(Fault fault, const Tape *tape, const char *data, Py_ssize_t size)  # the exception to raise

# Number of the value's token that the steps lead to (bytes: a member's name, int: an element), -1: nowhere. O(members
# and elements passed); keys match by what they spell, however they are written.
cdef Py_ssize_t find_path(const Tape *tape, const char *data, tuple raw_steps) noexcept
cdef str path_to(const Tape *tape, const char *data, Py_ssize_t number)  # `spec.containers[0].name`; O(tokens before)
cdef list repeated_paths(const Tape *tape, const char *data)  # after scan_repeats; each once, MAX_REPEATS at most
cdef str text_of(const Token *token, const char *data)  # what a KEY or STRING spells
