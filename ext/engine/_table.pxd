from libc.stdint cimport uint32_t, uint64_t, uintptr_t


cdef enum:
    TAG_SHIFT = 33  # a slot: 31 bits of the hash, one bit of the owner's, 32 bits of number
    TAG_BITS = 31
    NO_PLACE = 0xFFFFFFFF
    MAX_PLACES = 0x7FFFFFFF  # numbers of 31 bits


cdef struct Table:
    # Numbers by hash: open addressing, linear probing. What a number stands for is compared by the owner, which walks
    # from `home` by `following` until a slot is empty.
    uint64_t *slots
    uint32_t capacity
    uint32_t used


cdef struct Places:
    # Pointers by number. A number that is given back is used again; the array ends behind the highest one in use.
    uintptr_t *at  # a pointer; or, with the lowest bit set, the neighbours in the list of free places
    uint32_t end
    uint32_t capacity
    uint32_t first_free  # NO_PLACE: none


cdef inline uint64_t slot_of(uint64_t hash, bint flag, uint32_t number) noexcept nogil:
    return hash >> TAG_SHIFT << TAG_SHIFT | <uint64_t>flag << 32 | number


cdef inline bint is_empty(uint64_t slot) noexcept nogil:
    return slot == ~<uint64_t>0


cdef inline bint is_tagged(uint64_t slot, uint64_t hash) noexcept nogil:
    return slot >> TAG_SHIFT == hash >> TAG_SHIFT


cdef inline bint flag_of(uint64_t slot) noexcept nogil:
    return slot >> 32 & 1


cdef inline uint32_t home_of(const Table *table, uint64_t hash) noexcept nogil:
    """Where the search for a hash begins. The table must have slots."""
    return <uint32_t>((hash >> TAG_SHIFT) * table.capacity >> TAG_BITS)


cdef inline uint32_t following(const Table *table, uint32_t at) noexcept nogil:
    return at + 1 if at + 1 < table.capacity else 0


cdef int table_free(Table *table) noexcept
cdef int table_reserve(Table *table, uint32_t more) except -1  # room for `more` insertions
cdef int table_insert(Table *table, uint64_t slot) noexcept
cdef int table_erase(Table *table, uint32_t at) noexcept  # gives memory back when there is much
cdef int table_find(const Table *table, uint64_t slot, uint32_t *at) noexcept nogil  # whether this very slot is there

cdef int places_free(Places *places) noexcept  # not what the pointers point to
cdef int places_reserve(Places *places) except -1  # room for one `place`
cdef uint32_t place(Places *places, void *pointer) noexcept
cdef int give_back(Places *places, uint32_t number) noexcept


cdef inline bint is_free(const Places *places, uint32_t number) noexcept nogil:
    return places.at[number] & 1
