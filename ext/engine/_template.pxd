from engine._json cimport Slice
from engine._packing cimport Memory
from engine._shape cimport SUCCESSORS, Place, Shape
from libc.stdint cimport uint8_t, uint16_t, uint32_t


cdef struct Template:
    # A shape with the values that siblings share (an owner's): tokens in order, their texts one behind the other.
    uint32_t number
    uint32_t refs  # records
    uint32_t[SUCCESSORS] successors  # numbers of templates that took over when an object left this one; hints
    uint32_t values
    uint32_t next  # the number of the next one in its bucket of the catalog
    uint32_t size  # bytes allocated: behind this the tokens, the end of each text, the texts
    Shape *shape


cdef inline uint16_t *tokens_of(const Template *template) noexcept nogil:
    return <uint16_t *>(<char *>template + sizeof(Template))


cdef inline uint16_t *ends_of(const Template *template) noexcept nogil:
    """Where each text ends, counted from the first."""
    return tokens_of(template) + template.values


cdef inline char *texts_of(const Template *template) noexcept nogil:
    return <char *>(ends_of(template) + template.values)


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
    uint32_t keys  # stops at keys, varying ones too, that are not as the template says


cdef struct Known:
    # What is known of an object besides its sections.
    Slice name
    Slice namespace
    Slice revision  # its digits


cdef Template *plain_template(Shape *shape) noexcept nogil
cdef Template *template_of(Shape *shape, const Walk *walk, const Walk *sibling, const Template *owner) noexcept nogil
cdef void free_template(Template *template) noexcept nogil
cdef const char *match(const Template *template, const char *p, const char *end, Walk *walk) noexcept nogil
cdef const char *same_section(const Template *template, const uint8_t **packed, Known *known, Memory *memory,
                              char *scratch, uint32_t fixed, bint *is_fixed, const char *p,
                              const char *end) noexcept nogil
cdef const uint8_t *skip_section(const Shape *shape, const uint8_t *packed) noexcept nogil
cdef bint keys_fit(const Template *template, const Walk *walk) noexcept nogil
cdef Slice located(const Shape *shape, const Walk *walk, const char *start, Place place) noexcept nogil
cdef bint learn(Shape *shape, const Walk *walk, const Known *known) noexcept nogil
cdef uint8_t *pack_section(const Template *template, const Walk *walk, const Known *known, Memory *memory,
                           uint8_t *out, uint8_t *varying_out, uint8_t *missed_out) noexcept nogil
cdef const uint8_t *unpack_section(const Template *template, const uint8_t *p, const Known *known, Memory *memory,
                                   char **out, Place wanted, Slice *found) noexcept nogil
