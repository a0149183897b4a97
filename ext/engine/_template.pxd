from engine._json cimport Slice
from engine._shape cimport SUCCESSORS, Shape
from engine._slab cimport Slab
from libc.stdint cimport uint16_t, uint32_t


cdef struct Template:
    # A shape with the values that siblings share (an owner's). Behind this the tokens in order, where the text of each
    # starts and ends, and the texts, one behind the other; or they are some of those of a lender.
    uint32_t number
    uint32_t refs  # records, and templates that it lends its texts to
    uint32_t[SUCCESSORS] successors  # numbers of templates that took over when an object left this one; hints
    uint32_t values
    uint32_t next  # the number of the next one in its bucket of the catalog
    uint32_t size  # bytes allocated
    Shape *shape
    Template *lender  # of the same owner's, with texts of its own; NULL: this has its own


cdef struct Known:
    # What is known of an object besides its sections.
    Slice name
    Slice namespace
    Slice revision  # its digits


cdef inline uint16_t *tokens_of(const Template *template) noexcept nogil:
    return <uint16_t *>(<char *>template + sizeof(Template))


cdef inline uint16_t *starts_of(const Template *template) noexcept nogil:
    """Where each text starts, counted from the first."""
    return tokens_of(template) + template.values


cdef inline uint16_t *ends_of(const Template *template) noexcept nogil:
    """Likewise. A text of its own ends where the next one starts."""
    return starts_of(template) + (1 if template.lender == NULL else template.values)


cdef inline char *texts_of(const Template *template) noexcept nogil:
    cdef const Template *lender = template if template.lender == NULL else template.lender
    return <char *>(starts_of(lender) + lender.values + 1)


cdef inline Slice own_text(const Template *template, uint32_t value) noexcept nogil:
    cdef Slice text
    text.start = texts_of(template) + starts_of(template)[value]
    text.size = ends_of(template)[value] - starts_of(template)[value]
    return text


cdef inline uint32_t own_bytes(const Template *template) noexcept nogil:
    """Of all its values."""
    cdef uint32_t value, found = 0
    for value in range(template.values):
        found += ends_of(template)[value] - starts_of(template)[value]
    return found


# With room for `text` bytes, unless there is a lender.
cdef Template *allocate_template(Slab slab, Shape *shape, uint32_t values, uint32_t text, Template *lender) noexcept
cdef Template *plain_template(Slab slab, Shape *shape) noexcept
cdef int free_template(Slab slab, Template *template) noexcept
