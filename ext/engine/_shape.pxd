from engine._json cimport Slice
from engine._scan cimport Tape
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t


cdef enum:
    MAX_TEXT = 65000  # bytes of a section that can have a shape
    MAX_TOKENS = 4096  # values and keys in it
    MAX_VARYING = 254
    NOT_VARYING = 255
    MAX_SECTIONS = 4
    SUCCESSORS = 3
    NOWHERE = 0xFFFF  # of a path that leads to nothing in a shape
    UNRESOLVED = 0xFFFE  # of a path whose value is in several sections


cdef enum TokenRole:
    TEXT_TOKEN  # between the quotes of a string
    SCALAR_TOKEN  # a number, true, false or null
    KEY_TOKEN  # between the quotes of a key


cdef enum Rule:
    # What a varying token is expected to be, if not what the template says: the value of another varying token (its
    # number), or one of these.
    BY_TEMPLATE = 255
    BY_NAME = 254
    BY_NAMESPACE = 253
    BY_REVISION = 252
    MAX_RULE = 251


cdef struct Blank:
    # A place in a shape's text where objects can differ without being of another shape.
    uint16_t start
    uint16_t end
    uint16_t sibling  # of a key: the next one of its object, the first one behind the last; it itself when alone
    uint8_t role
    uint8_t misses  # objects that had something else here than expected; stays at 255
    uint8_t varying  # its number among the varying tokens, or NOT_VARYING


cdef struct Varying:
    # A token that differs between siblings. Never removed: records count on its number.
    uint16_t token
    uint8_t kind  # Packed
    uint8_t rule
    uint8_t usual  # Packed too: what was best lately when nothing else would do


cdef struct Place:
    uint16_t start  # of a watched path's value in the text, or NOWHERE, or UNRESOLVED
    uint16_t end


cdef struct Section:
    # A part of an object's bytes that has a shape of its own; the sections of an object cover all of it.
    uint32_t start
    uint32_t end
    uint32_t first  # number of its first token on the tape
    uint32_t last  # behind its last one
    uint64_t hash  # of the frame, the section's number and its structure


cdef struct Shape:
    # What sections have in common: the text of the first of them, in which tokens may differ.
    uint64_t hash
    uint64_t frame  # hash of the top-level members of the whole object, section by section
    uint32_t templates  # that are of this shape
    uint32_t section
    uint32_t objects  # that were encoded, for the share of misses
    uint32_t barren  # looks in a row at what siblings share that found too little
    uint8_t steady  # how often lately, up to a bound, a section said the same as in the object's older version
    uint32_t plain  # the number of the template without values of its own
    uint32_t[SUCCESSORS] successors  # such numbers of the shapes to which objects moved from here, the last one first
    uint32_t tokens
    uint32_t varying
    uint32_t size  # of the text
    Blank *token
    Varying *vary  # in the order in which they were found to vary
    uint8_t *order  # their numbers in the order of the text
    uint16_t *ordered  # and their tokens
    Place *places  # by number of watched path
    uint32_t place_count
    char *text
    Shape *next  # in its bucket of the store's table


cdef inline Slice shape_text(const Shape *shape, uint32_t token) noexcept nogil:
    cdef Slice text
    text.start = shape.text + shape.token[token].start
    text.size = shape.token[token].end - shape.token[token].start
    return text


cdef int pin_path(const char *data, const Tape *tape, tuple raw_steps) noexcept
cdef uint32_t sections_of(const char *data, Py_ssize_t size, const Tape *tape, uint64_t seed, Section *sections,
                          uint64_t *frame) noexcept nogil
cdef uint64_t keyed_hash(const char *data, const Tape *tape, const Section *section) noexcept nogil
cdef Shape *new_shape(const char *data, const Tape *tape, const Section *section, uint32_t number,
                      uint64_t frame) noexcept nogil
cdef void free_shape(Shape *shape) noexcept nogil
cdef Py_ssize_t shape_bytes(const Shape *shape) noexcept nogil
cdef uint32_t token_at(const Shape *shape, uint32_t offset) noexcept nogil
cdef bint add_varying(Shape *shape, uint32_t token, uint8_t kind, uint8_t rule) noexcept nogil
cdef bint add_places(Shape *shape, uint32_t count) noexcept nogil
