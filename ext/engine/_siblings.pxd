from engine._catalog cimport Catalog
from engine._keys cimport Keys
from engine._record cimport Record
from engine._shape cimport Shape
from engine._template cimport Template
from libc.stdint cimport uint32_t


cdef Template *walk_on(Template *origin, uint32_t number, const char *start, Catalog catalog) noexcept
cdef Template *successor_of(Template *origin, Shape *shape, Catalog catalog) noexcept
cdef int follows(Template *origin, Template *template) noexcept
cdef int share_values(uint32_t number, Record *hint, Catalog catalog, Keys keys) except -1
