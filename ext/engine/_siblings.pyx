"""What an object's siblings tell of it: the templates to which they moved before, and the values that they share."""

from engine._catalog cimport NO_TEMPLATE, Catalog
from engine._decoding cimport section_text
from engine._draft cimport Part, choose, draft, walk_along
from engine._json cimport Slice
from engine._keys cimport Keys
from engine._learning cimport template_of
from engine._matching cimport match
from engine._record cimport Record, template_number
from engine._shape cimport SUCCESSORS, Shape
from engine._template cimport Template, free_template, own_bytes
from libc.stdint cimport uint32_t

cdef enum:
    COMMON_BYTES = 40  # that siblings must share beyond their template before they get one of their own
    PATIENCE = 32  # siblings without enough in common, before only
    PAUSE = 16  # every so many are looked at


# --- Where they moved -------------------------------------------------------------------------------------------------


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


# --- What they share --------------------------------------------------------------------------------------------------


cdef int share_values(uint32_t number, Record *hint, Catalog catalog, Keys keys) except -1:
    """Gives siblings a template with what they have in common, where that is worth it."""
    cdef Part *part = &draft.parts[number]
    cdef Template *common
    cdef Template *known
    if hint == NULL or not draft.same and not draft.sibling or number >= hint.sections:
        return 0
    if part.template == NULL or part.walk.missed_bytes <= COMMON_BYTES or not catalog.has_number():
        return 0
    if template_number(hint, number) != part.template.number:
        common = common_of_move(hint, number, catalog)
    elif draft.sibling:
        common = common_with(hint, number, catalog, keys)
    else:
        return 0
    if common == NULL:
        return 0
    known = catalog.equal(common)
    if known != NULL:
        free_template(catalog.slab, common)
        common = known
    else:
        catalog.add(common)
        draft.founded |= template_number(hint, number) == part.template.number
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
    cdef Part *part = &draft.parts[number]
    cdef Shape *shape = part.template.shape
    cdef Template *plain = catalog.get(shape.plain)
    cdef Template *common
    cdef Slice text
    if not is_patient(shape):
        return NULL
    text = section_text(hint, number, catalog, keys)
    if match(plain, text.start, text.start + text.size, &draft.other) == NULL:
        return NULL
    if match(plain, part.start, draft.data + draft.size, &part.walk) == NULL:
        return NULL
    common = template_of(catalog.slab, shape, &part.walk, &draft.other, NULL)
    match(part.template, part.start, draft.data + draft.size, &part.walk)
    return worthwhile(common, part.template, shape, catalog)


cdef Template *common_of_move(Record *hint, uint32_t number, Catalog catalog) except? NULL:
    """The same for an object that moved from one shape to another, or whose sibling is of another: what the template
    there says of the owner's objects is likely to be true of this one."""
    cdef Part *part = &draft.parts[number]
    cdef Shape *shape = part.template.shape
    cdef Template *origin
    if template_number(hint, number) == NO_TEMPLATE or part.template.values or not is_patient(shape):
        return NULL
    origin = catalog.get(template_number(hint, number))
    if origin.values == 0:
        return NULL
    return worthwhile(template_of(catalog.slab, shape, &part.walk, NULL, origin), part.template, shape, catalog)


cdef Template *worthwhile(Template *common, Template *present, Shape *shape, Catalog catalog) noexcept:
    """Frees what saves too little."""
    if common == NULL:
        return NULL
    if own_bytes(common) <= own_bytes(present) + COMMON_BYTES:
        free_template(catalog.slab, common)
        if shape.barren < PATIENCE:
            shape.barren += 1
        return NULL
    shape.barren = 0
    return common
