"""Objects that are packed as their hint is: walked along its templates, without a scan; and what an object kept of its
older version is compared with what that has packed, and taken over."""

from engine._catalog cimport NO_TEMPLATE, Catalog
from engine._decoding cimport DIGITS, text_room
from engine._draft cimport (
    REVISION_PATH,
    Part,
    begin_packing,
    choose,
    draft,
    know_key,
    make_room,
    pack_part,
    relate,
    take_plain_key,
    walk_along,
)
from engine._keys cimport Keys, Prefix, number_of, stem_of
from engine._matching cimport located
from engine._packing cimport recall
from engine._record cimport Record, payload_of, rest_of, template_number
from engine._sections cimport same_section, skip_section
from engine._shape cimport UNRESOLVED, Shape
from engine._siblings cimport follows, share_values, walk_on
from engine._template cimport Template
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcmp, memcpy

cdef enum:
    MAX_AFFIXES = 1024  # bytes that a packed value can share at its ends
    STEADY = 4  # times in a row that a section was kept, from which on it is looked for


cdef bint follow(Record *hint, bint is_older, Catalog catalog, Keys keys, Py_ssize_t paths) except -1:
    """Packs the object as its hint is packed: what it kept of an older version, the rest along the hint's templates and
    those that followed them before. False when it is of no such shape."""
    cdef unsigned long long size
    cdef const char *p = draft.data
    cdef const uint8_t *packed  # the hint's
    cdef const uint8_t *behind
    cdef Shape *shape
    cdef bint are_kept = True  # all sections before
    cdef uint32_t i
    draft.count = hint.sections
    for i in range(draft.count):
        if template_number(hint, i) == NO_TEMPLATE:
            return False
    packed = payload_of(hint, &size)
    for i in range(draft.count):
        shape = catalog.get(template_number(hint, i)).shape
        if is_older and shape.steady >= STEADY and keep_section(i, p, hint, packed, are_kept, catalog, keys, paths):
            if are_kept:
                draft.fixed = draft.memory.count
            packed += draft.parts[i].packed_end - (draft.parts[i - 1].packed_end if i else 0)
            p = draft.parts[i].end
            continue
        if not follow_section(i, p, hint, catalog, keys, paths):
            return False
        if i == 0:
            is_older = is_older and draft.same
            know_key()
        share_values(i, hint, catalog, keys)
        pack_part(i, catalog)
        if is_older:
            behind = skip_section(shape, packed)
            compare_section(i, hint, packed, behind, are_kept)
            packed = behind
        are_kept = are_kept and draft.parts[i].kept
        if are_kept:
            draft.fixed = draft.memory.count
        p = draft.parts[i].end
    return True


cdef bint follow_section(uint32_t number, const char *start, Record *hint, Catalog catalog, Keys keys,
                         Py_ssize_t paths) noexcept:
    """Chooses the template of a section that begins at `start`; False when none fits."""
    cdef Template *origin = catalog.get(template_number(hint, number))
    cdef Template *template
    if number and not draft.same and not draft.sibling:
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
        if not locate_key() or not take_plain_key(draft.values):
            return False
        relate(hint, keys)
        if not draft.same and not draft.sibling and template.values:
            template = catalog.get(template.shape.plain)
            if not walk_along(template, 0, start):
                return False
            choose(catalog, 0, template)
    if template != origin:
        follows(origin, template)
    return True


cdef bint locate_key() noexcept:
    """Finds the values of the store's own paths in the first section; False if only a scan can tell."""
    cdef Part *part = &draft.parts[0]
    cdef Shape *shape = part.template.shape
    cdef Py_ssize_t i
    for i in range(REVISION_PATH + 1):
        if shape.places[i].start == UNRESOLVED:
            return False
        draft.values[i] = located(shape, &part.walk, part.start, shape.places[i])
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
    cdef Part *part = &draft.parts[number]
    cdef const char *end = draft.data + draft.size
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
    count = draft.memory.count
    time = draft.memory.time
    part.start = start
    # Values that refer to others can have become longer, but are none of the object's then.
    scratch = text_room(<Py_ssize_t>size + draft.size + MAX_AFFIXES)
    part.end = same_section(
        template, &behind, &draft.known, &draft.memory, scratch, draft.fixed, &are_kept, start, end
    )
    if part.end == NULL or (number == draft.count - 1 and part.end != end):
        shape.steady = 0
        draft.memory.count = count
        draft.memory.time = time
        return False
    recall(&draft.memory, count)
    choose(catalog, number, template)
    if number == 0 and draft.known.revision.start != &draft.digits[0] + (DIGITS - draft.known.revision.size):
        draft.revision = number_of(draft.known.revision)
    make_room(draft.packed + (behind - packed))
    memcpy(draft.out + draft.packed, packed, behind - packed)
    draft.packed += behind - packed
    part.packed_end = draft.packed
    part.taken = True
    part.kept = are_kept
    return True


cdef int assume_key(Record *hint, Keys keys) noexcept:
    """That of the hint, as long as nothing else is found."""
    cdef Prefix *prefix = keys.prefixes[hint.prefix]
    memcpy(draft.key, prefix.text, prefix.size)
    memcpy(draft.key + prefix.size, rest_of(hint), hint.rest)
    draft.key_size = prefix.size + hint.rest
    draft.namespace_size = prefix.namespace_size
    draft.revision = hint.revision
    draft.same = True
    draft.sibling = False
    draft.stem = stem_of(draft.key, draft.key_size, draft.namespace_size)
    return begin_packing()


cdef int compare_section(uint32_t number, Record *hint, const uint8_t *packed, const uint8_t *behind,
                         bint are_kept) noexcept:
    """Learns whether sections like this one are kept as a rule. What is packed alike up to here means the same. (Behind
    a difference it need not: values refer to earlier ones.)"""
    cdef Part *part = &draft.parts[number]
    cdef Shape *shape = part.template.shape
    cdef Py_ssize_t start = draft.parts[number - 1].packed_end if number else 0
    cdef bint is_alike = (
        part.template.number == template_number(hint, number)
        and part.packed_end - start == behind - packed
        and memcmp(packed, draft.out + start, behind - packed) == 0
    )
    part.kept = is_alike and are_kept
    if not is_alike:
        shape.steady = 0
    elif shape.steady < STEADY:
        shape.steady += 1
    return 0
