"""Two building blocks of indexes in C: numbers by hash, and pointers by number."""

from engine._pages cimport released, resized
from libc.stdint cimport uint32_t, uint64_t, uintptr_t
from libc.string cimport memset

cdef enum:
    MIN_SLOTS = 16
    MIN_PLACES = 8
    # Free places link both ways, so that the array can be cut behind the highest number in use.
    NEXT_SHIFT = 1
    PREVIOUS_SHIFT = 32
    LINK_MASK = 0x7FFFFFFF  # also the link that leads nowhere


# --- Numbers by hash --------------------------------------------------------------------------------------------------


cdef inline bint is_full(uint64_t used, uint64_t capacity) noexcept nogil:
    return used * 5 > capacity * 4


cdef inline uint64_t room_for(uint64_t used) noexcept nogil:
    return used + used // 2 + MIN_SLOTS


cdef int resize(Table *table, uint64_t capacity) noexcept:
    """-1 when there is no memory: the table is as it was. Homes ascend with the hash, so both are walked in order."""
    cdef Table wider
    cdef uint32_t i
    if capacity >> 32:
        return -1
    wider.slots = <uint64_t *>resized(NULL, 0, capacity * sizeof(uint64_t))
    if wider.slots == NULL:
        return -1
    memset(wider.slots, 0xFF, capacity * sizeof(uint64_t))
    wider.capacity = <uint32_t>capacity
    wider.used = 0
    for i in range(table.capacity):
        if not is_empty(table.slots[i]):
            table_insert(&wider, table.slots[i])
    table_free(table)
    table[0] = wider
    return 0


cdef int table_free(Table *table) noexcept:
    return released(table.slots, table.capacity * sizeof(uint64_t))


cdef int table_reserve(Table *table, uint32_t more) except -1:
    cdef uint64_t used = <uint64_t>table.used + more
    if (is_full(used, table.capacity) or table.slots == NULL) and resize(table, room_for(used)) < 0:
        raise MemoryError
    return 0


cdef int table_insert(Table *table, uint64_t slot) noexcept:
    cdef uint32_t at = home_of(table, slot)
    while not is_empty(table.slots[at]):
        at = following(table, at)
    table.slots[at] = slot
    table.used += 1
    return 0


cdef int table_find(const Table *table, uint64_t slot, uint32_t *at) noexcept nogil:
    if table.used == 0:
        return False
    at[0] = home_of(table, slot)
    while table.slots[at[0]] != slot:
        if is_empty(table.slots[at[0]]):
            return False
        at[0] = following(table, at[0])
    return True


cdef inline uint32_t way(const Table *table, uint32_t start, uint32_t end) noexcept nogil:
    """Steps from one slot on to another, around the end."""
    return end - start if end >= start else end + table.capacity - start


cdef int table_erase(Table *table, uint32_t at) noexcept:
    cdef uint32_t behind = following(table, at)
    table.slots[at] = ~<uint64_t>0
    table.used -= 1
    # What was pushed behind the hole moves up, unless its home is behind the hole too.
    while not is_empty(table.slots[behind]):
        if way(table, home_of(table, table.slots[behind]), behind) >= way(table, at, behind):
            table.slots[at] = table.slots[behind]
            table.slots[behind] = ~<uint64_t>0
            at = behind
        behind = following(table, behind)
    if table.capacity > 2 * room_for(table.used):
        resize(table, room_for(table.used))  # without memory for a smaller table the wide one serves as well
    return 0


# --- Pointers by number -----------------------------------------------------------------------------------------------


cdef inline uintptr_t *resized_places(Places *places, uint64_t capacity) noexcept:
    return <uintptr_t *>resized(places.at, places.capacity * sizeof(uintptr_t), capacity * sizeof(uintptr_t))


cdef int places_free(Places *places) noexcept:
    return released(places.at, places.capacity * sizeof(uintptr_t))


cdef int places_reserve(Places *places) except -1:
    cdef uint64_t capacity = <uint64_t>places.capacity + places.capacity // 8 + MIN_PLACES
    cdef uintptr_t *wider
    if places.first_free != NO_PLACE or places.end < places.capacity:
        return 0
    capacity = min(capacity, <uint64_t>MAX_PLACES)
    if capacity == places.capacity:
        raise MemoryError
    wider = resized_places(places, capacity)
    if wider == NULL:
        raise MemoryError
    places.at = wider
    places.capacity = <uint32_t>capacity
    return 0


cdef inline uint32_t next_free(const Places *places, uint32_t number) noexcept nogil:
    return places.at[number] >> NEXT_SHIFT & LINK_MASK


cdef inline uint32_t previous_free(const Places *places, uint32_t number) noexcept nogil:
    return places.at[number] >> PREVIOUS_SHIFT & LINK_MASK


cdef inline void link_free(Places *places, uint32_t number, uint32_t previous, uint32_t next) noexcept nogil:
    places.at[number] = <uintptr_t>previous << PREVIOUS_SHIFT | <uintptr_t>next << NEXT_SHIFT | 1


cdef int unlink(Places *places, uint32_t number) noexcept:
    cdef uint32_t next = next_free(places, number), previous = previous_free(places, number)
    if next != LINK_MASK:
        link_free(places, next, previous, next_free(places, next))
    if previous != LINK_MASK:
        link_free(places, previous, previous_free(places, previous), next)
    else:
        places.first_free = NO_PLACE if next == LINK_MASK else next
    return 0


cdef uint32_t place(Places *places, void *pointer) noexcept:
    """The number of the pointer from now on."""
    cdef uint32_t number = places.first_free
    if number != NO_PLACE:
        unlink(places, number)
    else:
        number = places.end
        places.end += 1
    places.at[number] = <uintptr_t>pointer
    return number


cdef int give_back(Places *places, uint32_t number) noexcept:
    cdef uint32_t first = LINK_MASK if places.first_free == NO_PLACE else places.first_free
    cdef uintptr_t *narrower
    link_free(places, number, LINK_MASK, first)
    if first != LINK_MASK:
        link_free(places, first, number, next_free(places, first))
    places.first_free = number
    while places.end and is_free(places, places.end - 1):
        places.end -= 1
        unlink(places, places.end)
    if places.capacity > 2 * places.end + 2 * MIN_PLACES:
        narrower = resized_places(places, places.end + MIN_PLACES)
        if narrower != NULL:
            places.at = narrower
            places.capacity = places.end + MIN_PLACES
    return 0
