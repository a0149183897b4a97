"""Sets of row and value numbers: two bytes a number where they are rare, a bit where they are dense, O(1) to change."""

from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc, PyMem_Realloc
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.string cimport memmove, memset

cdef enum:
    MAX_FEW = 64
    MIN_FEW = 2
    MIN_LOW = 4
    MAX_LOW = 4096  # as many lower halves take what the bits take
    MIN_BITS = 3072  # fewer become lower halves again
    WORDS = 1024  # of 64 bits: one for each lower half

cdef extern from *:
    int __builtin_ctzll(unsigned long long) noexcept nogil


# --- One chunk --------------------------------------------------------------------------------------------------------


cdef inline uint32_t low_place(const Chunk *chunk, uint32_t low) noexcept nogil:
    """Where `low` stands or would stand."""
    cdef uint32_t start = 0, end = chunk.count, middle
    while start < end:
        middle = (start + end) >> 1
        if chunk.low[middle] < low:
            start = middle + 1
        else:
            end = middle
    return start


cdef bint chunk_has(const Chunk *chunk, uint32_t low) noexcept nogil:
    cdef uint32_t at
    if chunk.bits != NULL:
        return chunk.bits[low >> 6] >> (low & 63) & 1
    at = low_place(chunk, low)
    return at < chunk.count and chunk.low[at] == low


cdef int widen(Chunk *chunk) noexcept:
    """From lower halves to bits."""
    cdef uint64_t *bits = <uint64_t *>PyMem_Calloc(WORDS, sizeof(uint64_t))
    cdef uint32_t i
    if bits == NULL:
        return -1
    for i in range(chunk.count):
        bits[chunk.low[i] >> 6] |= <uint64_t>1 << (chunk.low[i] & 63)
    PyMem_Free(chunk.low)
    chunk.low = NULL
    chunk.capacity = 0
    chunk.bits = bits
    return 0


cdef int chunk_add(Chunk *chunk, uint32_t low) noexcept:
    cdef uint32_t at, capacity
    cdef uint16_t *wider
    if chunk.bits == NULL and chunk.count == MAX_LOW and not chunk_has(chunk, low) and widen(chunk) < 0:
        return -1
    if chunk.bits != NULL:
        if not chunk_has(chunk, low):
            chunk.bits[low >> 6] |= <uint64_t>1 << (low & 63)
            chunk.count += 1
            return 1
        return 0
    at = low_place(chunk, low)
    if at < chunk.count and chunk.low[at] == low:
        return 0
    if chunk.count == chunk.capacity:
        capacity = min(<uint32_t>MAX_LOW, chunk.capacity + chunk.capacity // 4 + MIN_LOW)
        wider = <uint16_t *>PyMem_Realloc(chunk.low, capacity * sizeof(uint16_t))
        if wider == NULL:
            return -1
        chunk.low = wider
        chunk.capacity = capacity
    memmove(chunk.low + at + 1, chunk.low + at, (chunk.count - at) * sizeof(uint16_t))
    chunk.low[at] = <uint16_t>low
    chunk.count += 1
    return 1


cdef int write_lows(const Chunk *chunk, uint16_t *out) noexcept nogil:
    cdef uint32_t word, at = 0
    cdef uint64_t bits
    for word in range(WORDS):
        bits = chunk.bits[word]
        while bits:
            out[at] = <uint16_t>(word << 6 | <uint32_t>__builtin_ctzll(bits))
            at += 1
            bits &= bits - 1
    return 0


cdef int narrow(Chunk *chunk) noexcept:
    """Gives memory back where there is some to give; without memory to do it everything stays."""
    cdef uint16_t *low
    if chunk.bits != NULL:
        if chunk.count >= MIN_BITS:
            return 0
        low = <uint16_t *>PyMem_Malloc(chunk.count * sizeof(uint16_t))
        if low != NULL:
            write_lows(chunk, low)
            PyMem_Free(chunk.bits)
            chunk.bits = NULL
            chunk.low = low
            chunk.capacity = chunk.count
    elif chunk.capacity > 2 * chunk.count + 2 * MIN_LOW:
        low = <uint16_t *>PyMem_Realloc(chunk.low, (chunk.count + MIN_LOW) * sizeof(uint16_t))
        if low != NULL:
            chunk.low = low
            chunk.capacity = chunk.count + MIN_LOW
    return 0


cdef bint chunk_discard(Chunk *chunk, uint32_t low) noexcept:
    cdef uint32_t at
    if not chunk_has(chunk, low):
        return False
    chunk.count -= 1
    if chunk.bits != NULL:
        chunk.bits[low >> 6] &= ~(<uint64_t>1 << (low & 63))
    else:
        at = low_place(chunk, low)
        memmove(chunk.low + at, chunk.low + at + 1, (chunk.count - at) * sizeof(uint16_t))
    if chunk.count:
        narrow(chunk)
    return True


# --- The set ----------------------------------------------------------------------------------------------------------


cdef inline uint32_t few_place(const NumberSet *numbers, uint32_t number) noexcept nogil:
    cdef uint32_t start = 0, end = numbers.count, middle
    while start < end:
        middle = (start + end) >> 1
        if numbers.few[middle] < number:
            start = middle + 1
        else:
            end = middle
    return start


cdef inline uint32_t chunk_place(const NumberSet *numbers, uint32_t high) noexcept nogil:
    cdef uint32_t start = 0, end = numbers.chunk_count, middle
    while start < end:
        middle = (start + end) >> 1
        if numbers.chunks[middle].high < high:
            start = middle + 1
        else:
            end = middle
    return start


cdef bint set_has(const NumberSet *numbers, uint32_t number) noexcept nogil:
    cdef uint32_t at
    if numbers.chunks == NULL:
        at = few_place(numbers, number)
        return at < numbers.count and numbers.few[at] == number
    at = chunk_place(numbers, number >> 16)
    return (
        at < numbers.chunk_count
        and numbers.chunks[at].high == number >> 16
        and chunk_has(&numbers.chunks[at], number & 0xFFFF)
    )


cdef int add_few(NumberSet *numbers, uint32_t number) noexcept:
    cdef uint32_t at = few_place(numbers, number), capacity
    cdef uint32_t *wider
    if at < numbers.count and numbers.few[at] == number:
        return 0
    if numbers.count == numbers.capacity:
        capacity = numbers.capacity + numbers.capacity // 2 + MIN_FEW
        wider = <uint32_t *>PyMem_Realloc(numbers.few, capacity * sizeof(uint32_t))
        if wider == NULL:
            return -1
        numbers.few = wider
        numbers.capacity = capacity
    memmove(numbers.few + at + 1, numbers.few + at, (numbers.count - at) * sizeof(uint32_t))
    numbers.few[at] = number
    numbers.count += 1
    return 1


cdef int add_chunked(NumberSet *numbers, uint32_t number) noexcept:
    cdef uint32_t at = chunk_place(numbers, number >> 16), capacity
    cdef Chunk made
    cdef Chunk *wider
    cdef int added
    if at < numbers.chunk_count and numbers.chunks[at].high == number >> 16:
        added = chunk_add(&numbers.chunks[at], number & 0xFFFF)
        numbers.count += added > 0
        return added
    if numbers.chunk_count == numbers.capacity:
        capacity = numbers.capacity + numbers.capacity // 4 + 1
        wider = <Chunk *>PyMem_Realloc(numbers.chunks, capacity * sizeof(Chunk))
        if wider == NULL:
            return -1
        numbers.chunks = wider
        numbers.capacity = capacity
    memset(&made, 0, sizeof(Chunk))
    made.high = number >> 16
    if chunk_add(&made, number & 0xFFFF) < 0:
        return -1
    memmove(&numbers.chunks[at + 1], &numbers.chunks[at], (numbers.chunk_count - at) * sizeof(Chunk))
    numbers.chunks[at] = made
    numbers.chunk_count += 1
    numbers.count += 1
    return 1


cdef int into_chunks(NumberSet *numbers) noexcept:
    cdef NumberSet made
    cdef uint32_t i
    memset(&made, 0, sizeof(NumberSet))
    for i in range(numbers.count):
        if add_chunked(&made, numbers.few[i]) < 0:
            set_clear(&made)
            return -1
    PyMem_Free(numbers.few)
    numbers[0] = made
    return 0


cdef int set_add(NumberSet *numbers, uint32_t number) noexcept:
    if numbers.chunks == NULL:
        if numbers.count < MAX_FEW:
            return add_few(numbers, number)
        if into_chunks(numbers) < 0:
            return -1
    return add_chunked(numbers, number)


cdef int into_few(NumberSet *numbers) noexcept:
    cdef NumberSet made
    memset(&made, 0, sizeof(NumberSet))
    made.few = <uint32_t *>PyMem_Malloc(numbers.count * sizeof(uint32_t))
    if made.few != NULL:
        set_write(numbers, made.few)
        made.count = made.capacity = numbers.count
        set_clear(numbers)
        numbers[0] = made
    return 0


cdef bint set_discard(NumberSet *numbers, uint32_t number) noexcept:
    cdef uint32_t at
    cdef Chunk *chunk
    if not set_has(numbers, number):
        return False
    if numbers.chunks == NULL:
        at = few_place(numbers, number)
        numbers.count -= 1
        memmove(numbers.few + at, numbers.few + at + 1, (numbers.count - at) * sizeof(uint32_t))
    else:
        numbers.count -= 1
        at = chunk_place(numbers, number >> 16)
        chunk = &numbers.chunks[at]
        chunk_discard(chunk, number & 0xFFFF)
        if chunk.count == 0:
            PyMem_Free(chunk.low)
            PyMem_Free(chunk.bits)
            numbers.chunk_count -= 1
            memmove(chunk, chunk + 1, (numbers.chunk_count - at) * sizeof(Chunk))
        if 0 < numbers.count <= MAX_FEW // 2:
            into_few(numbers)
    if numbers.count == 0:
        set_clear(numbers)
    return True


cdef uint32_t set_keep(
    const NumberSet *numbers, bint present, uint32_t *candidates, uint32_t count
) noexcept nogil:
    cdef const Chunk *chunk = NULL
    cdef uint32_t i, at, number, kept = 0
    cdef bint there
    for i in range(count):
        number = candidates[i]
        if numbers.chunks == NULL:
            there = set_has(numbers, number)
        else:
            # Neighbours among candidates mostly stand in one chunk.
            if chunk == NULL or chunk.high != number >> 16:
                at = chunk_place(numbers, number >> 16)
                chunk = &numbers.chunks[at] if at < numbers.chunk_count else NULL
            there = chunk != NULL and chunk.high == number >> 16 and chunk_has(chunk, number & 0xFFFF)
        candidates[kept] = number
        kept += there == present
    return kept


cdef int set_write(const NumberSet *numbers, uint32_t *out) noexcept nogil:
    cdef uint32_t i, word, at
    cdef uint64_t bits
    cdef const Chunk *chunk
    if numbers.chunks == NULL:
        for i in range(numbers.count):
            out[i] = numbers.few[i]
        return 0
    for at in range(numbers.chunk_count):
        chunk = &numbers.chunks[at]
        if chunk.bits == NULL:
            for i in range(chunk.count):
                out[i] = chunk.high << 16 | chunk.low[i]
        else:
            i = 0
            for word in range(WORDS):
                bits = chunk.bits[word]
                while bits:
                    out[i] = chunk.high << 16 | word << 6 | <uint32_t>__builtin_ctzll(bits)
                    i += 1
                    bits &= bits - 1
        out += chunk.count
    return 0


cdef int set_clear(NumberSet *numbers) noexcept:
    cdef uint32_t i
    for i in range(numbers.chunk_count):
        PyMem_Free(numbers.chunks[i].low)
        PyMem_Free(numbers.chunks[i].bits)
    PyMem_Free(numbers.chunks)
    PyMem_Free(numbers.few)
    memset(numbers, 0, sizeof(NumberSet))
    return 0


cdef long long set_nbytes(const NumberSet *numbers) noexcept nogil:
    cdef long long held
    cdef uint32_t i
    if numbers.chunks == NULL:
        return <long long>numbers.capacity * sizeof(uint32_t)
    held = <long long>numbers.capacity * sizeof(Chunk)
    for i in range(numbers.chunk_count):
        held += numbers.chunks[i].capacity * sizeof(uint16_t)
        if numbers.chunks[i].bits != NULL:
            held += WORDS * sizeof(uint64_t)
    return held
