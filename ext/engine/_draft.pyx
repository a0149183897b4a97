"""The object that is being encoded: its key, the templates chosen for its sections, and what is packed of it."""

from cpython.bytes cimport PyBytes_AS_STRING
from engine._catalog cimport Catalog
from engine._decoding cimport set_key
from engine._json cimport Slice, loads_exact
from engine._keys cimport MAX_KEY, Keys, Prefix, revision_of, stem_of, text_of
from engine._learning cimport learn
from engine._matching cimport Stop, keys_fit, match
from engine._packing cimport Memory, begin, remember, write_varint
from engine._record cimport Record, rest_of
from engine._scan cimport Token, clear_tape
from engine._sections cimport pack_section
from engine._shape cimport MAX_SECTIONS, MAX_TOKENS, Shape, shape_bytes
from engine._template cimport Template
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport malloc, realloc
from libc.string cimport memchr, memcmp, memcpy

cdef enum:
    PACKED_OVERHEAD = 24  # bytes that a packed value takes at most beyond its own
    SECTION_OVERHEAD = 128  # and a section beyond its values
    FIRST_ROOM = 1 << 16
    MAX_IDLE = 4 << 20  # bytes of scratch that are kept from one object to the next


cdef int open_draft() except -1:
    cdef uint32_t i
    for i in range(MAX_SECTIONS):
        draft.parts[i].walk.stops = <Stop *>malloc(MAX_TOKENS * sizeof(Stop))
        if draft.parts[i].walk.stops == NULL:
            raise MemoryError
    draft.other.stops = <Stop *>malloc(MAX_TOKENS * sizeof(Stop))
    if draft.other.stops == NULL:
        raise MemoryError
    return 0


open_draft()


# --- Its key ----------------------------------------------------------------------------------------------------------


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
        memcpy(draft.key, PyBytes_AS_STRING(plain_namespace), len(plain_namespace))
        at = len(plain_namespace) + 1
        draft.key[at - 1] = c"/"
    memcpy(draft.key + at, PyBytes_AS_STRING(plain_name), len(plain_name))
    draft.namespace_size = len(plain_namespace)
    draft.key_size = at + len(plain_name)
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
        memcpy(draft.key, namespace.start, namespace.size)
        at = namespace.size + 1
        draft.key[at - 1] = c"/"
    memcpy(draft.key + at, name.start, name.size)
    draft.namespace_size = namespace.size
    draft.key_size = at + name.size
    return memchr(draft.key, c"\\", draft.key_size) == NULL


cdef int relate(Record *hint, Keys keys) noexcept:
    """Whether the hint is the same object or a sibling."""
    cdef Prefix *prefix
    cdef Py_ssize_t size, common
    draft.stem = stem_of(draft.key, draft.key_size, draft.namespace_size)
    draft.same = draft.sibling = False
    if hint == NULL:
        return 0
    prefix = keys.prefixes[hint.prefix]
    size = prefix.size + hint.rest
    common = min(<Py_ssize_t>prefix.size, draft.key_size)
    if memcmp(prefix.text, draft.key, common) != 0:
        if draft.stem > common or memcmp(prefix.text, draft.key, draft.stem) != 0 or draft.stem == 0:
            return 0
        draft.sibling = True
        return 0
    if size == draft.key_size and memcmp(rest_of(hint), draft.key + prefix.size, hint.rest) == 0:
        draft.same = True
    elif draft.stem:
        common = draft.stem - prefix.size
        draft.sibling = common <= 0 or (
            common <= hint.rest and memcmp(rest_of(hint), draft.key + prefix.size, common) == 0
        )
    return 0


cdef int know_key() noexcept:
    """And the revision, and begins to pack."""
    draft.revision = revision_of(draft.values[REVISION_PATH])
    return begin_packing()


# --- Its templates ----------------------------------------------------------------------------------------------------


cdef bint walk_along(Template *template, uint32_t number, const char *start) noexcept:
    """Whether the object has a section of this template at `start`."""
    cdef Part *part = &draft.parts[number]
    cdef const char *end = draft.data + draft.size
    part.start = start
    part.end = match(template, start, end, &part.walk)
    if part.end == NULL or (part.walk.keys and not keys_fit(template, &part.walk)):
        return False
    return part.end == end if number == draft.count - 1 else True


cdef int let_go(Catalog catalog) noexcept:
    """The draft's own count of the templates ends."""
    cdef uint32_t i
    for i in range(MAX_SECTIONS):
        if draft.parts[i].template != NULL:
            catalog.drop(draft.parts[i].template)
            draft.parts[i].template = NULL
    if draft.capacity > MAX_IDLE:
        make_room(0)
    if draft.tape.capacity > MAX_IDLE // <Py_ssize_t>sizeof(Token):
        clear_tape(&draft.tape)
    return 0


# --- What is packed of it ---------------------------------------------------------------------------------------------


cdef int begin_packing() noexcept:
    cdef Memory *memory = &draft.memory
    cdef uint32_t i
    set_key(&draft.known, draft.digits, draft.key, draft.key_size, draft.namespace_size,
            draft.revision)
    begin(memory)
    remember(memory, draft.known.name)
    remember(memory, draft.known.namespace)
    for i in range(MAX_SECTIONS):
        draft.parts[i].taken = draft.parts[i].kept = False
    draft.fixed = memory.count
    draft.packed = 0
    return 0


cdef int make_room(Py_ssize_t size) except -1:
    cdef uint8_t *wider
    if 0 < size <= draft.capacity:
        return 0
    size += size // 2 + FIRST_ROOM
    draft.capacity = 0
    wider = <uint8_t *>realloc(draft.out, size)
    if wider == NULL:
        raise MemoryError
    draft.out = wider
    wider = <uint8_t *>realloc(draft.varying, size)
    if wider == NULL:
        raise MemoryError
    draft.varying = wider
    wider = <uint8_t *>realloc(draft.missed, size)
    if wider == NULL:
        raise MemoryError
    draft.missed = wider
    draft.capacity = size
    return 0


cdef int pack_part(uint32_t number, Catalog catalog) except -1:
    """Writes a section whose template was chosen to `draft.out`."""
    cdef Part *part = &draft.parts[number]
    cdef Py_ssize_t size = part.end - part.start
    cdef Shape *shape
    cdef uint8_t *out
    if part.template == NULL:
        make_room(draft.packed + size + SECTION_OVERHEAD)
        out = write_varint(draft.out + draft.packed, size)
        memcpy(out, part.start, size)
        out += size
    else:
        shape = part.template.shape
        shape.objects += 1
        if part.walk.misses:
            catalog.bytes -= shape_bytes(shape)
            learn(shape, &part.walk, &draft.known)
            catalog.bytes += shape_bytes(shape)
        make_room(draft.packed + size + SECTION_OVERHEAD + PACKED_OVERHEAD * <Py_ssize_t>part.walk.count)
        out = pack_section(
            part.template, &part.walk, &draft.known, &draft.memory, draft.out + draft.packed,
            draft.varying, draft.missed,
        )
    draft.packed = part.packed_end = out - draft.out
    return 0
