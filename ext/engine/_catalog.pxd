cimport cython
from engine._shape cimport Shape
from engine._slab cimport Slab
from engine._template cimport Template
from libc.stdint cimport uint16_t, uint32_t, uint64_t


cdef enum:
    NO_TEMPLATE = 0xFFFFFF  # of a section that stands as it is; other numbers are below


@cython.final
@cython.no_gc
cdef class Catalog:
    """The shapes and templates of one store, by number and by what they look like."""

    cdef Slab slab  # for templates
    cdef Template **templates  # by number; a free number holds the next free one, shifted left, and a 1
    cdef uint32_t count  # of numbers ever given
    cdef uint32_t capacity
    cdef uint32_t free_number  # the first, or NO_TEMPLATE
    cdef uint32_t *chains  # of templates with values, by what they say: the first one's number
    cdef uint32_t chain_mask
    cdef Shape **buckets
    cdef uint32_t bucket_mask
    cdef readonly uint32_t shapes
    cdef readonly uint32_t held  # templates
    cdef uint64_t *seen  # hashes of sections that were met once, the low bits of the object's key
    cdef readonly long long bytes
    cdef long long template_bytes  # of these, what templates with values take and arrays of numbers
    cdef uint32_t swept  # shapes there were after the last look for idle ones
    cdef uint32_t idle  # shapes that lost their last record since then, as often as it happened

    cdef inline Template *get(self, uint32_t number) noexcept:
        return self.templates[number]

    cdef Template *known(self, uint32_t number) noexcept
    cdef Shape *find(self, uint64_t hash) noexcept
    cdef bint meet(self, uint64_t hash, uint16_t key) except -1
    cdef bint has_room(self, long long records_bytes) noexcept  # for a shape
    cdef bint has_number(self) noexcept  # for a template
    cdef int add_shape(self, Shape *shape) except -1
    cdef int add(self, Template *template) except -1
    cdef Template *equal(self, const Template *template) noexcept
    cdef int widen_chains(self) except -1
    cdef int drop(self, Template *template) noexcept
    cdef int sweep(self) noexcept
    cdef int remove_shape(self, Shape *shape) noexcept
    cdef int release(self, Template *template) noexcept
