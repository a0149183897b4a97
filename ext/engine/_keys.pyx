"""Keys of objects, which share their beginnings."""

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from engine._ahead cimport prefetch_two
from engine._json cimport Slice, find_member, find_two, skip_space
from engine._slab cimport Slab, block_bytes
from libc.stdint cimport int64_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memrchr

import sys

cdef extern from "Python.h":
    Py_hash_t _Py_HashBytes(const void *data, Py_ssize_t size) noexcept nogil

cdef enum:
    NO_NUMBER = 0xFFFFFFFF
    FIRST_BUCKETS = 16  # a power of two
    ENDING = 16  # bytes of a prefix's end that tell it from others
    LONGEST_REST = 16  # of keys whose prefix is guessed


# --- Keys in JSON -----------------------------------------------------------------------------------------------------


cdef Slice text_of(Slice value) noexcept nogil:
    """What stands between the quotes of a JSON string; a size of -1 for any other value."""
    if value.start == NULL or value.size < 2 or value.start[0] != c'"':
        value.size = -1
        return value
    value.start += 1
    value.size -= 2
    return value


cdef int64_t revision_of(Slice value) noexcept nogil:
    """The number that a resourceVersion is, 0 when it is none or written otherwise than a number is."""
    cdef Slice text = text_of(value)
    cdef Py_ssize_t i
    if text.size < 1 or text.size > MAX_REVISION_DIGITS or text.start[0] == c"0":
        return 0
    for i in range(text.size):
        if not c"0" <= text.start[i] <= c"9":
            return 0
    return number_of(text)


cdef int64_t number_of(Slice digits) noexcept nogil:
    cdef int64_t number = 0
    cdef Py_ssize_t i
    for i in range(digits.size):
        number = number * 10 + (digits.start[i] - c"0")
    return number


cdef Py_ssize_t peek_key(const char *data, Py_ssize_t size, char *out, Py_ssize_t room) noexcept nogil:
    """Writes what seems to be the key of the object in `data` to `out` and returns its size, -1 when there is none or
    no room. A hint: nothing but bounds is checked."""
    cdef const char *end = data + size
    cdef const char *p = skip_space(data, end)
    cdef Slice name, namespace
    cdef Py_ssize_t at = 0
    if p >= end or p[0] != c"{":
        return -1
    p = find_member(p, end, b"metadata", 8)
    if p == NULL or p[0] != c"{":
        return -1
    find_two(p, end, b"name", &name, b"namespace", &namespace)
    name = text_of(name)
    namespace = text_of(namespace)
    if name.size < 1 or name.size + max(namespace.size, <Py_ssize_t>0) >= room:
        return -1
    if namespace.size > 0:
        memcpy(out, namespace.start, namespace.size)
        out[namespace.size] = c"/"
        at = namespace.size + 1
    memcpy(out + at, name.start, name.size)
    return at + name.size


cdef Py_ssize_t stem_of(const char *key, Py_ssize_t size, Py_ssize_t namespace_size) noexcept nogil:
    """How much of a key its siblings share: up to the last dash of the name; 0 when it has none."""
    cdef Py_ssize_t before = namespace_size + 1 if namespace_size else 0
    cdef const char *dash = <const char *>memrchr(key + before, c"-", size - before)
    return dash + 1 - key if dash != NULL else 0


# --- Prefixes ---------------------------------------------------------------------------------------------------------


cdef inline uint32_t ending_of(const char *end) noexcept nogil:
    """What the ENDING bytes before `end` are, mixed. Whoever makes two equal gets a slower lookup, no wrong one."""
    cdef uint64_t last, before
    memcpy(&last, end - 8, 8)
    memcpy(&before, end - 16, 8)
    return <uint32_t>(((last ^ before * <uint64_t>0x9E3779B97F4A7C15) * <uint64_t>0xD6E8FEB86659FD93) >> 32)


cdef uint32_t hash_of(const char *text, Py_ssize_t size) noexcept nogil:
    return <uint32_t>_Py_HashBytes(text, size)


@cython.final
@cython.no_gc
cdef class Keys:
    def __cinit__(self, Slab slab not None):
        self.slab = slab
        self.free_number = NO_NUMBER
        self.buckets = <Prefix **>calloc(FIRST_BUCKETS, sizeof(Prefix *))
        if self.buckets == NULL:
            raise MemoryError
        self.guesses = <Prefix **>calloc(FIRST_BUCKETS, sizeof(Prefix *))
        if self.guesses == NULL:
            raise MemoryError
        self.bucket_mask = FIRST_BUCKETS - 1
        self.bytes = 2 * FIRST_BUCKETS * sizeof(Prefix *)

    def __dealloc__(self):
        cdef uint32_t number
        for number in range(self.count):
            if not <uintptr_t>self.prefixes[number] & 1:
                Py_XDECREF(self.prefixes[number].namespace)
                self.slab.release(self.prefixes[number], sizeof(Prefix) + self.prefixes[number].size)
        free(self.prefixes)
        free(self.buckets)
        free(self.guesses)

    cdef Prefix *take(self, const char *key, Py_ssize_t size, Py_ssize_t namespace_size, Py_ssize_t length,
                      bint is_shared) except NULL:
        """A prefix of `key`, counted once more: its first `length` bytes if siblings share them or did before, else the
        namespace."""
        cdef Prefix *prefix = NULL
        cdef Py_ssize_t least = namespace_size + 1 if namespace_size else 0
        if size - least > MAX_REST:
            least = size - MAX_REST
        if length > least:
            prefix = self.find(key, length)
            if prefix == NULL and is_shared:
                prefix = self.add(key, length, namespace_size)
        if prefix == NULL:
            prefix = self.find(key, least)
        if prefix == NULL:
            prefix = self.add(key, least, namespace_size)
        prefix.refs += 1
        return prefix

    cdef int expect(self, const char *key, Py_ssize_t size) noexcept nogil:
        """A key will be compared: has its prefix read, which its record would tell only later."""
        cdef const char *end = key + size - 1
        cdef const char *least = key + ENDING - 1
        if size > LONGEST_REST + ENDING:
            least = end - LONGEST_REST
        while end >= least:
            if end[0] == c"-":
                prefetch_two(self.guesses[ending_of(end + 1) & self.bucket_mask])
                return 0
            end -= 1
        return 0

    cdef Prefix **guess_of(self, const Prefix *prefix) noexcept nogil:
        """NULL: none of it."""
        if prefix.size < ENDING:
            return NULL
        return &self.guesses[ending_of(prefix.text + prefix.size) & self.bucket_mask]

    cdef Prefix *find(self, const char *text, Py_ssize_t size) noexcept:
        cdef Prefix *prefix = self.buckets[hash_of(text, size) & self.bucket_mask]
        while prefix != NULL and (prefix.size != size or memcmp(prefix.text, text, size) != 0):
            prefix = prefix.next
        return prefix

    cdef Prefix *add(self, const char *text, Py_ssize_t size, Py_ssize_t namespace_size) except NULL:
        global PREFIXES
        cdef Prefix *prefix
        cdef uint32_t bucket
        cdef str namespace = sys.intern(text[:namespace_size].decode())
        if self.free_number == NO_NUMBER and self.count == self.capacity:
            self.widen()
        if self.held > self.bucket_mask:
            self.rebucket()
        prefix = <Prefix *>self.slab.allocate(sizeof(Prefix) + size)
        if prefix == NULL:
            raise MemoryError
        if self.free_number != NO_NUMBER:
            prefix.number = self.free_number
            self.free_number = <uint32_t>(<uintptr_t>self.prefixes[prefix.number] >> 1)
        else:
            prefix.number = self.count
            self.count += 1
        prefix.refs = 0
        prefix.size = <uint32_t>size
        prefix.namespace_size = <uint32_t>namespace_size
        memcpy(prefix.text, text, size)
        Py_INCREF(namespace)
        prefix.namespace = <PyObject *>namespace
        bucket = hash_of(text, size) & self.bucket_mask
        prefix.next = self.buckets[bucket]
        self.buckets[bucket] = prefix
        if self.guess_of(prefix) != NULL:
            self.guess_of(prefix)[0] = prefix
        PREFIXES += 1
        self.prefixes[prefix.number] = prefix
        self.held += 1
        self.bytes += block_bytes(sizeof(Prefix) + size)
        return prefix

    cdef int widen(self) except -1:
        cdef uint32_t wider = self.capacity + self.capacity // 2 + FIRST_BUCKETS
        cdef Prefix **prefixes = <Prefix **>realloc(self.prefixes, wider * sizeof(Prefix *))
        if prefixes == NULL:
            raise MemoryError
        self.bytes += (wider - self.capacity) * sizeof(Prefix *)
        self.prefixes = prefixes
        self.capacity = wider
        return 0

    cdef int rebucket(self) except -1:
        cdef uint32_t mask = 2 * self.bucket_mask + 1, number, bucket
        cdef Prefix **buckets = <Prefix **>calloc(<size_t>mask + 1, sizeof(Prefix *))
        cdef Prefix **guesses = <Prefix **>calloc(<size_t>mask + 1, sizeof(Prefix *))
        cdef Prefix *prefix
        if buckets == NULL or guesses == NULL:
            free(buckets)
            free(guesses)
            raise MemoryError
        free(self.guesses)
        self.guesses = guesses
        self.bytes += 2 * <long long>(mask - self.bucket_mask) * sizeof(Prefix *)
        self.bucket_mask = mask
        for number in range(self.count):
            prefix = self.prefixes[number]
            if not <uintptr_t>prefix & 1:
                bucket = hash_of(prefix.text, prefix.size) & mask
                prefix.next = buckets[bucket]
                buckets[bucket] = prefix
                if self.guess_of(prefix) != NULL:
                    self.guess_of(prefix)[0] = prefix
        free(self.buckets)
        self.buckets = buckets
        return 0

    cdef int drop(self, Prefix *prefix) noexcept:
        """One record less; the last one takes the prefix along."""
        global PREFIXES
        cdef Prefix **place
        cdef PyObject *namespace = prefix.namespace
        prefix.refs -= 1
        if prefix.refs:
            return 0
        place = &self.buckets[hash_of(prefix.text, prefix.size) & self.bucket_mask]
        while place[0] != prefix:
            place = &place[0].next
        place[0] = prefix.next
        if self.guess_of(prefix) != NULL and self.guess_of(prefix)[0] == prefix:
            self.guess_of(prefix)[0] = NULL
        self.prefixes[prefix.number] = <Prefix *>(<uintptr_t>self.free_number << 1 | 1)
        self.free_number = prefix.number
        self.held -= 1
        PREFIXES -= 1
        self.bytes -= block_bytes(sizeof(Prefix) + prefix.size)
        self.slab.release(prefix, sizeof(Prefix) + prefix.size)
        Py_XDECREF(namespace)
        return 0
