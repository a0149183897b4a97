"""What the sections of many objects have in common.

An object's bytes are cut into sections behind top-level members that are objects or arrays: metadata, spec, status; and
before the value of metadata.managedFields where that is metadata's last member. So a change of status needs no new
shape of the rest. Sections of one frame (the same top-level members in the same sections) can be put together freely:
their keys cannot meet in one object.
"""

from engine._packing cimport ANY_KIND
from engine._scan cimport ARRAY, KEY, OBJECT, RESPELLED, STRING, Tape, Token
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

cdef extern from "Python.h":
    Py_hash_t _Py_HashBytes(const void *data, Py_ssize_t size) noexcept nogil

cdef enum:
    MANAGED_FIELDS = 13  # length of the name
    METADATA = 8
    NONE = 0xFF  # each byte of a number that is no template's

cdef uint64_t MIX = 0x9E3779B97F4A7C15
cdef uint64_t SECRET = <uint64_t>_Py_HashBytes(b"shapes", len(b"shapes"))  # another in each process


# --- Sections ---------------------------------------------------------------------------------------------------------


cdef inline uint64_t mixed(uint64_t hash, uint64_t word) noexcept nogil:
    hash = (hash ^ word) * MIX
    return hash ^ (hash >> 29)


cdef uint64_t hash_text(uint64_t hash, const char *p, Py_ssize_t size) noexcept nogil:
    cdef uint64_t word
    hash = mixed(hash, size)
    while size >= 8:
        memcpy(&word, p, 8)
        hash = mixed(hash, word)
        p += 8
        size -= 8
    word = 0
    memcpy(&word, p, size)
    return mixed(hash, word)


cdef inline bint is_named(const char *data, const Token *key, const char *name, uint32_t size) noexcept nogil:
    return key.end - key.start == size and memcmp(data + key.start, name, size) == 0


cdef uint32_t managed_fields(const char *data, const Tape *tape, uint32_t metadata) noexcept nogil:
    """The token of the value of metadata's last member if that is managedFields, else 0."""
    cdef uint32_t member = metadata + 1, last = 0
    while member < tape.tokens[metadata].next:
        last = member
        member = tape.tokens[member + 1].next
    if last == 0 or not is_named(data, &tape.tokens[last], b"managedFields", MANAGED_FIELDS):
        return 0
    return last + 1 if tape.tokens[last + 1].kind == ARRAY else 0


cdef void pin_members(const Tape *tape, uint32_t container) noexcept nogil:
    cdef uint32_t member = container + 1
    while member < tape.tokens[container].next and not tape.tokens[member].pinned:
        tape.tokens[member].pinned = True
        member = tape.tokens[member + 1].next


cdef int pin_path(const char *data, const Tape *tape, tuple raw_steps) noexcept:
    """Pins the keys by which a path is found or not: no shape may leave them open."""
    cdef uint32_t at = 0, member, behind
    cdef Py_ssize_t element
    for step in raw_steps:
        behind = tape.tokens[at].next
        member = at + 1
        if type(step) is bytes:
            if tape.tokens[at].kind != OBJECT:
                return 0
            pin_members(tape, at)
            while member < behind and not is_named(data, &tape.tokens[member], <bytes>step, <uint32_t>len(<bytes>step)):
                member = tape.tokens[member + 1].next
            member += 1
        else:
            if tape.tokens[at].kind != ARRAY:
                return 0
            element = min(<object>step, <Py_ssize_t>tape.count)
            while member < behind and element > 0:
                member = tape.tokens[member].next
                element -= 1
        if member >= behind:
            return 0
        at = member
    return 0


cdef uint32_t sections_of(const char *data, Py_ssize_t size, const Tape *tape, uint64_t seed, Section *sections,
                          uint64_t *frame) noexcept nogil:
    """Cuts an object into at most MAX_SECTIONS sections; returns their number. Its keys must be pinned."""
    cdef uint32_t count = 0, member = 1, value, fields, i
    cdef uint32_t[MAX_SECTIONS] ends, lasts
    cdef uint64_t hash = mixed(SECRET, seed)
    while member < tape.tokens[0].next:
        value = member + 1
        hash = hash_text(mixed(hash, count), data + tape.tokens[member].start,
                         tape.tokens[member].end - tape.tokens[member].start)
        if tape.tokens[value].kind == OBJECT or tape.tokens[value].kind == ARRAY:
            if tape.tokens[value].kind == OBJECT and is_named(data, &tape.tokens[member], b"metadata", METADATA):
                fields = managed_fields(data, tape, value)
                if fields and count < MAX_SECTIONS - 1:
                    hash = mixed(hash, MANAGED_FIELDS)
                    ends[count] = tape.tokens[fields].start
                    lasts[count] = fields
                    count += 1
                    ends[count] = tape.tokens[fields].end
                    lasts[count] = tape.tokens[fields].next
                    count += 1
                    member = tape.tokens[value].next
                    continue
            if count < MAX_SECTIONS:
                ends[count] = tape.tokens[value].end
                lasts[count] = tape.tokens[value].next
                count += 1
        member = tape.tokens[value].next
    # What is left belongs to the last section.
    if count == 0:
        count = 1
    ends[count - 1] = <uint32_t>size
    lasts[count - 1] = <uint32_t>tape.count
    frame[0] = mixed(hash, count)
    for i in range(count):
        sections[i].start = ends[i - 1] if i else 0
        sections[i].end = ends[i]
        sections[i].first = lasts[i - 1] if i else 0
        sections[i].last = lasts[i]
        sections[i].hash = structure_hash(data, tape, &sections[i], mixed(frame[0], i))
    return count


cdef inline bint is_blank(const Token *token) noexcept nogil:
    return token.kind != OBJECT and token.kind != ARRAY


cdef uint64_t structure_hash(const char *data, const Tape *tape, const Section *section, uint64_t hash) noexcept nogil:
    """Of how far the tokens stand apart, what they are, and the pinned keys: who finds a shape by it compares the
    rest."""
    cdef uint32_t at = section.start, i
    cdef const Token *token
    for i in range(section.first, section.last):
        token = &tape.tokens[i]
        if is_blank(token):
            hash = mixed(hash, token.start - at | <uint64_t>token.kind << 32 | <uint64_t><uint8_t>data[at] << 40)
            if token.pinned:
                hash = hash_text(hash, data + token.start, token.end - token.start)
            at = token.end
    return mixed(hash, section.end - at)


cdef uint64_t keyed_hash(const char *data, const Tape *tape, const Section *section) noexcept nogil:
    """A section's hash with all its keys in it."""
    cdef uint64_t hash = section.hash
    cdef uint32_t i
    for i in range(section.first, section.last):
        if tape.tokens[i].kind == KEY:
            hash = hash_text(hash, data + tape.tokens[i].start, tape.tokens[i].end - tape.tokens[i].start)
    return hash


# --- Shapes -----------------------------------------------------------------------------------------------------------


cdef Shape *allocate_shape(uint32_t tokens, uint32_t size) noexcept nogil:
    cdef Shape *shape = <Shape *>malloc(sizeof(Shape))
    if shape == NULL:
        return NULL
    memset(shape, 0, sizeof(Shape))
    memset(shape.successors, NONE, sizeof(shape.successors))
    shape.token = <Blank *>malloc(tokens * sizeof(Blank) + 1)
    shape.text = <char *>malloc(size)
    if shape.token == NULL or shape.text == NULL:
        free_shape(shape)
        return NULL
    return shape


cdef void free_shape(Shape *shape) noexcept nogil:
    free(shape.token)
    free(shape.vary)
    free(shape.order)
    free(shape.ordered)
    free(shape.places)
    free(shape.text)
    free(shape)


cdef Py_ssize_t shape_bytes(const Shape *shape) noexcept nogil:
    return (
        sizeof(Shape) + shape.tokens * sizeof(Blank) + shape.varying * (sizeof(Varying) + 1 + sizeof(uint16_t))
        + shape.place_count * sizeof(Place) + shape.size
    )


cdef Shape *new_shape(const char *data, const Tape *tape, const Section *section, uint32_t number,
                      uint64_t frame) noexcept nogil:
    """The shape of one section of an object; NULL when it can have none (too large, odd keys) or memory is out."""
    cdef Shape *shape
    cdef Blank *blank
    cdef const Token *token
    cdef uint32_t i, count = 0
    if section.end - section.start > MAX_TEXT or section.last - section.first > MAX_TOKENS:
        return NULL
    shape = allocate_shape(section.last - section.first, section.end - section.start)
    if shape == NULL:
        return NULL
    for i in range(section.first, section.last):
        token = &tape.tokens[i]
        if not is_blank(token):
            continue
        blank = &shape.token[count]
        blank.role = KEY_TOKEN if token.kind == KEY else TEXT_TOKEN if token.kind == STRING else SCALAR_TOKEN
        if token.kind == KEY:
            if token.escaped == RESPELLED:
                free_shape(shape)
                return NULL
            if token.pinned:
                continue
        blank.start = <uint16_t>(token.start - section.start)
        blank.end = <uint16_t>(token.end - section.start)
        blank.sibling = <uint16_t>count
        blank.misses = 0
        blank.varying = NOT_VARYING
        count += 1
    shape.tokens = count
    shape.size = section.end - section.start
    shape.hash = section.hash
    shape.frame = frame
    shape.section = number
    memcpy(shape.text, data + section.start, shape.size)
    link_keys(shape, tape, section)
    return shape


cdef void link_keys(Shape *shape, const Tape *tape, const Section *section) noexcept nogil:
    """Makes a ring of the keys of each object, since no two of them may become the same."""
    cdef uint32_t i, member, first, last, at
    for i in range(section.first, section.last):
        if tape.tokens[i].kind != OBJECT or tape.tokens[i].end > section.end:
            continue
        first = last = MAX_TOKENS
        member = i + 1
        while member < tape.tokens[i].next:
            at = token_at(shape, tape.tokens[member].start - section.start)
            if at < shape.tokens and shape.token[at].role == KEY_TOKEN:
                if first == MAX_TOKENS:
                    first = at
                else:
                    shape.token[last].sibling = <uint16_t>at
                last = at
            member = tape.tokens[member + 1].next
        if first != MAX_TOKENS:
            shape.token[last].sibling = <uint16_t>first


cdef uint32_t token_at(const Shape *shape, uint32_t offset) noexcept nogil:
    """The number of the token that begins at or covers an offset of the text, its end included; `tokens` for none."""
    cdef uint32_t low = 0, high = shape.tokens, middle
    while low < high:
        middle = (low + high) >> 1
        if shape.token[middle].end < offset:
            low = middle + 1
        else:
            high = middle
    if low < shape.tokens and shape.token[low].start <= offset:
        return low
    return shape.tokens


cdef bint add_varying(Shape *shape, uint32_t token, uint8_t kind, uint8_t rule) noexcept nogil:
    """From now on records say what stands at the token; False when there are too many or memory is out."""
    cdef uint32_t count = shape.varying, at
    cdef Varying *vary
    cdef uint8_t *order
    cdef uint16_t *ordered
    if count >= MAX_VARYING or shape.token[token].varying != NOT_VARYING:
        return False
    vary = <Varying *>realloc(shape.vary, (count + 1) * sizeof(Varying))
    if vary == NULL:
        return False
    shape.vary = vary
    order = <uint8_t *>realloc(shape.order, count + 1)
    if order == NULL:
        return False
    shape.order = order
    ordered = <uint16_t *>realloc(shape.ordered, (count + 1) * sizeof(uint16_t))
    if ordered == NULL:
        return False
    shape.ordered = ordered
    vary[count].token = <uint16_t>token
    vary[count].kind = kind
    vary[count].rule = rule
    vary[count].usual = ANY_KIND
    at = count
    while at > 0 and vary[order[at - 1]].token > token:
        order[at] = order[at - 1]
        ordered[at] = ordered[at - 1]
        at -= 1
    order[at] = <uint8_t>count
    ordered[at] = <uint16_t>token
    shape.token[token].varying = <uint8_t>count
    shape.varying = count + 1
    return True


cdef bint add_places(Shape *shape, uint32_t count) noexcept nogil:
    """Room for the places of as many watched paths; what is new is UNRESOLVED."""
    cdef Place *places
    cdef uint32_t i
    if count <= shape.place_count:
        return True
    places = <Place *>realloc(shape.places, count * sizeof(Place))
    if places == NULL:
        return False
    for i in range(shape.place_count, count):
        places[i].start = places[i].end = UNRESOLVED
    shape.places = places
    shape.place_count = count
    return True
