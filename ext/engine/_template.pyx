"""Templates: shapes with the values that siblings share."""

from engine._shape cimport Shape
from engine._slab cimport Slab
from libc.stdint cimport uint16_t, uint32_t
from libc.string cimport memset


cdef Template *allocate_template(Slab slab, Shape *shape, uint32_t values, uint32_t text) noexcept:
    cdef uint32_t size = <uint32_t>(sizeof(Template) + 2 * values * sizeof(uint16_t) + text)
    cdef Template *template = <Template *>slab.allocate(size)
    if template == NULL:
        return NULL
    memset(template, 0, sizeof(Template))
    template.size = size
    template.shape = shape
    template.values = values
    return template


cdef int free_template(Slab slab, Template *template) noexcept:
    return slab.release(template, template.size)


cdef Template *plain_template(Slab slab, Shape *shape) noexcept:
    return allocate_template(slab, shape, 0, 0)
