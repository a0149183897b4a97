cimport cython
from libc.stdint cimport uint32_t, uint64_t


cdef enum:
    REGION_BYTES = 1 << 21  # of a region: a huge page
    MOST_BLOCKS = 1024  # of a region
    WORDS = MOST_BLOCKS >> 6


cdef struct Region:
    # Memory from the system, cut into blocks.
    char *start
    uint32_t blocks
    uint32_t free
    uint32_t fresh  # blocks from here on were not used yet
    uint64_t[WORDS] taken  # a bit for each block


@cython.final
@cython.no_gc
cdef class Arena:
    """Blocks of one size, a power of two, each at a multiple of it. The first region with a free one serves, so that
    the others run empty. An empty one goes back to the system, when there is another or nothing is left."""

    cdef size_t block  # bytes, from 2048 to REGION_BYTES
    cdef Region **regions  # from the highest address on: the oldest first, as systems give memory
    cdef uint32_t count
    cdef uint32_t room
    cdef uint32_t first  # the regions before it have no free block
    cdef uint32_t blocks  # of all regions
    cdef uint32_t used
    cdef Region *empty  # kept, so that a block that comes and goes costs no system calls; NULL: none is
    cdef readonly long long held  # bytes of blocks that were used, but for those of the empty region

    cdef void *allocate(self) noexcept  # NULL: no memory. What is in it nobody knows.
    cdef int release(self, void *block) noexcept

    # Inside.
    cdef uint32_t region_of(self, const void *block) noexcept
    cdef Region *add_region(self) noexcept
    cdef int remove_region(self, uint32_t number) noexcept


cdef Arena new_arena(size_t block)
