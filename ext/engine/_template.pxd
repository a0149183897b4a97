from engine._json cimport Slice
from engine._packing cimport Memory
from engine._scan cimport Tape
from libc.stdint cimport int16_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef enum:
    MAX_TEXT = 65535  # bytes of a section that can have a shape
    MAX_TOKENS = 4096  # values and keys in it
    MAX_VARYING = 254
    NOT_VARYING = 255
    NO_TEMPLATE = 0xFFFFFF  # a section that stands as it is
    NOWHERE = 0xFFFF  # of a path that leads to nothing in a shape
    UNRESOLVED = 0xFFFE  # of a path that was not looked for yet


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


cdef struct Token:
    # A place in a shape's text where objects can differ without being of another shape.
    uint16_t start
    uint16_t end
    uint16_t parent  # of a key: the number of the object it stands in
    uint8_t role
    uint8_t misses  # objects that had something else here than expected; stays at 255
    uint8_t varying  # its number among the varying tokens, or NOT_VARYING
    uint8_t changes  # a key's text may change only below metadata's own members


cdef struct Varying:
    # A token that differs between siblings. Never removed: records count on its number.
    uint16_t token
    uint8_t kind  # Packed
    uint8_t rule


cdef struct Place:
    uint16_t start  # of a watched path's value in the text, or NOWHERE, or UNRESOLVED
    uint16_t end


cdef struct Shape:
    # What sections have in common: the text of the first of them, in which tokens may differ.
    uint64_t hash  # of the frame, the section's number and all that is no token
    uint64_t frame  # of the top-level members of the whole object, section by section
    uint32_t templates  # that are of this shape
    uint32_t section
    uint32_t objects  # that were encoded, for the share of misses
    uint32_t plain  # the number of the template without values of its own
    uint32_t recent  # the number of the template used last
    uint32_t tokens
    uint32_t varying
    uint32_t size  # of the text
    Token *token
    Varying *vary  # in the order in which they were found to vary
    uint8_t *order  # their numbers in the order of the text
    Place *places  # by number of watched path
    uint32_t place_count
    char *text
    Shape *next  # in its bucket of the store's table


cdef struct Template:
    # A shape with the values that siblings share (an owner's): tokens in order, their texts one behind the other.
    uint32_t number
    uint32_t refs  # records
    uint32_t successor  # the number of the template that took over when an object left this one; a hint
    uint32_t values
    uint32_t size  # bytes allocated
    Shape *shape
    uint16_t *tokens
    uint16_t *ends  # of each text, counted from the first
    char *texts


cdef struct Stop:
    # A token at which a walk over an object's bytes stood, and what it found.
    const char *start
    const char *end
    uint16_t token
    uint8_t matched  # it was as the template says


cdef struct Walk:
    # One object on its way through a template; made once and used again.
    Stop *stops
    uint32_t count
    uint32_t misses  # stops that are neither as expected nor at varying tokens
    uint32_t missed_bytes  # their length


cdef struct Known:
    # What is known of an object besides its sections.
    Slice name
    Slice namespace
    Slice revision  # its digits


cdef Shape *new_shape(const char *text, Py_ssize_t start, Py_ssize_t end, const Tape *tape, uint64_t hash,
                      uint64_t frame, uint32_t section) noexcept nogil
cdef void free_shape(Shape *shape) noexcept nogil
cdef Py_ssize_t shape_bytes(const Shape *shape) noexcept nogil
cdef Template *plain_template(Shape *shape) noexcept nogil
cdef Template *template_of(Shape *shape, const Walk *walk) noexcept nogil
cdef void free_template(Template *template) noexcept nogil
cdef const char *match(const Template *template, const char *p, const char *end, Walk *walk) noexcept nogil
cdef uint8_t *pack_section(Template *template, Walk *walk, const Known *known, Memory *memory,
                           uint8_t *out) noexcept nogil
cdef const uint8_t *unpack_section(const Template *template, const uint8_t *p, const Known *known, Memory *memory,
                                   char **out, Place wanted, Slice *found) noexcept nogil
cdef bint learn(Shape *shape, const Template *template, const Walk *walk) noexcept nogil
cdef Slice located(const Shape *shape, const Walk *walk, const char *start, Place place) noexcept nogil
cdef bint keys_differ(const Template *template, const Walk *walk) noexcept nogil
