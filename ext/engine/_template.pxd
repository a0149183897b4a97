from engine._json cimport Slice
from engine._shape cimport SUCCESSORS, Shape
from engine._slab cimport Slab
from libc.stdint cimport uint16_t, uint32_t


cdef struct Template:
    # A shape with the values that siblings share (an owner's): tokens in order, their texts one behind the other.
    uint32_t number
    uint32_t refs  # records
    uint32_t[SUCCESSORS] successors  # numbers of templates that took over when an object left this one; hints
    uint32_t values
    uint32_t next  # the number of the next one in its bucket of the catalog
    uint32_t size  # bytes allocated: behind this the tokens, the end of each text, the texts
    Shape *shape


cdef struct Known:
    # What is known of an object besides its sections.
    Slice name
    Slice namespace
    Slice revision  # its digits


cdef inline uint16_t *tokens_of(const Template *template) noexcept nogil:
    return <uint16_t *>(<char *>template + sizeof(Template))


cdef inline uint16_t *ends_of(const Template *template) noexcept nogil:
    """Where each text ends, counted from the first."""
    return tokens_of(template) + template.values


cdef inline char *texts_of(const Template *template) noexcept nogil:
    return <char *>(ends_of(template) + template.values)


cdef inline Slice own_text(const Template *template, uint32_t value) noexcept nogil:
    cdef Slice text
    cdef uint32_t start = ends_of(template)[value - 1] if value else 0
    text.start = texts_of(template) + start
    text.size = ends_of(template)[value] - start
    return text


cdef Template *allocate_template(Slab slab, Shape *shape, uint32_t values, uint32_t text) noexcept
cdef Template *plain_template(Slab slab, Shape *shape) noexcept
cdef int free_template(Slab slab, Template *template) noexcept
