from engine._json cimport Slice
from engine._matching cimport Walk
from engine._packing cimport Memory
from engine._shape cimport Place, Shape
from engine._template cimport Known, Template
from libc.stdint cimport uint8_t, uint32_t


cdef uint8_t *pack_section(const Template *template, const Walk *walk, const Known *known, Memory *memory,
                           uint8_t *out, uint8_t *varying_out, uint8_t *missed_out) noexcept nogil
cdef const uint8_t *unpack_section(const Template *template, const uint8_t *p, const Known *known, Memory *memory,
                                   char **out, Place wanted, Slice *found) noexcept nogil
cdef const char *same_section(const Template *template, const uint8_t **packed, Known *known, Memory *memory,
                              char *scratch, uint32_t fixed, bint *is_fixed, const char *p,
                              const char *end) noexcept nogil
cdef const uint8_t *skip_section(const Shape *shape, const uint8_t *packed) noexcept nogil
