"""Objects that fit nothing known: they are scanned and cut into sections, which are looked up by shape; a shape that
comes the second time is kept."""

from engine._catalog cimport NO_TEMPLATE, Catalog
from engine._draft cimport (
    NAME_PATH,
    NAMESPACE_PATH,
    REVISION_PATH,
    Part,
    choose,
    draft,
    know_key,
    let_go,
    pack_part,
    relate,
    take_key,
    take_plain_key,
)
from engine._json cimport Slice
from engine._keys cimport Keys, hash_of
from engine._matching cimport keys_fit, match
from engine._packing cimport AFFIXED, INTEGER
from engine._path cimport Path
from engine._record cimport Record, template_number
from engine._scan cimport NO_FAULT, OBJECT, STRING, Fault, Tape, fault_of, find_path, scan
from engine._shape cimport (
    BY_NAME,
    BY_NAMESPACE,
    BY_REVISION,
    MAX_SECTIONS,
    NOWHERE,
    TEXT_TOKEN,
    UNRESOLVED,
    Place,
    Section,
    Shape,
    add_places,
    add_varying,
    free_shape,
    keyed_hash,
    new_shape,
    pin_path,
    sections_of,
    token_at,
)
from engine._siblings cimport follows, share_values, successor_of
from engine._template cimport Template
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t


cdef int scan_object(Record *hint, Catalog catalog, Keys keys, list paths, long long record_bytes) except -1:
    """Finds the shape of each section, or makes one."""
    cdef Section[MAX_SECTIONS] sections
    cdef uint64_t frame
    cdef uint32_t i
    cdef Py_ssize_t path, token
    cdef Fault fault
    let_go(catalog)
    fault = scan(draft.data, draft.size, &draft.tape)
    if fault != NO_FAULT:
        raise fault_of(fault, &draft.tape, draft.data, draft.size)
    if draft.tape.tokens[0].kind != OBJECT:
        raise ValueError("expected a JSON object at offset 0")
    for path in range(len(paths)):
        pin_path(draft.data, &draft.tape, (<Path>paths[path]).raw_steps)
        token = find_path(&draft.tape, draft.data, (<Path>paths[path]).raw_steps)
        draft.values[path] = span_of(&draft.tape, draft.data, token)
    if not take_plain_key(draft.values):
        take_key(draft.values)
    relate(hint, keys)
    draft.count = sections_of(
        draft.data, draft.size, &draft.tape, len(paths), sections, &frame
    )
    for i in range(draft.count):
        find_template(i, &sections[i], frame, hint, catalog, paths, record_bytes)
    know_key()
    for i in range(draft.count):
        share_values(i, hint, catalog, keys)
        pack_part(i, catalog)
    return 0


cdef Slice span_of(const Tape *tape, const char *data, Py_ssize_t token) noexcept:
    """The raw JSON of a value on the tape, quotes included."""
    cdef Slice span
    span.start = NULL
    span.size = 0
    if token >= 0:
        span.start = data + tape.tokens[token].start
        span.size = tape.tokens[token].end - tape.tokens[token].start
        if tape.tokens[token].kind == STRING:
            span.start -= 1
            span.size += 2
    return span


cdef int find_template(uint32_t number, const Section *section, uint64_t frame, Record *hint, Catalog catalog,
                       list paths, long long record_bytes) except -1:
    cdef Section keyed
    if not has_template(number, section, frame, hint, catalog, paths, record_bytes):
        # What is built alike under other names, as wide maps are, is told apart by its keys.
        keyed = section[0]
        keyed.hash = keyed_hash(draft.data, &draft.tape, section)
        has_template(number, &keyed, frame, hint, catalog, paths, record_bytes)
    return 0


cdef bint has_template(uint32_t number, const Section *section, uint64_t frame, Record *hint, Catalog catalog,
                       list paths, long long record_bytes) except -1:
    """Chooses a template by the section's hash, if there is one or may be one now. False when the hash is another
    section's."""
    cdef Part *part = &draft.parts[number]
    cdef Shape *shape = catalog.find(section.hash)
    cdef Template *origin = NULL
    cdef Template *template
    part.start = draft.data + section.start
    part.end = draft.data + section.end
    if shape == NULL:
        shape = make_shape(number, section, frame, catalog, paths, record_bytes)
        if shape == NULL:
            return True
    if shape.frame != frame or shape.section != number:
        return False
    if hint != NULL and number < hint.sections and template_number(hint, number) != NO_TEMPLATE:
        origin = catalog.get(template_number(hint, number))
    if not draft.same and not draft.sibling:
        origin = NULL
    template = catalog.get(shape.plain)
    if origin != NULL:
        template = successor_of(origin, shape, catalog)
    if match(template, part.start, draft.data + draft.size, &part.walk) != part.end or (
        part.walk.keys and not keys_fit(template, &part.walk)
    ):
        return False  # two structures of one hash, or keys that could be written otherwise
    choose(catalog, number, template)
    if origin != NULL:
        follows(origin, template)
    return True


# --- New shapes -------------------------------------------------------------------------------------------------------


cdef Shape *make_shape(uint32_t number, const Section *section, uint64_t frame, Catalog catalog, list paths,
                       long long record_bytes) except? NULL:
    """A new shape when the section's structure was met before and there is room; else NULL."""
    cdef Shape *shape
    cdef uint16_t key = <uint16_t>hash_of(draft.key, draft.key_size)
    if not catalog.meet(section.hash, key) or not catalog.has_room(record_bytes):
        return NULL
    shape = new_shape(draft.data, &draft.tape, section, number, frame)
    if shape == NULL:
        return NULL
    if not add_places(shape, <uint32_t>len(paths)):
        free_shape(shape)
        raise MemoryError
    find_places(shape, section, paths)
    if number == 0:
        expect_key(shape)
    catalog.add_shape(shape)
    return shape


cdef int find_places(Shape *shape, const Section *section, list paths) noexcept:
    """Where in the text of a new shape, which is this object's, the values of watched paths stand."""
    cdef Py_ssize_t i
    cdef Place place
    cdef Slice span
    cdef uint32_t start
    for i in range(len(paths)):
        span = draft.values[i]
        place.start = place.end = NOWHERE
        if span.start != NULL:
            start = <uint32_t>(span.start - draft.data)
            if section.start <= start and start + span.size <= section.end:
                place.start = <uint16_t>(start - section.start)
                place.end = <uint16_t>(place.start + span.size)
            elif start < section.end and start + span.size > section.start:
                place.start = place.end = UNRESOLVED
        shape.places[i] = place
    return 0


cdef int expect_key(Shape *shape) noexcept:
    """Name, namespace and resourceVersion of an object are in its record's header."""
    expect(shape, NAME_PATH, AFFIXED, BY_NAME)
    expect(shape, NAMESPACE_PATH, AFFIXED, BY_NAMESPACE)
    expect(shape, REVISION_PATH, INTEGER, BY_REVISION)
    return 0


cdef int expect(Shape *shape, uint32_t path, uint8_t kind, uint8_t rule) noexcept:
    cdef uint32_t token
    if shape.places[path].start < UNRESOLVED:
        token = token_at(shape, shape.places[path].start + 1)
        if token < shape.tokens and shape.token[token].role == TEXT_TOKEN and (
            shape.token[token].start == shape.places[path].start + 1
        ):
            add_varying(shape, token, kind, rule)
    return 0
