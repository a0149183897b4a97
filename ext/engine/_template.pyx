"""Templates: shapes with the values that siblings share."""

from engine._shape cimport Shape
from libc.stdint cimport uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset


cdef Template *allocate_template(Shape *shape, uint32_t values, uint32_t text) noexcept nogil:
    cdef uint32_t size = <uint32_t>(sizeof(Template) + 2 * values * sizeof(uint16_t) + text)
    cdef Template *template = <Template *>malloc(size)
    if template == NULL:
        return NULL
    memset(template, 0, sizeof(Template))
    template.size = size
    template.shape = shape
    template.values = values
    return template


cdef void free_template(Template *template) noexcept nogil:
    free(template)


cdef Template *plain_template(Shape *shape) noexcept nogil:
    return allocate_template(shape, 0, 0)
