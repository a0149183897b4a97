"""Memory from the system, in huge pages where much is needed, cut into blocks of one size."""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Realloc
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memmove

cdef extern from "maps.h" nogil:
    const bint ENGINE_BLOCKS
    char *engine_map_aligned(size_t bytes, size_t align) noexcept
    int engine_unmap_region "munmap"(char *start, size_t bytes) noexcept

cdef extern from *:
    int trailing_zeros "__builtin_ctzll"(unsigned long long bits) noexcept nogil

cdef enum:
    FEWEST_BLOCKS = 4  # of a region
    FIRST_ROOM = 8  # for regions


cdef Arena new_arena(size_t block):
    cdef Arena made = Arena.__new__(Arena)
    made.block = block
    return made


@cython.final
@cython.no_gc
cdef class Arena:
    def __dealloc__(self):
        while self.count:
            self.remove_region(self.count - 1)
        PyMem_Free(self.regions)

    cdef void *allocate(self) noexcept:
        cdef Region *region
        cdef uint32_t word = 0, bit
        if not ENGINE_BLOCKS:
            return malloc(self.block)
        while self.first < self.count and self.regions[self.first].free == 0:
            self.first += 1
        region = self.regions[self.first] if self.first < self.count else self.add_region()
        if region == NULL:
            return NULL
        while region.taken[word] == ~<uint64_t>0:
            word += 1
        bit = trailing_zeros(~region.taken[word])
        region.taken[word] |= <uint64_t>1 << bit
        region.free -= 1
        self.used += 1
        if region == self.empty:
            self.empty = NULL
        if word * 64 + bit == region.fresh:
            region.fresh += 1
            self.held += self.block
        return region.start + (word * 64 + bit) * self.block

    cdef int release(self, void *block) noexcept:
        cdef uint32_t number, at
        cdef Region *region
        if not ENGINE_BLOCKS:
            free(block)
            return 0
        number = self.region_of(block)
        region = self.regions[number]
        at = <uint32_t>(<size_t>(<char *>block - region.start) // self.block)
        region.taken[at >> 6] &= ~(<uint64_t>1 << (at & 63))
        region.free += 1
        self.first = min(self.first, number)
        self.used -= 1
        if region.free < region.blocks:
            return 0
        if self.empty == NULL:
            self.empty = region
            self.held -= region.fresh * <long long>self.block
            region.fresh = 0
        else:
            self.remove_region(number)
        if self.used == 0:
            self.empty = NULL
            self.remove_region(0)  # the only one
        return 0

    cdef uint32_t region_of(self, const void *block) noexcept:
        """The first that begins no higher; self.count: there is none."""
        cdef uint32_t low = 0, high = self.count, middle
        while low < high:
            middle = (low + high) >> 1
            if self.regions[middle].start > <const char *>block:
                low = middle + 1
            else:
                high = middle
        return low

    cdef Region *add_region(self) noexcept:
        """Small ones as long as little is needed; then of the size of huge pages."""
        cdef uint32_t most = <uint32_t>(REGION_BYTES // self.block), number, room
        cdef size_t align
        cdef Region **regions = self.regions
        cdef Region *region = <Region *>PyMem_Calloc(1, sizeof(Region))
        if region == NULL:
            return NULL
        if self.count == self.room:
            room = max(2 * self.room, <uint32_t>FIRST_ROOM)
            regions = <Region **>PyMem_Realloc(regions, room * sizeof(void *))
            if regions == NULL:
                PyMem_Free(region)
                return NULL
            self.regions = regions
            self.room = room
        region.blocks = region.free = min(max(self.blocks, <uint32_t>FEWEST_BLOCKS), most)
        align = REGION_BYTES if region.blocks == most else self.block
        region.start = engine_map_aligned(region.blocks * self.block, align)
        if region.start == NULL:
            PyMem_Free(region)
            return NULL
        number = self.region_of(region.start)
        memmove(&regions[number + 1], &regions[number], (self.count - number) * sizeof(void *))
        regions[number] = region
        self.count += 1
        self.first = number
        self.blocks += region.blocks
        self.held += sizeof(Region)
        return region

    cdef int remove_region(self, uint32_t number) noexcept:
        cdef Region *region = self.regions[number]
        self.count -= 1
        memmove(&self.regions[number], &self.regions[number + 1], (self.count - number) * sizeof(void *))
        self.blocks -= region.blocks
        self.held -= sizeof(Region) + region.fresh * <long long>self.block
        engine_unmap_region(region.start, region.blocks * self.block)
        PyMem_Free(region)
        return 0
