from libc.stdint cimport uint16_t, uint32_t, uint64_t


cdef struct Chunk:
    # The numbers of one upper half: ascending lower halves, or one bit for each of the 65,536 once that is smaller.
    uint32_t high
    uint32_t count  # never 0
    uint32_t capacity  # of `low`; 0: `bits` it is
    uint16_t *low
    uint64_t *bits


cdef struct NumberSet:
    # A set of u32. Few stand in one ascending array, many in chunks. All zero: empty.
    uint32_t count
    uint32_t capacity  # of `few` or of `chunks`
    uint32_t chunk_count
    uint32_t *few  # NULL once there are chunks
    Chunk *chunks  # ascending


cdef bint set_has(const NumberSet *numbers, uint32_t number) noexcept nogil
cdef int set_add(NumberSet *numbers, uint32_t number) noexcept  # -1: no memory, nothing changed
cdef bint set_discard(NumberSet *numbers, uint32_t number) noexcept  # whether it was there
# Of `count` candidates keeps those that are in the set, or that are not; returns how many.
cdef uint32_t set_keep(
    const NumberSet *numbers, bint present, uint32_t *candidates, uint32_t count
) noexcept nogil
cdef int set_write(const NumberSet *numbers, uint32_t *out) noexcept nogil  # all of them, ascending
cdef int set_clear(NumberSet *numbers) noexcept
cdef long long set_nbytes(const NumberSet *numbers) noexcept nogil
