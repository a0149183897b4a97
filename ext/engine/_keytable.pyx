"""Records by key: what `get` asks."""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc
from engine._ahead cimport prefetch
from engine._store cimport MAX_KEY, Record
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

cdef enum:
    ADDRESS_BITS = 48  # of a user's address on x86-64 and AArch64
    FIRST_CAPACITY = 8
    BATCH = 32  # keys whose cache misses overlap
    AHEAD = 8  # records whose keys are read ahead when a shard is built anew

# A shard is built anew when more than 17/20 of it is full or less than 8/20, and then 17/25 of it is: 10 to 11 bytes a
# row while it grows.


cdef inline Shard *shard_of(Shard *shards, Py_hash_t hash) noexcept nogil:
    return &shards[<uint64_t>hash >> 56]


cdef inline uint32_t home_of(Shard *shard, Py_hash_t hash) noexcept nogil:
    """The 32 bits below those of the shard, scaled to the capacity, which need be no power of two."""
    return <uint32_t>((<uint64_t><uint32_t>(<uint64_t>hash >> 24) * shard.capacity) >> 32)


cdef inline uint64_t *slot_at(const Shard *shard, uint32_t at) noexcept nogil:
    return &shard.segments[at >> SEGMENT_BITS][at & (SEGMENT - 1)]


cdef inline uint64_t tag_of(Py_hash_t hash) noexcept nogil:
    return <uint64_t>hash << ADDRESS_BITS


cdef inline uint64_t slot_of(Record *record, Py_hash_t hash) noexcept nogil:
    return tag_of(hash) | <uint64_t>record


cdef inline Record *record_of(uint64_t slot) noexcept nogil:
    return <Record *>(slot & ((<uint64_t>1 << ADDRESS_BITS) - 1))


cdef inline bint has_tag(uint64_t slot, Py_hash_t hash) noexcept nogil:
    return (slot ^ tag_of(hash)) >> ADDRESS_BITS == 0


cdef inline uint32_t behind(Shard *shard, uint32_t at) noexcept nogil:
    return at + 1 if at + 1 < shard.capacity else 0


cdef inline uint32_t distance(Shard *shard, uint32_t start, uint32_t end) noexcept nogil:
    return end - start if end >= start else end + shard.capacity - start


cdef inline uint32_t position(Shard *shard, uint64_t slot, Py_hash_t hash) noexcept nogil:
    """Where an entry that is there stands."""
    cdef uint32_t at = home_of(shard, hash)
    while slot_at(shard, at)[0] != slot:
        at = behind(shard, at)
    return at


cdef inline void enter(Shard *shard, uint64_t slot, Py_hash_t hash) noexcept nogil:
    cdef uint32_t at = home_of(shard, hash)
    while slot_at(shard, at)[0]:
        at = behind(shard, at)
    slot_at(shard, at)[0] = slot


cdef inline uint32_t roomy(uint32_t count) noexcept nogil:
    cdef uint64_t capacity = <uint64_t>count * 25 // 17 + 1
    if capacity > SEGMENT:
        capacity = (capacity + SEGMENT - 1) & ~<uint64_t>(SEGMENT - 1)
    return <uint32_t>capacity if capacity > FIRST_CAPACITY else FIRST_CAPACITY


cdef inline uint32_t segments_of(uint32_t capacity) noexcept nogil:
    return (capacity + SEGMENT - 1) >> SEGMENT_BITS


cdef inline long long held_by(uint32_t capacity) noexcept nogil:
    """Bytes beside the arena."""
    return segments_of(capacity) * sizeof(void *) + (capacity * sizeof(uint64_t) if capacity < SEGMENT else 0)


@cython.final
@cython.no_gc
cdef class KeyTable:
    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(SHARDS):
            self.empty(&self.shards[i])

    cdef void expect(self, Py_hash_t hash) noexcept nogil:
        """A key with this hash will be looked up: has its slot read."""
        cdef Shard *shard = shard_of(self.shards, hash)
        if shard.count:
            prefetch(slot_at(shard, home_of(shard, hash)))

    cdef Record *guess(self, Py_hash_t hash) noexcept nogil:
        """The record that `find` will look at first, borrowed; NULL when there is none."""
        cdef Shard *shard = shard_of(self.shards, hash)
        cdef uint32_t at
        cdef uint64_t slot
        if shard.count == 0:
            return NULL
        at = home_of(shard, hash)
        slot = slot_at(shard, at)[0]
        while slot and not has_tag(slot, hash):
            at = behind(shard, at)
            slot = slot_at(shard, at)[0]
        return record_of(slot)

    cdef Record *find(self, const char *key, Py_ssize_t size, Py_hash_t hash) noexcept nogil:
        """Borrowed; NULL when there is none."""
        cdef Shard *shard = shard_of(self.shards, hash)
        cdef uint32_t at
        cdef uint64_t slot
        if shard.count == 0:
            return NULL
        at = home_of(shard, hash)
        prefetch(slot_at(shard, at))
        self.store.keys.expect(key, size)
        while True:
            slot = slot_at(shard, at)[0]
            if slot == 0:
                return NULL
            if has_tag(slot, hash) and self.store.is_key(record_of(slot), key, size):
                return record_of(slot)
            at = behind(shard, at)

    cdef void find_many(self, Wanted *wanted, Py_ssize_t count) noexcept nogil:
        """Slots of all first, then records of all, so that waiting for memory is waited once."""
        cdef Py_ssize_t first = 0, last = 0, i
        cdef Wanted *one
        while last < count:
            first = last
            last = min(first + BATCH, count)
            for i in range(first, last):
                self.expect(wanted[i].hash)
            for i in range(first, last):
                wanted[i].found = self.guess(wanted[i].hash)
                prefetch(wanted[i].found)
            for i in range(first, last):
                one = &wanted[i]
                if one.found != NULL and not self.store.is_key(one.found, one.key, one.size):
                    one.found = self.find(one.key, one.size, one.hash)

    cdef int reserve(self, Py_hash_t hash) except -1:
        """Room for one `add` of a key with this hash, which then cannot fail."""
        cdef Shard *shard = shard_of(self.shards, hash)
        if (<uint64_t>shard.count + 1) * 20 <= <uint64_t>shard.capacity * 17:
            return 0
        if not self.resize(shard, roomy(shard.count + 1)):
            raise MemoryError
        return 0

    cdef void add(self, Record *record, Py_hash_t hash) noexcept:
        cdef Shard *shard = shard_of(self.shards, hash)
        enter(shard, slot_of(record, hash), hash)
        shard.count += 1

    cdef void exchange(self, Record *old, Record *new, Py_hash_t hash) noexcept:
        """`new` has the key of `old`."""
        cdef Shard *shard = shard_of(self.shards, hash)
        slot_at(shard, position(shard, slot_of(old, hash), hash))[0] = slot_of(new, hash)

    cdef void remove(self, Record *record, Py_hash_t hash) noexcept:
        """The entries behind it move up, so that there are no graves. Gives memory back when little is left."""
        cdef Shard *shard = shard_of(self.shards, hash)
        cdef uint32_t hole = position(shard, slot_of(record, hash), hash)
        cdef uint32_t at = behind(shard, hole)
        cdef uint32_t home
        while slot_at(shard, at)[0]:
            home = home_of(shard, self.hash_at(slot_at(shard, at)[0]))
            if distance(shard, home, at) >= distance(shard, hole, at):
                slot_at(shard, hole)[0] = slot_at(shard, at)[0]
                hole = at
            at = behind(shard, at)
        slot_at(shard, hole)[0] = 0
        shard.count -= 1
        if shard.count == 0:
            self.empty(shard)
        elif <uint64_t>shard.count * 20 < <uint64_t>shard.capacity * 8 and roomy(shard.count) < shard.capacity:
            self.resize(shard, roomy(shard.count))  # without memory for it, it stays as it is

    cdef Py_hash_t hash_at(self, uint64_t slot) noexcept:
        cdef char[MAX_KEY] key
        cdef Py_ssize_t size = self.store.copy_key(record_of(slot), key)
        return hash_of(key, size)

    cdef bint resize(self, Shard *shard, uint32_t capacity) noexcept:
        """Builds the shard anew from its records' keys; false when there is no memory, and nothing changed."""
        cdef Shard wider
        cdef uint32_t at
        cdef uint64_t slot
        if not self.allocate(&wider, capacity):
            return False
        wider.count = shard.count
        for at in range(shard.capacity):
            if at + AHEAD < shard.capacity:
                prefetch(record_of(slot_at(shard, at + AHEAD)[0]))
            slot = slot_at(shard, at)[0]
            if slot:
                enter(&wider, slot, self.hash_at(slot))
        self.empty(shard)
        shard[0] = wider
        return True

    cdef bint allocate(self, Shard *shard, uint32_t capacity) noexcept:
        cdef uint32_t i
        shard.capacity = 0
        shard.segments = <uint64_t **>PyMem_Calloc(segments_of(capacity), sizeof(void *))
        if shard.segments == NULL:
            return False
        for i in range(segments_of(capacity)):
            if capacity < SEGMENT:
                shard.segments[i] = <uint64_t *>PyMem_Malloc(capacity * sizeof(uint64_t))
            else:
                shard.segments[i] = <uint64_t *>self.arena.allocate()
            if shard.segments[i] == NULL:
                shard.capacity = i * SEGMENT
                self.held += held_by(shard.capacity)
                self.empty(shard)
                return False
            memset(shard.segments[i], 0, min(capacity, <uint32_t>SEGMENT) * sizeof(uint64_t))
        shard.capacity = capacity
        self.held += held_by(capacity)
        return True

    cdef int empty(self, Shard *shard) noexcept:
        cdef uint32_t i
        for i in range(segments_of(shard.capacity)):
            if shard.capacity < SEGMENT:
                PyMem_Free(shard.segments[i])
            else:
                self.arena.release(shard.segments[i])
        PyMem_Free(shard.segments)
        shard.segments = NULL
        self.held -= held_by(shard.capacity)
        shard.capacity = shard.count = 0
        return 0

    cdef long long nbytes(self) noexcept:
        """Beside the arena."""
        return sizeof(self.shards) + self.held
