"""What values are found by: labels, elements of arrays, and scalars that are no plain strings."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from engine._json cimport Slice, skip_space, skip_value, value_at
from engine._numberset cimport set_add, set_clear, set_discard, set_has, set_nbytes, set_write
from engine._selectors cimport BETWEEN, BLANK, ELEMENT, FIELD, HAS_LABEL, LABEL, TermKind, text_of_field
from engine._table cimport (
    NO_PLACE,
    flag_of,
    following,
    give_back,
    home_of,
    is_empty,
    is_free,
    is_tagged,
    place,
    places_free,
    places_reserve,
    slot_of,
    table_erase,
    table_find,
    table_free,
    table_insert,
    table_reserve,
)
from libc.stdint cimport uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport qsort
from libc.string cimport memchr, memcmp, memcpy, memset

cdef enum:
    NO_NUMBER = 0xFFFFFFFF  # of no value
    MAX_IDLE = 65536  # bytes of Parts that are kept between writes

cdef extern from *:
    """
    #if PY_VERSION_HEX >= 0x030E0000
    #define engine_hash_bytes(text, size) Py_HashBuffer(text, size)
    #else
    #define engine_hash_bytes(text, size) _Py_HashBytes(text, size)
    #endif
    """
    Py_ssize_t engine_hash_bytes(const void *text, Py_ssize_t size) noexcept nogil


cdef uint64_t hash_of(const char *text, Py_ssize_t size) noexcept nogil:
    """CPython's seeded hash: who chooses the texts cannot choose collisions."""
    return <uint64_t>engine_hash_bytes(text, size)


# --- The terms of one value -------------------------------------------------------------------------------------------


cdef char *room_in(Parts *parts, Py_ssize_t size) except NULL:
    """Where the text of one more term goes, `size` bytes at most."""
    cdef uint64_t capacity = parts.capacity + parts.capacity // 2 + 16
    cdef uint64_t needed = <uint64_t>parts.text_size + size
    cdef void *wider
    if needed + needed // 2 >> 32:
        raise ValueError("a value's terms take more than 4 GB")
    if parts.count == parts.capacity:
        wider = PyMem_Realloc(parts.at, capacity * sizeof(Part))
        if wider == NULL:
            raise MemoryError
        parts.at = <Part *>wider
        parts.capacity = <uint32_t>capacity
    if needed > parts.text_capacity:
        wider = PyMem_Realloc(parts.text, needed + needed // 2)
        if wider == NULL:
            raise MemoryError
        parts.text = <char *>wider
        parts.text_capacity = <uint32_t>(needed + needed // 2)
    return parts.text + parts.text_size


cdef int close_part(Parts *parts, Py_ssize_t size) noexcept:
    """The text that was written to `room_in` is a term."""
    cdef Part *part = &parts.at[parts.count]
    part.offset = parts.text_size
    part.size = <uint32_t>size
    part.hash = hash_of(parts.text + parts.text_size, size)
    part.common = False
    parts.text_size += <uint32_t>size
    parts.count += 1
    return 0


cdef int append(Parts *parts, TermKind kind, Slice text) except -1:
    cdef char *out = room_in(parts, text.size + 1)
    out[0] = <char>kind
    memcpy(out + 1, text.start, text.size)
    return close_part(parts, text.size + 1)


cdef int append_label(Parts *parts, Slice key, Slice value) except -1:
    cdef char *out = room_in(parts, key.size + value.size + 2)
    out[0] = <char>LABEL
    memcpy(out + 1, key.start, key.size)
    out[key.size + 1] = <char>BETWEEN
    memcpy(out + key.size + 2, value.start, value.size)
    return close_part(parts, key.size + value.size + 2)


cdef inline bint is_plain_string(Slice raw) noexcept nogil:
    return raw.start[0] == c'"' and memchr(raw.start, c"\\", raw.size) == NULL


cdef inline Slice inside(Slice text) noexcept nogil:
    """Without the quotes."""
    text.start += 1
    text.size -= 2
    return text


cdef inline Slice slice_of(bytes text):
    cdef Slice found
    found.start = PyBytes_AS_STRING(text)
    found.size = PyBytes_GET_SIZE(text)
    return found


cdef inline bint is_blank(Slice raw) noexcept nogil:
    """Null, an object or an array."""
    return raw.start[0] == c"n" or raw.start[0] == c"{" or raw.start[0] == c"["


cdef bytes field_bytes(Slice raw):
    """Of a string or a number: nothing is made that the garbage collector would run for, and others' code with it."""
    try:
        return text_of_field(value_at(raw)).encode("utf-8", "surrogatepass")
    except ValueError:  # it is valid JSON: so the parser says that it has no memory
        raise MemoryError from None


cdef int scan_labels(Parts *parts, Slice raw) except -1:
    cdef const char *end = raw.start + raw.size
    cdef const char *p = skip_space(raw.start + 1, end)
    cdef Slice key, value
    cdef bytes decoded_key, decoded_value
    while p < end and p[0] == c'"':
        key.start = p
        p = skip_value(p, end)
        key.size = p - key.start
        p = skip_space(skip_space(p, end) + 1, end)  # over the colon
        value.start = p
        p = skip_value(p, end)
        value.size = p - value.start
        if is_plain_string(key):
            key = inside(key)
        else:
            decoded_key = field_bytes(key)
            key = slice_of(decoded_key)
        append(parts, HAS_LABEL, key)
        if is_plain_string(value):
            append_label(parts, key, inside(value))
        elif value.start[0] == c'"':
            decoded_value = field_bytes(value)
            append_label(parts, key, slice_of(decoded_value))
        p = skip_space(p, end)
        if p < end and p[0] == c",":
            p = skip_space(p + 1, end)
    return 0


cdef int scan_elements(Parts *parts, Slice raw) except -1:
    cdef const char *end = raw.start + raw.size
    cdef const char *p = skip_space(raw.start + 1, end)
    cdef Slice element
    cdef bytes decoded
    while p < end and p[0] != c"]":
        element.start = p
        p = skip_value(p, end)
        element.size = p - element.start
        if is_plain_string(element):
            append(parts, ELEMENT, inside(element))
        elif is_blank(element):
            element.size = 0
            append(parts, ELEMENT, element)
        else:
            decoded = field_bytes(element)
            append(parts, ELEMENT, slice_of(decoded))
        p = skip_space(p, end)
        if p < end and p[0] == c",":
            p = skip_space(p + 1, end)
    if parts.count > 1:
        leave_repeated(parts)
    return 0


cdef int by_hash(const void *left, const void *right) noexcept nogil:
    cdef uint64_t a = (<const Part *>left).hash, b = (<const Part *>right).hash
    return (a > b) - (a < b)


cdef inline bint same_text(const Parts *left, const Part *a, const Parts *right, const Part *b) noexcept nogil:
    return a.size == b.size and memcmp(left.text + a.offset, right.text + b.offset, a.size) == 0


cdef int leave_repeated(Parts *parts) noexcept:
    """Terms of one hash stand together then; one of each text stays."""
    cdef uint32_t i, kept = 0, j
    qsort(parts.at, parts.count, sizeof(Part), by_hash)
    for i in range(parts.count):
        j = kept
        while j > 0 and parts.at[j - 1].hash == parts.at[i].hash:
            if same_text(parts, &parts.at[j - 1], parts, &parts.at[i]):
                break
            j -= 1
        if j == 0 or parts.at[j - 1].hash != parts.at[i].hash:
            parts.at[kept] = parts.at[i]
            kept += 1
    parts.count = kept
    return 0


cdef int leave_common(Parts *left, Parts *right) noexcept:
    """Marks what both have."""
    cdef uint32_t i = 0, j, start = 0
    if left.count == 0 or right.count == 0:
        return 0  # qsort takes no NULL, however little there is to sort
    qsort(left.at, left.count, sizeof(Part), by_hash)
    qsort(right.at, right.count, sizeof(Part), by_hash)
    for i in range(left.count):
        while start < right.count and right.at[start].hash < left.at[i].hash:
            start += 1
        j = start
        while j < right.count and right.at[j].hash == left.at[i].hash:
            if same_text(left, &left.at[i], right, &right.at[j]):
                left.at[i].common = right.at[j].common = True
                break
            j += 1
    return 0


cdef int forget_parts(Parts *parts) noexcept:
    PyMem_Free(parts.at)
    PyMem_Free(parts.text)
    memset(parts, 0, sizeof(Parts))
    return 0


cdef inline long long parts_nbytes(const Parts *parts) noexcept nogil:
    return <long long>parts.capacity * sizeof(Part) + parts.text_capacity


# --- Values by term ---------------------------------------------------------------------------------------------------


cdef class ValueTexts:
    cdef Slice text_at(self, uint32_t number) except *:
        raise NotImplementedError


@cython.final
cdef class Terms:
    def __cinit__(self):
        self.postings.first_free = NO_PLACE

    def __dealloc__(self):
        cdef uint32_t number
        for number in range(self.postings.end):
            if not is_free(&self.postings, number):
                set_clear(&(<Posting *>self.postings.at[number]).numbers)
                PyMem_Free(<Posting *>self.postings.at[number])
        places_free(&self.postings)
        table_free(&self.table)
        forget_parts(&self.arriving)
        forget_parts(&self.leaving)
        forget_parts(&self.other)

    cdef int scan(self, Parts *parts, Slice raw) except -1:
        """The terms of a value; none of a plain string, which is found by its text."""
        cdef bytes decoded
        parts.count = 0
        parts.text_size = 0
        if raw.start == NULL:
            return 0
        if self.labels:
            return scan_labels(parts, raw) if raw.start[0] == c"{" else 0
        if is_plain_string(raw):
            return 0
        if raw.start[0] == c"[":
            scan_elements(parts, raw)
        if is_blank(raw):
            raw.size = 0
            return append(parts, BLANK, raw)
        decoded = field_bytes(raw)
        return append(parts, FIELD, slice_of(decoded))

    # --- Writing ---

    cdef int add(self, const Parts *parts, uint32_t number, ValueTexts values) except -1:
        """All of them, or none and MemoryError."""
        cdef uint32_t i
        cdef Parts added = parts[0]
        table_reserve(&self.table, parts.count)
        try:
            for i in range(parts.count):
                added.count = i
                if not parts.at[i].common:
                    self.add_one(&parts.at[i], parts.text + parts.at[i].offset, number, values)
        except BaseException:
            self.remove(&added, number)
            raise
        return 0

    cdef int add_one(self, const Part *part, const char *text, uint32_t number, ValueTexts values) except -1:
        cdef uint32_t found = self.posting_at(part.hash, text, part.size), at
        cdef Posting *posting
        if found != NO_PLACE:
            if set_add(&(<Posting *>self.postings.at[found]).numbers, number) < 0:
                raise MemoryError
            return 0
        # The value itself, whose text may not stand yet, has each term once: one of the same tag is another.
        if not self.lone_at(part.hash, text, part.size, values, number, &at):
            return table_insert(&self.table, slot_of(part.hash, True, number))
        places_reserve(&self.postings)
        posting = <Posting *>PyMem_Malloc(sizeof(Posting) + part.size)
        if posting == NULL:
            raise MemoryError
        memset(posting, 0, sizeof(Posting))
        if set_add(&posting.numbers, <uint32_t>self.table.slots[at]) < 0 or set_add(&posting.numbers, number) < 0:
            set_clear(&posting.numbers)
            PyMem_Free(posting)
            raise MemoryError
        posting.hash = part.hash
        posting.size = part.size
        memcpy(posting.text, text, part.size)
        self.posting_bytes += sizeof(Posting) + part.size
        self.table.slots[at] = slot_of(part.hash, False, place(&self.postings, posting))
        return 0

    cdef int remove(self, const Parts *parts, uint32_t number) noexcept:
        cdef uint32_t i, at, found, left
        cdef uint64_t hash
        cdef Posting *posting
        for i in range(parts.count):
            if parts.at[i].common:
                continue
            hash = parts.at[i].hash
            found = self.posting_with(hash, number, &at)
            if found == NO_PLACE:
                if table_find(&self.table, slot_of(hash, True, number), &at):
                    table_erase(&self.table, at)
                continue
            posting = <Posting *>self.postings.at[found]
            set_discard(&posting.numbers, number)
            if posting.numbers.count == 1:
                set_write(&posting.numbers, &left)
                self.table.slots[at] = slot_of(hash, True, left)
                self.forget(found)
        return 0

    cdef int double(self, const Parts *parts, uint32_t number) noexcept:
        """Posts a value under a second number, where there are postings; `renumber` takes the first one out then.
        -1: no memory, nothing is changed."""
        cdef uint32_t i, found
        cdef Parts doubled = parts[0]
        for i in range(parts.count):
            found = self.posting_at(parts.at[i].hash, parts.text + parts.at[i].offset, parts.at[i].size)
            if found != NO_PLACE and set_add(&(<Posting *>self.postings.at[found]).numbers, number) < 0:
                doubled.count = i
                self.undouble(&doubled, number)
                return -1
        return 0

    cdef int undouble(self, const Parts *parts, uint32_t number) noexcept:
        cdef uint32_t i, at, found
        for i in range(parts.count):
            found = self.posting_with(parts.at[i].hash, number, &at)
            if found != NO_PLACE:
                set_discard(&(<Posting *>self.postings.at[found]).numbers, number)
        return 0

    cdef int renumber(self, const Parts *parts, uint32_t old, uint32_t new) noexcept:
        """After `double(parts, new)`."""
        cdef uint32_t i, at, found
        for i in range(parts.count):
            found = self.posting_with(parts.at[i].hash, old, &at)
            if found != NO_PLACE:
                set_discard(&(<Posting *>self.postings.at[found]).numbers, old)
            elif table_find(&self.table, slot_of(parts.at[i].hash, True, old), &at):
                self.table.slots[at] = slot_of(parts.at[i].hash, True, new)
        return 0

    cdef int forget(self, uint32_t number) noexcept:
        cdef Posting *posting = <Posting *>self.postings.at[number]
        self.posting_bytes -= sizeof(Posting) + posting.size
        give_back(&self.postings, number)
        set_clear(&posting.numbers)
        PyMem_Free(posting)
        return 0

    cdef int rest(self) noexcept:
        """After a write: what a huge value needed goes."""
        if parts_nbytes(&self.arriving) + parts_nbytes(&self.leaving) + parts_nbytes(&self.other) > MAX_IDLE:
            forget_parts(&self.arriving)
            forget_parts(&self.leaving)
            forget_parts(&self.other)
        return 0

    # --- Finding ---

    cdef uint32_t posting_at(self, uint64_t hash, const char *text, uint32_t size) noexcept:
        """The number of the posting of this term; NO_PLACE: it has none."""
        cdef uint32_t at
        cdef Posting *posting
        if self.table.used == 0:
            return NO_PLACE
        at = home_of(&self.table, hash)
        while not is_empty(self.table.slots[at]):
            if is_tagged(self.table.slots[at], hash) and not flag_of(self.table.slots[at]):
                posting = <Posting *>self.postings.at[<uint32_t>self.table.slots[at]]
                if posting.hash == hash and posting.size == size and memcmp(posting.text, text, size) == 0:
                    return <uint32_t>self.table.slots[at]
            at = following(&self.table, at)
        return NO_PLACE

    cdef uint32_t posting_with(self, uint64_t hash, uint32_t number, uint32_t *at) noexcept:
        """The number of a posting with this hash that has the value, its slot to `at`. Two terms of a value may share
        a hash: each is met as often as it is asked for."""
        cdef Posting *posting
        if self.table.used == 0:
            return NO_PLACE
        at[0] = home_of(&self.table, hash)
        while not is_empty(self.table.slots[at[0]]):
            if is_tagged(self.table.slots[at[0]], hash) and not flag_of(self.table.slots[at[0]]):
                posting = <Posting *>self.postings.at[<uint32_t>self.table.slots[at[0]]]
                if posting.hash == hash and set_has(&posting.numbers, number):
                    return <uint32_t>self.table.slots[at[0]]
            at[0] = following(&self.table, at[0])
        return NO_PLACE

    cdef int lone_at(
        self, uint64_t hash, const char *text, uint32_t size, ValueTexts values, uint32_t unread, uint32_t *at
    ) except -1:
        """Whether exactly one value has this term, which has no posting; its slot to `at`. The value `unread` is not
        asked for its text."""
        cdef uint32_t i
        if self.table.used == 0:
            return False
        at[0] = home_of(&self.table, hash)
        while not is_empty(self.table.slots[at[0]]):
            if (
                is_tagged(self.table.slots[at[0]], hash)
                and flag_of(self.table.slots[at[0]])
                and <uint32_t>self.table.slots[at[0]] != unread
            ):
                self.scan(&self.other, values.text_at(<uint32_t>self.table.slots[at[0]]))
                for i in range(self.other.count):
                    if (
                        self.other.at[i].hash == hash
                        and self.other.at[i].size == size
                        and memcmp(self.other.text + self.other.at[i].offset, text, size) == 0
                    ):
                        return True
            at[0] = following(&self.table, at[0])
        return False

    cdef Members find(self, bytes term, ValueTexts values) except *:
        cdef Members members
        cdef const char *text = PyBytes_AS_STRING(term)
        cdef uint32_t size = <uint32_t>PyBytes_GET_SIZE(term), found, at
        cdef uint64_t hash = hash_of(text, size)
        members.numbers = NULL
        members.only = members.count = 0
        found = self.posting_at(hash, text, size)
        if found != NO_PLACE:
            members.numbers = &(<Posting *>self.postings.at[found]).numbers
            members.count = members.numbers.count
        elif self.lone_at(hash, text, size, values, NO_NUMBER, &at):
            members.only = <uint32_t>self.table.slots[at]
            members.count = 1
        return members

    cdef long long nbytes(self):
        """O(postings)."""
        cdef long long held = (
            <long long>self.table.capacity * sizeof(uint64_t)
            + <long long>self.postings.capacity * sizeof(uintptr_t)
            + self.posting_bytes
            + parts_nbytes(&self.arriving)
            + parts_nbytes(&self.leaving)
            + parts_nbytes(&self.other)
        )
        cdef uint32_t number
        for number in range(self.postings.end):
            if not is_free(&self.postings, number):
                held += set_nbytes(&(<Posting *>self.postings.at[number]).numbers)
        return held
