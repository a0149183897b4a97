"""The shapes and templates of one store."""

cimport cython
from engine._json cimport Slice
from engine._keys cimport hash_of
from engine._shape cimport Shape, free_shape, shape_bytes
from engine._slab cimport Slab, block_bytes
from engine._template cimport Template, free_template, own_text, plain_template, tokens_of
from libc.stdint cimport uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memset

cdef enum:
    FIRST_BUCKETS = 64  # a power of two
    EMPTY = 0xFF  # each byte of NONE
    NONE = 0xFFFFFFFF  # the end of a chain
    KEY_BITS = 16
    SEEN = 4096  # sections met once that are remembered; a power of two
    LEAST_BYTES = 32 << 20  # that shapes may always take
    BYTES_SHARE = 2  # and this part of what the records take. (What a template with values says stands in no record)


cdef inline uint32_t chain_of(const Template *template) noexcept nogil:
    """Of what it says."""
    cdef uint32_t hash = template.values, value
    cdef Slice text
    for value in range(template.values):
        text = own_text(template, value)
        hash = (hash ^ tokens_of(template)[value] ^ hash_of(text.start, text.size)) * <uint32_t>0x9E3779B1
    return hash ^ hash >> 16


cdef bint says_the_same(const Template *left, const Template *right) noexcept nogil:
    cdef uint32_t value
    cdef Slice text, other
    if left.values != right.values or memcmp(tokens_of(left), tokens_of(right), left.values * sizeof(uint16_t)) != 0:
        return False
    for value in range(left.values):
        text = own_text(left, value)
        other = own_text(right, value)
        if text.size != other.size or memcmp(text.start, other.start, text.size) != 0:
            return False
    return True


@cython.final
@cython.no_gc
cdef class Catalog:
    def __cinit__(self, Slab slab not None):
        self.slab = slab
        self.free_number = NO_TEMPLATE
        self.buckets = <Shape **>calloc(FIRST_BUCKETS, sizeof(Shape *))
        if self.buckets == NULL:
            raise MemoryError
        self.bucket_mask = FIRST_BUCKETS - 1
        self.bytes = FIRST_BUCKETS * sizeof(Shape *)

        self.chains = <uint32_t *>malloc(FIRST_BUCKETS * sizeof(uint32_t))
        if self.chains == NULL:
            raise MemoryError
        memset(self.chains, EMPTY, FIRST_BUCKETS * sizeof(uint32_t))
        self.chain_mask = FIRST_BUCKETS - 1
        self.bytes += FIRST_BUCKETS * sizeof(uint32_t)

    def __dealloc__(self):
        cdef uint32_t i
        cdef Shape *shape
        cdef Shape *after
        for i in range(self.count):
            if not <uintptr_t>self.templates[i] & 1:
                free_template(self.slab, self.templates[i])
        if self.buckets != NULL:
            for i in range(self.bucket_mask + 1):
                shape = self.buckets[i]
                while shape != NULL:
                    after = shape.next
                    free_shape(shape)
                    shape = after
        free(self.templates)
        free(self.buckets)
        free(self.chains)
        free(self.seen)

    cdef Template *known(self, uint32_t number) noexcept:
        """The template of a number that may be out of date: then another one, or NULL."""
        if number >= self.count or <uintptr_t>self.templates[number] & 1:
            return NULL
        return self.templates[number]

    cdef Shape *find(self, uint64_t hash) noexcept:
        cdef Shape *shape = self.buckets[hash & self.bucket_mask]
        while shape != NULL and shape.hash != hash:
            shape = shape.next
        return shape

    cdef bint meet(self, uint64_t hash, uint16_t key) except -1:
        """Whether a section like this was met lately in another object (`key`: some bits of its key's hash). What only
        one object has needs no shape."""
        cdef uint64_t *place
        if self.seen == NULL:
            self.seen = <uint64_t *>calloc(SEEN, sizeof(uint64_t))
            if self.seen == NULL:
                raise MemoryError
            self.bytes += SEEN * sizeof(uint64_t)
        place = &self.seen[(hash >> 32) & (SEEN - 1)]
        if (place[0] ^ hash) >> KEY_BITS == 0:
            return <uint16_t>place[0] != key
        place[0] = hash >> KEY_BITS << KEY_BITS | key
        return False

    cdef bint has_room(self, long long records_bytes) noexcept:
        cdef long long limit = max(<long long>LEAST_BYTES, records_bytes // BYTES_SHARE)
        if self.bytes - self.template_bytes > limit and max(self.shapes - self.swept, self.idle) > self.swept // 8:
            self.sweep()
        return self.bytes - self.template_bytes <= limit and self.has_number()

    cdef bint has_number(self) noexcept:
        return self.free_number != NO_TEMPLATE or self.count < NO_TEMPLATE

    cdef int add_shape(self, Shape *shape) except -1:
        """Takes it over, with its plain template. On MemoryError it is freed."""
        cdef Shape **buckets
        cdef Shape *other
        cdef uint32_t mask, i
        cdef Template *plain
        if self.shapes > self.bucket_mask:
            mask = 2 * self.bucket_mask + 1
            buckets = <Shape **>calloc(<size_t>mask + 1, sizeof(Shape *))
            if buckets == NULL:
                free_shape(shape)
                raise MemoryError
            for i in range(self.bucket_mask + 1):
                while self.buckets[i] != NULL:
                    other = self.buckets[i]
                    self.buckets[i] = other.next
                    other.next = buckets[other.hash & mask]
                    buckets[other.hash & mask] = other
            free(self.buckets)
            self.bytes += (mask - self.bucket_mask) * sizeof(Shape *)
            self.buckets = buckets
            self.bucket_mask = mask
        plain = plain_template(self.slab, shape)
        if plain == NULL:
            free_shape(shape)
            raise MemoryError
        try:
            self.add(plain)
        except MemoryError:
            free_shape(shape)
            raise
        shape.plain = plain.number
        shape.next = self.buckets[shape.hash & self.bucket_mask]
        self.buckets[shape.hash & self.bucket_mask] = shape
        self.shapes += 1
        self.bytes += shape_bytes(shape)
        return 0

    cdef int add(self, Template *template) except -1:
        """Takes it over and numbers it. On MemoryError it is freed."""
        cdef Template **templates
        cdef uint32_t wider
        if self.held > self.chain_mask:
            try:
                self.widen_chains()
            except MemoryError:
                free_template(self.slab, template)
                raise
        if self.free_number == NO_TEMPLATE:
            if self.count == self.capacity:
                wider = min(self.capacity + self.capacity // 2 + FIRST_BUCKETS, <uint32_t>NO_TEMPLATE)
                templates = NULL
                if self.count < wider:
                    templates = <Template **>realloc(self.templates, wider * sizeof(Template *))
                if templates == NULL:
                    free_template(self.slab, template)
                    raise MemoryError
                self.bytes += (wider - self.capacity) * sizeof(Template *)
                self.template_bytes += (wider - self.capacity) * sizeof(Template *)
                self.templates = templates
                self.capacity = wider
            template.number = self.count
            self.count += 1
        else:
            template.number = self.free_number
            self.free_number = <uint32_t>(<uintptr_t>self.templates[template.number] >> 1)
        memset(template.successors, EMPTY, sizeof(template.successors))
        if template.values:
            template.next = self.chains[chain_of(template) & self.chain_mask]
            self.chains[chain_of(template) & self.chain_mask] = template.number
        self.templates[template.number] = template
        template.shape.templates += 1
        if template.lender != NULL:
            template.lender.refs += 1
        self.held += 1
        self.bytes += block_bytes(template.size)
        self.template_bytes += block_bytes(template.size) if template.values else 0
        return 0

    cdef Template *equal(self, const Template *template) noexcept:
        """The template of the same shape that says the same, or NULL."""
        cdef uint32_t number = self.chains[chain_of(template) & self.chain_mask]
        cdef Template *other
        while number != NONE:
            other = self.templates[number]
            if other.shape == template.shape and says_the_same(other, template):
                return other
            number = other.next
        return NULL

    cdef int widen_chains(self) except -1:
        cdef uint32_t mask = 2 * self.chain_mask + 1, number
        cdef uint32_t *chains = <uint32_t *>malloc((<size_t>mask + 1) * sizeof(uint32_t))
        cdef Template *template
        if chains == NULL:
            raise MemoryError
        memset(chains, EMPTY, (<size_t>mask + 1) * sizeof(uint32_t))
        for number in range(self.count):
            template = self.known(number)
            if template != NULL and template.values:
                template.next = chains[chain_of(template) & mask]
                chains[chain_of(template) & mask] = number
        free(self.chains)
        self.bytes += (mask - self.chain_mask) * sizeof(uint32_t)
        self.template_bytes += (mask - self.chain_mask) * sizeof(uint32_t)
        self.chains = chains
        self.chain_mask = mask
        return 0

    cdef int release(self, Template *template) noexcept:
        cdef uint32_t *place
        if template.values:
            place = &self.chains[chain_of(template) & self.chain_mask]
            while place[0] != template.number:
                place = &self.templates[place[0]].next
            place[0] = template.next
        self.templates[template.number] = <Template *>(<uintptr_t>self.free_number << 1 | 1)
        self.free_number = template.number
        template.shape.templates -= 1
        self.held -= 1
        self.bytes -= block_bytes(template.size)
        self.template_bytes -= block_bytes(template.size) if template.values else 0
        if template.lender != NULL:
            self.drop(template.lender)
        free_template(self.slab, template)
        return 0

    cdef int drop(self, Template *template) noexcept:
        """One record or borrower less. The last one takes the template along, unless it is its shape's plain one, which
        stays with the shape until room is needed."""
        template.refs -= 1
        if template.refs:
            return 0
        if template.values:
            self.release(template)
        elif self.idle < NO_TEMPLATE:
            self.idle += 1
        return 0

    cdef int sweep(self) noexcept:
        """Frees the shapes that no record needs."""
        cdef Shape **place
        cdef Shape *shape
        cdef uint32_t i
        for i in range(self.bucket_mask + 1):
            place = &self.buckets[i]
            while place[0] != NULL:
                shape = place[0]
                if shape.templates == 1 and self.templates[shape.plain].refs == 0:
                    place[0] = shape.next
                    self.remove_shape(shape)
                else:
                    place = &shape.next
        self.swept = self.shapes
        self.idle = 0
        return 0

    cdef int remove_shape(self, Shape *shape) noexcept:
        self.release(self.templates[shape.plain])
        self.shapes -= 1
        self.bytes -= shape_bytes(shape)
        free_shape(shape)
        return 0
