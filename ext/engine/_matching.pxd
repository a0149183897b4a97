from engine._json cimport Slice
from engine._scalars cimport literal_end, number_end, short_end
from engine._shape cimport SCALAR_TOKEN, Place, Shape
from engine._template cimport Template
from libc.stdint cimport uint8_t, uint16_t, uint32_t


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


cdef inline const char *value_end(uint8_t role, const char *p, const char *end) noexcept nogil:
    if role != SCALAR_TOKEN:
        return short_end(p, end)
    if p >= end:
        return NULL
    if p[0] == c"-" or c"0" <= p[0] <= c"9":
        return number_end(p, end)
    return literal_end(p, end)


cdef const char *match(const Template *template, const char *p, const char *end, Walk *walk) noexcept nogil
cdef bint keys_fit(const Template *template, const Walk *walk) noexcept nogil
cdef Slice located(const Shape *shape, const Walk *walk, const char *start, Place place) noexcept nogil
cdef Slice current(const Shape *shape, const Walk *walk, uint32_t token) noexcept nogil
