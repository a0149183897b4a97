"""From JSON bytes to packed sections.

An object is first walked along the templates of a hint, its older version or a sibling: if all of it fits, it is valid,
and what is to be known of it is known, without a scan. What fits nothing known is scanned, cut into sections and looked
up by shape; a shape that comes the second time is kept.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from engine._catalog cimport NO_TEMPLATE, Catalog
from engine._decoding cimport DIGITS, section_text, set_key, text_room
from engine._json cimport Slice, loads_exact
from engine._keys cimport MAX_KEY, Keys, Prefix, hash_of, number_of, revision_of, stem_of, text_of
from engine._learning cimport learn, template_of
from engine._matching cimport Stop, keys_fit, located, match
from engine._packing cimport AFFIXED, INTEGER, Memory, begin, recall, remember, write_varint
from engine._path cimport Path
from engine._record cimport Record, payload_of, rest_of, template_number
from engine._scan cimport NO_FAULT, OBJECT, STRING, Fault, Tape, Token, clear_tape, fault_of, find_path, scan
from engine._sections cimport pack_section, same_section, skip_section
from engine._shape cimport (
    BY_NAME,
    BY_NAMESPACE,
    BY_REVISION,
    MAX_SECTIONS,
    MAX_TOKENS,
    NOWHERE,
    SUCCESSORS,
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
    shape_bytes,
    token_at,
)
from engine._template cimport Template, ends_of, free_template
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy

cdef enum:
    COMMON_BYTES = 40  # that siblings must share beyond their template before they get one of their own
    PATIENCE = 32  # siblings without enough in common, before only
    PAUSE = 16  # every so many are looked at
    PACKED_OVERHEAD = 24  # bytes that a packed value takes at most beyond its own
    SECTION_OVERHEAD = 128  # and a section beyond its values
    FIRST_ROOM = 1 << 16
    MAX_AFFIXES = 1024  # bytes that a packed value can share at its ends
    STEADY = 4  # times in a row that a section was kept, from which on it is looked for
    MAX_IDLE = 4 << 20  # bytes of scratch that are kept from one object to the next

cdef Encoding *encoding = <Encoding *>calloc(1, sizeof(Encoding))


cdef int open_encoding() except -1:
    cdef uint32_t i
    if encoding == NULL:
        raise MemoryError
    for i in range(MAX_SECTIONS):
        encoding.parts[i].walk.stops = <Stop *>malloc(MAX_TOKENS * sizeof(Stop))
        if encoding.parts[i].walk.stops == NULL:
            raise MemoryError
    encoding.other.stops = <Stop *>malloc(MAX_TOKENS * sizeof(Stop))
    if encoding.other.stops == NULL:
        raise MemoryError
    return 0


open_encoding()


# --- What is known of the object --------------------------------------------------------------------------------------


cdef int take_key(Slice *values) except -1:
    """Reads key and revision from the values of the store's own paths."""
    cdef Slice name = text_of(values[NAME_PATH])
    cdef Slice namespace = text_of(values[NAMESPACE_PATH])
    cdef bytes plain_name, plain_namespace
    cdef Py_ssize_t at = 0
    if name.size < 1:
        raise ValueError("object has no metadata.name")
    plain_name = plain_text(values[NAME_PATH])
    plain_namespace = plain_text(values[NAMESPACE_PATH]) if namespace.size > 0 else b""
    refuse_slash("name", plain_name)
    refuse_slash("namespace", plain_namespace)
    if len(plain_name) + len(plain_namespace) >= MAX_KEY:
        raise ValueError(f"metadata.name and metadata.namespace take more than {MAX_KEY} bytes")
    if len(plain_namespace):
        memcpy(encoding.key, PyBytes_AS_STRING(plain_namespace), len(plain_namespace))
        at = len(plain_namespace) + 1
        encoding.key[at - 1] = c"/"
    memcpy(encoding.key + at, PyBytes_AS_STRING(plain_name), len(plain_name))
    encoding.namespace_size = len(plain_namespace)
    encoding.key_size = at + len(plain_name)
    return 0


cdef int refuse_slash(str member, bytes text) except -1:
    """A key is cut at the slash between namespace and name."""
    if b"/" in text:
        raise ValueError(f"metadata.{member} {text.decode(errors='replace')!r}: must not have a slash in it")
    return 0


cdef bytes plain_text(Slice value):
    """What a JSON string spells."""
    cdef bytes text = value.start[1 : value.size - 1]
    return (<str>loads_exact(value.start[: value.size])).encode() if b"\\" in text else text


cdef bint take_plain_key(Slice *values) noexcept:
    """The same without a Python object; False when it takes one."""
    cdef Slice name = text_of(values[NAME_PATH])
    cdef Slice namespace = text_of(values[NAMESPACE_PATH])
    cdef Py_ssize_t at = 0
    if name.size < 1 or namespace.size < 0 and namespace.start != NULL:
        return False
    if namespace.size < 0:
        namespace.size = 0
    if name.size + namespace.size >= MAX_KEY or memchr(name.start, c"/", name.size) != NULL:
        return False
    if namespace.size:
        if memchr(namespace.start, c"/", namespace.size) != NULL:
            return False
        memcpy(encoding.key, namespace.start, namespace.size)
        at = namespace.size + 1
        encoding.key[at - 1] = c"/"
    memcpy(encoding.key + at, name.start, name.size)
    encoding.namespace_size = namespace.size
    encoding.key_size = at + name.size
    return memchr(encoding.key, c"\\", encoding.key_size) == NULL


cdef int relate(Record *hint, Keys keys) noexcept:
    """Whether the hint is the same object or a sibling."""
    cdef Prefix *prefix
    cdef Py_ssize_t size, common
    encoding.stem = stem_of(encoding.key, encoding.key_size, encoding.namespace_size)
    encoding.same = encoding.sibling = False
    if hint == NULL:
        return 0
    prefix = keys.prefixes[hint.prefix]
    size = prefix.size + hint.rest
    common = min(<Py_ssize_t>prefix.size, encoding.key_size)
    if memcmp(prefix.text, encoding.key, common) != 0:
        if encoding.stem > common or memcmp(prefix.text, encoding.key, encoding.stem) != 0 or encoding.stem == 0:
            return 0
        encoding.sibling = True
        return 0
    if size == encoding.key_size and memcmp(rest_of(hint), encoding.key + prefix.size, hint.rest) == 0:
        encoding.same = True
    elif encoding.stem:
        common = encoding.stem - prefix.size
        encoding.sibling = common <= 0 or (
            common <= hint.rest and memcmp(rest_of(hint), encoding.key + prefix.size, common) == 0
        )
    return 0


# --- Along the hint's templates ---------------------------------------------------------------------------------------


cdef bint walk_along(Template *template, uint32_t number, const char *start) noexcept:
    """Whether the object has a section of this template at `start`."""
    cdef Part *part = &encoding.parts[number]
    cdef const char *end = encoding.data + encoding.size
    part.start = start
    part.end = match(template, start, end, &part.walk)
    if part.end == NULL or (part.walk.keys and not keys_fit(template, &part.walk)):
        return False
    return part.end == end if number == encoding.count - 1 else True


cdef int choose(Catalog catalog, uint32_t number, Template *template) noexcept:
    template.refs += 1
    if encoding.parts[number].template != NULL:
        catalog.drop(encoding.parts[number].template)
    encoding.parts[number].template = template
    return 0


cdef int let_go(Catalog catalog) noexcept:
    """The encoding's own count of the templates ends."""
    cdef uint32_t i
    for i in range(MAX_SECTIONS):
        if encoding.parts[i].template != NULL:
            catalog.drop(encoding.parts[i].template)
            encoding.parts[i].template = NULL
    if encoding.capacity > MAX_IDLE:
        make_room(0)
    if encoding.tape.capacity > MAX_IDLE // <Py_ssize_t>sizeof(Token):
        clear_tape(&encoding.tape)
    return 0


cdef bint follow(Record *hint, bint is_older, Catalog catalog, Keys keys, Py_ssize_t paths) except -1:
    """Packs the object as its hint is packed: what it kept of an older version, the rest along the hint's templates and
    those that followed them before. False when it is of no such shape."""
    cdef unsigned long long size
    cdef const char *p = encoding.data
    cdef const uint8_t *packed  # the hint's
    cdef const uint8_t *behind
    cdef Shape *shape
    cdef bint are_kept = True  # all sections before
    cdef uint32_t i
    encoding.count = hint.sections
    for i in range(encoding.count):
        if template_number(hint, i) == NO_TEMPLATE:
            return False
    packed = payload_of(hint, &size)
    for i in range(encoding.count):
        shape = catalog.get(template_number(hint, i)).shape
        if is_older and shape.steady >= STEADY and keep_section(i, p, hint, packed, are_kept, catalog, keys, paths):
            if are_kept:
                encoding.fixed = encoding.memory.count
            packed += encoding.parts[i].packed_end - (encoding.parts[i - 1].packed_end if i else 0)
            p = encoding.parts[i].end
            continue
        if not follow_section(i, p, hint, catalog, keys, paths):
            return False
        if i == 0:
            is_older = is_older and encoding.same
            know_key()
        pack_part(i, hint, catalog, keys)
        if is_older:
            behind = skip_section(shape, packed)
            compare_section(i, hint, packed, behind, are_kept)
            packed = behind
        are_kept = are_kept and encoding.parts[i].kept
        if are_kept:
            encoding.fixed = encoding.memory.count
        p = encoding.parts[i].end
    return True


cdef bint follow_section(uint32_t number, const char *start, Record *hint, Catalog catalog, Keys keys,
                         Py_ssize_t paths) noexcept:
    """Chooses the template of a section that begins at `start`; False when none fits."""
    cdef Template *origin = catalog.get(template_number(hint, number))
    cdef Template *template
    if number and not encoding.same and not encoding.sibling:
        origin = catalog.get(origin.shape.plain)
    template = origin
    if not walk_along(origin, number, start):
        template = walk_on(origin, number, start, catalog)
        if template == NULL:
            return False
    choose(catalog, number, template)
    if template.shape.place_count < paths or not are_resolved(template.shape, paths):
        return False
    if number == 0:
        if not locate_key() or not take_plain_key(encoding.values):
            return False
        relate(hint, keys)
        if not encoding.same and not encoding.sibling and template.values:
            template = catalog.get(template.shape.plain)
            if not walk_along(template, 0, start):
                return False
            choose(catalog, 0, template)
    if template != origin:
        follows(origin, template)
    return True


cdef Template *walk_on(Template *origin, uint32_t number, const char *start, Catalog catalog) noexcept:
    """The template that the section is of now, of those to which objects moved from where it was: first what its
    siblings moved to, then any object of the shape. NULL: none of them."""
    cdef Shape *shape = origin.shape
    cdef Template *template
    cdef uint32_t i
    for i in range(2 * SUCCESSORS):
        template = catalog.known(origin.successors[i] if i < SUCCESSORS else shape.successors[i - SUCCESSORS])
        if template == NULL or template.shape == shape or template.shape.frame != shape.frame:
            continue
        if template.shape.section == number and walk_along(template, number, start):
            return template
    return NULL


cdef int follows(Template *origin, Template *template) noexcept:
    """Notes that an object moved."""
    if origin.shape != template.shape:
        if origin.values and template.values:
            to_front(origin.successors, template.number)
        to_front(origin.shape.successors, template.shape.plain)
    return 0


cdef int to_front(uint32_t *numbers, uint32_t number) noexcept:
    """The one that was not used for longest goes."""
    cdef uint32_t i = 0
    while i < SUCCESSORS - 1 and numbers[i] != number:
        i += 1
    while i > 0:
        numbers[i] = numbers[i - 1]
        i -= 1
    numbers[0] = number
    return 0


cdef bint locate_key() noexcept:
    """Finds the values of the store's own paths in the first section; False if only a scan can tell."""
    cdef Part *part = &encoding.parts[0]
    cdef Shape *shape = part.template.shape
    cdef Py_ssize_t i
    for i in range(REVISION_PATH + 1):
        if shape.places[i].start == UNRESOLVED:
            return False
        encoding.values[i] = located(shape, &part.walk, part.start, shape.places[i])
    return True


cdef bint are_resolved(const Shape *shape, Py_ssize_t paths) noexcept:
    cdef Py_ssize_t i
    for i in range(paths):
        if shape.places[i].start == UNRESOLVED:
            return False
    return True


# --- What an object kept of its older version -------------------------------------------------------------------------


cdef bint keep_section(uint32_t number, const char *start, Record *hint, const uint8_t *packed, bint are_kept,
                       Catalog catalog, Keys keys, Py_ssize_t paths) except -1:
    """Takes over what was packed if that is what the section that begins at `start` says. If all before `are_kept`, it
    says the same as in the hint; else values that refer to others can be new as these are."""
    cdef Template *template = catalog.get(template_number(hint, number))
    cdef Shape *shape = template.shape
    cdef Part *part = &encoding.parts[number]
    cdef const char *end = encoding.data + encoding.size
    cdef const uint8_t *behind = packed
    cdef unsigned long long size
    cdef char *scratch
    cdef uint32_t count
    cdef int64_t time
    if shape.place_count < paths or not are_resolved(shape, paths):
        return False
    if number == 0:
        assume_key(hint, keys)
    payload_of(hint, &size)
    count = encoding.memory.count
    time = encoding.memory.time
    part.start = start
    # Values that refer to others can have become longer, but are none of the object's then.
    scratch = text_room(<Py_ssize_t>size + encoding.size + MAX_AFFIXES)
    part.end = same_section(
        template, &behind, &encoding.known, &encoding.memory, scratch, encoding.fixed, &are_kept, start, end
    )
    if part.end == NULL or (number == encoding.count - 1 and part.end != end):
        shape.steady = 0
        encoding.memory.count = count
        encoding.memory.time = time
        return False
    recall(&encoding.memory, count)
    choose(catalog, number, template)
    if number == 0 and encoding.known.revision.start != &encoding.digits[0] + (DIGITS - encoding.known.revision.size):
        encoding.revision = number_of(encoding.known.revision)
    make_room(encoding.packed + (behind - packed))
    memcpy(encoding.out + encoding.packed, packed, behind - packed)
    encoding.packed += behind - packed
    part.packed_end = encoding.packed
    part.taken = True
    part.kept = are_kept
    return True


cdef int assume_key(Record *hint, Keys keys) noexcept:
    """That of the hint, as long as nothing else is found."""
    cdef Prefix *prefix = keys.prefixes[hint.prefix]
    memcpy(encoding.key, prefix.text, prefix.size)
    memcpy(encoding.key + prefix.size, rest_of(hint), hint.rest)
    encoding.key_size = prefix.size + hint.rest
    encoding.namespace_size = prefix.namespace_size
    encoding.revision = hint.revision
    encoding.same = True
    encoding.sibling = False
    encoding.stem = stem_of(encoding.key, encoding.key_size, encoding.namespace_size)
    return begin_packing()


cdef int compare_section(uint32_t number, Record *hint, const uint8_t *packed, const uint8_t *behind,
                         bint are_kept) noexcept:
    """Learns whether sections like this one are kept as a rule. What is packed alike up to here means the same. (Behind
    a difference it need not: values refer to earlier ones.)"""
    cdef Part *part = &encoding.parts[number]
    cdef Shape *shape = part.template.shape
    cdef Py_ssize_t start = encoding.parts[number - 1].packed_end if number else 0
    cdef bint is_alike = (
        part.template.number == template_number(hint, number)
        and part.packed_end - start == behind - packed
        and memcmp(packed, encoding.out + start, behind - packed) == 0
    )
    part.kept = is_alike and are_kept
    if not is_alike:
        shape.steady = 0
    elif shape.steady < STEADY:
        shape.steady += 1
    return 0


# --- By scanning ------------------------------------------------------------------------------------------------------


cdef int scan_object(Record *hint, Catalog catalog, Keys keys, list paths, long long record_bytes) except -1:
    """Finds the shape of each section, or makes one."""
    cdef Section[MAX_SECTIONS] sections
    cdef uint64_t frame
    cdef uint32_t i
    cdef Py_ssize_t path, token
    cdef Fault fault
    let_go(catalog)
    fault = scan(encoding.data, encoding.size, &encoding.tape)
    if fault != NO_FAULT:
        raise fault_of(fault, &encoding.tape, encoding.data, encoding.size)
    if encoding.tape.tokens[0].kind != OBJECT:
        raise ValueError("expected a JSON object at offset 0")
    for path in range(len(paths)):
        pin_path(encoding.data, &encoding.tape, (<Path>paths[path]).raw_steps)
        token = find_path(&encoding.tape, encoding.data, (<Path>paths[path]).raw_steps)
        encoding.values[path] = span_of(&encoding.tape, encoding.data, token)
    if not take_plain_key(encoding.values):
        take_key(encoding.values)
    relate(hint, keys)
    encoding.count = sections_of(
        encoding.data, encoding.size, &encoding.tape, len(paths), sections, &frame
    )
    for i in range(encoding.count):
        find_template(i, &sections[i], frame, hint, catalog, paths, record_bytes)
    know_key()
    for i in range(encoding.count):
        pack_part(i, hint, catalog, keys)
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
        keyed.hash = keyed_hash(encoding.data, &encoding.tape, section)
        has_template(number, &keyed, frame, hint, catalog, paths, record_bytes)
    return 0


cdef bint has_template(uint32_t number, const Section *section, uint64_t frame, Record *hint, Catalog catalog,
                       list paths, long long record_bytes) except -1:
    """Chooses a template by the section's hash, if there is one or may be one now. False when the hash is another
    section's."""
    cdef Part *part = &encoding.parts[number]
    cdef Shape *shape = catalog.find(section.hash)
    cdef Template *origin = NULL
    cdef Template *template
    part.start = encoding.data + section.start
    part.end = encoding.data + section.end
    if shape == NULL:
        shape = make_shape(number, section, frame, catalog, paths, record_bytes)
        if shape == NULL:
            return True
    if shape.frame != frame or shape.section != number:
        return False
    if hint != NULL and number < hint.sections and template_number(hint, number) != NO_TEMPLATE:
        origin = catalog.get(template_number(hint, number))
    if not encoding.same and not encoding.sibling:
        origin = NULL
    template = catalog.get(shape.plain)
    if origin != NULL:
        template = successor_of(origin, shape, catalog)
    if match(template, part.start, encoding.data + encoding.size, &part.walk) != part.end or (
        part.walk.keys and not keys_fit(template, &part.walk)
    ):
        return False  # two structures of one hash, or keys that could be written otherwise
    choose(catalog, number, template)
    if origin != NULL:
        follows(origin, template)
    return True


cdef Template *successor_of(Template *origin, Shape *shape, Catalog catalog) noexcept:
    """The template of a shape by which siblings of `origin` went on; the plain one when none is known."""
    cdef Template *template
    cdef uint32_t i
    if origin.shape == shape:
        return origin
    for i in range(SUCCESSORS):
        template = catalog.known(origin.successors[i])
        if template != NULL and template.shape == shape:
            return template
    return catalog.get(shape.plain)


cdef Shape *make_shape(uint32_t number, const Section *section, uint64_t frame, Catalog catalog, list paths,
                       long long record_bytes) except? NULL:
    """A new shape when the section's structure was met before and there is room; else NULL."""
    cdef Shape *shape
    cdef uint16_t key = <uint16_t>hash_of(encoding.key, encoding.key_size)
    if not catalog.meet(section.hash, key) or not catalog.has_room(record_bytes):
        return NULL
    shape = new_shape(encoding.data, &encoding.tape, section, number, frame)
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
        span = encoding.values[i]
        place.start = place.end = NOWHERE
        if span.start != NULL:
            start = <uint32_t>(span.start - encoding.data)
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


# --- What siblings share ----------------------------------------------------------------------------------------------


cdef int share_values(uint32_t number, Record *hint, Catalog catalog, Keys keys) except -1:
    """Gives siblings a template with what they have in common, where that is worth it."""
    cdef Part *part = &encoding.parts[number]
    cdef Template *common
    cdef Template *known
    if number >= hint.sections or part.walk.missed_bytes <= COMMON_BYTES:
        return 0
    if template_number(hint, number) != part.template.number:
        common = common_of_move(hint, number, catalog)
    elif encoding.sibling:
        common = common_with(hint, number, catalog, keys)
    else:
        return 0
    if common == NULL:
        return 0
    known = catalog.equal(common)
    if known != NULL:
        free_template(common)
        common = known
    else:
        catalog.add(common)
        encoding.founded |= template_number(hint, number) == part.template.number
    if walk_along(common, number, part.start):
        choose(catalog, number, common)
        if template_number(hint, number) != NO_TEMPLATE:
            follows(catalog.get(template_number(hint, number)), common)
    else:
        walk_along(part.template, number, part.start)
        common.refs += 1
        catalog.drop(common)
    return 0


cdef bint is_patient(Shape *shape) noexcept:
    return shape.barren < PATIENCE or shape.objects % PAUSE == 0


cdef Template *common_with(Record *hint, uint32_t number, Catalog catalog, Keys keys) except? NULL:
    """A template of what this section and the sibling's share, or NULL: too little."""
    cdef Part *part = &encoding.parts[number]
    cdef Shape *shape = part.template.shape
    cdef Template *plain = catalog.get(shape.plain)
    cdef Template *common
    cdef Slice text
    if not is_patient(shape):
        return NULL
    text = section_text(hint, number, catalog, keys)
    if match(plain, text.start, text.start + text.size, &encoding.other) == NULL:
        return NULL
    if match(plain, part.start, encoding.data + encoding.size, &part.walk) == NULL:
        return NULL
    common = template_of(shape, &part.walk, &encoding.other, NULL)
    match(part.template, part.start, encoding.data + encoding.size, &part.walk)
    return worthwhile(common, part.template, shape)


cdef Template *common_of_move(Record *hint, uint32_t number, Catalog catalog) except? NULL:
    """The same for an object that moved from one shape to another, or whose sibling is of another: what the template
    there says of the owner's objects is likely to be true of this one."""
    cdef Part *part = &encoding.parts[number]
    cdef Shape *shape = part.template.shape
    cdef Template *origin
    if template_number(hint, number) == NO_TEMPLATE or part.template.values or not is_patient(shape):
        return NULL
    origin = catalog.get(template_number(hint, number))
    if origin.values == 0:
        return NULL
    return worthwhile(template_of(shape, &part.walk, NULL, origin), part.template, shape)


cdef Template *worthwhile(Template *common, Template *present, Shape *shape) noexcept:
    """Frees what saves too little."""
    cdef uint32_t own, old
    if common == NULL:
        return NULL
    own = ends_of(common)[common.values - 1] if common.values else 0
    old = ends_of(present)[present.values - 1] if present.values else 0
    if own <= old + COMMON_BYTES:
        free_template(common)
        if shape.barren < PATIENCE:
            shape.barren += 1
        return NULL
    shape.barren = 0
    return common


# --- The whole --------------------------------------------------------------------------------------------------------


cdef int know_key() noexcept:
    """And the revision, and begins to pack."""
    encoding.revision = revision_of(encoding.values[REVISION_PATH])
    return begin_packing()


cdef int begin_packing() noexcept:
    cdef Memory *memory = &encoding.memory
    cdef uint32_t i
    set_key(&encoding.known, encoding.digits, encoding.key, encoding.key_size, encoding.namespace_size,
            encoding.revision)
    begin(memory)
    remember(memory, encoding.known.name)
    remember(memory, encoding.known.namespace)
    for i in range(MAX_SECTIONS):
        encoding.parts[i].taken = encoding.parts[i].kept = False
    encoding.fixed = memory.count
    encoding.packed = 0
    return 0


cdef int make_room(Py_ssize_t size) except -1:
    cdef uint8_t *wider
    if 0 < size <= encoding.capacity:
        return 0
    size += size // 2 + FIRST_ROOM
    encoding.capacity = 0
    wider = <uint8_t *>realloc(encoding.out, size)
    if wider == NULL:
        raise MemoryError
    encoding.out = wider
    wider = <uint8_t *>realloc(encoding.varying, size)
    if wider == NULL:
        raise MemoryError
    encoding.varying = wider
    wider = <uint8_t *>realloc(encoding.missed, size)
    if wider == NULL:
        raise MemoryError
    encoding.missed = wider
    encoding.capacity = size
    return 0


cdef int pack_part(uint32_t number, Record *hint, Catalog catalog, Keys keys) except -1:
    """Writes a section whose template was chosen to `encoding.out`."""
    cdef Part *part = &encoding.parts[number]
    cdef Py_ssize_t size = part.end - part.start
    cdef Shape *shape
    cdef uint8_t *out
    if part.template == NULL:
        make_room(encoding.packed + size + SECTION_OVERHEAD)
        out = write_varint(encoding.out + encoding.packed, size)
        memcpy(out, part.start, size)
        out += size
    else:
        if hint != NULL and (encoding.same or encoding.sibling):
            share_values(number, hint, catalog, keys)
        shape = part.template.shape
        shape.objects += 1
        if part.walk.misses:
            catalog.bytes -= shape_bytes(shape)
            learn(shape, &part.walk, &encoding.known)
            catalog.bytes += shape_bytes(shape)
        make_room(encoding.packed + size + SECTION_OVERHEAD + PACKED_OVERHEAD * <Py_ssize_t>part.walk.count)
        out = pack_section(
            part.template, &part.walk, &encoding.known, &encoding.memory, encoding.out + encoding.packed,
            encoding.varying, encoding.missed,
        )
    encoding.packed = part.packed_end = out - encoding.out
    return 0


cdef Py_ssize_t pack_object(const char *data, Py_ssize_t size, Record *hint, bint is_older, Catalog catalog, Keys keys,
                            list paths, Slice *values, long long record_bytes) except -1:
    """Packs the object in `data` into `encoding`; returns how many bytes its sections take. `hint` may be NULL; if it
    `is_older`, it is likely to be an older version. ValueError for what is no JSON object with a name. `let_go` must
    follow, whatever happens."""
    encoding.data = data
    encoding.size = size
    encoding.values = values
    encoding.founded = False
    encoding.followed = hint != NULL and follow(hint, is_older, catalog, keys, len(paths))
    if not encoding.followed:
        scan_object(hint, catalog, keys, paths, record_bytes)
    return encoding.packed
