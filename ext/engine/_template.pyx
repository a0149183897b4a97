"""Templates: shapes with the values that siblings share."""

from engine._shape cimport Shape
from engine._slab cimport Slab
from libc.stdint cimport uint16_t, uint32_t
from libc.string cimport memset


cdef Template *allocate_template(Slab slab, Shape *shape, uint32_t values, uint32_t text, Template *lender) noexcept:
    cdef uint32_t numbers = 3 * values if lender != NULL else 2 * values + 1
    cdef uint32_t size = <uint32_t>(sizeof(Template) + numbers * sizeof(uint16_t) + (text if lender == NULL else 0))
    cdef Template *template = <Template *>slab.allocate(size)
    if template == NULL:
        return NULL
    memset(template, 0, sizeof(Template))
    template.size = size
    template.shape = shape
    template.values = values
    template.lender = lender
    if lender == NULL:
        starts_of(template)[0] = 0
    return template


cdef int free_template(Slab slab, Template *template) noexcept:
    return slab.release(template, template.size)


cdef Template *plain_template(Slab slab, Shape *shape) noexcept:
    return allocate_template(slab, shape, 0, 0, NULL)
