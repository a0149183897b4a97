"""What is learned of many objects: which tokens of a shape vary, and what siblings share."""

from engine._json cimport Slice
from engine._matching cimport Walk, current
from engine._packing cimport Packed, kind_of
from engine._shape cimport (
    BY_NAME,
    BY_NAMESPACE,
    BY_REVISION,
    BY_TEMPLATE,
    MAX_RULE,
    NOT_VARYING,
    TEXT_TOKEN,
    Blank,
    Shape,
    add_varying,
    shape_text,
)
from engine._slab cimport Slab
from engine._template cimport (
    Known,
    Template,
    allocate_template,
    ends_of,
    own_text,
    starts_of,
    texts_of,
    tokens_of,
)
from engine._words cimport is_same
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy

cdef enum:
    MIN_MISSES = 4  # of objects in which a token was not as expected, before it counts as varying
    MISS_SHARE = 4  # and it is so in one of this many
    MIN_LEARNED = 4  # bytes of a value from which on being equal to another one is no chance


cdef inline uint32_t value_with(const Template *template, const char *text, Py_ssize_t size) noexcept nogil:
    """Which value says this; template.values: none."""
    cdef uint32_t value
    cdef Slice own
    for value in range(template.values):
        own = own_text(template, value)
        if own.size == size and memcmp(own.start, text, size) == 0:
            break
    else:
        return template.values
    return value


cdef inline bint shared(const Shape *shape, const Walk *walk, const Walk *sibling, const Template *owner,
                        uint32_t stop) noexcept nogil:
    """Whether siblings have the same at a stop of the first one's walk, which nothing else foretells. Of the sibling
    there is its walk, or a template that says what its owner's objects have in common."""
    cdef uint32_t token = walk.stops[stop].token
    cdef Py_ssize_t size = walk.stops[stop].end - walk.stops[stop].start
    cdef uint8_t varying = shape.token[token].varying
    cdef Slice other
    if varying != NOT_VARYING and (shape.vary[varying].rule != BY_TEMPLATE or sibling == NULL):
        return False
    other = shape_text(shape, token)
    if other.size == size and memcmp(other.start, walk.stops[stop].start, size) == 0:
        return False
    if sibling == NULL:
        return value_with(owner, walk.stops[stop].start, size) < owner.values
    other = current(shape, sibling, token)
    return other.size == size and memcmp(other.start, walk.stops[stop].start, size) == 0


cdef Template *template_of(Slab slab, Shape *shape, const Walk *walk, const Walk *sibling, Template *owner) noexcept:
    """A template of what two sections have in common, both walked over by the shape's plain template; without a sibling
    (NULL) of what is a value of `owner` too, which lends it the texts. NULL when memory is out or the common values are
    too long."""
    cdef uint32_t i, values = 0, value
    cdef Py_ssize_t size, text = 0
    cdef Template *template
    cdef Template *lender = owner.lender if owner != NULL and owner.lender != NULL else owner
    for i in range(walk.count):
        if shared(shape, walk, sibling, owner, i):
            values += 1
            text += walk.stops[i].end - walk.stops[i].start
    if text > 65535:
        return NULL
    template = allocate_template(slab, shape, values, <uint32_t>text, lender)
    if template == NULL:
        return NULL
    values = 0
    text = 0
    for i in range(walk.count):
        if shared(shape, walk, sibling, owner, i):
            size = walk.stops[i].end - walk.stops[i].start
            if lender == NULL:
                memcpy(texts_of(template) + text, walk.stops[i].start, size)
                text += size
            else:
                value = value_with(owner, walk.stops[i].start, size)
                starts_of(template)[values] = starts_of(owner)[value]
                text = ends_of(owner)[value]
            tokens_of(template)[values] = walk.stops[i].token
            ends_of(template)[values] = <uint16_t>text
            values += 1
    return template


cdef bint learn(Shape *shape, const Walk *walk, const Known *known) noexcept nogil:
    """Counts what was not as expected in an object; what often is not counts as varying from now on. True if there is
    such."""
    cdef bint learned = False
    cdef uint32_t i, token
    cdef Blank *blank
    for i in range(walk.count):
        token = walk.stops[i].token
        blank = &shape.token[token]
        if walk.stops[i].matched or blank.varying != NOT_VARYING:
            continue
        if blank.misses < 255:
            blank.misses += 1
        if blank.misses >= MIN_MISSES and blank.misses * MISS_SHARE >= shape.objects:
            learned |= vary_at(shape, walk, known, i)
    return learned


cdef bint vary_at(Shape *shape, const Walk *walk, const Known *known, uint32_t stop) noexcept nogil:
    cdef uint32_t token = walk.stops[stop].token, i
    cdef Slice value, other
    cdef uint8_t rule = BY_TEMPLATE
    cdef Packed kind
    value.start = walk.stops[stop].start
    value.size = walk.stops[stop].end - value.start
    kind = kind_of(value, shape_text(shape, token), shape.token[token].role == TEXT_TOKEN)
    if value.size >= MIN_LEARNED:
        if is_same(value, known.name):
            rule = BY_NAME
        elif is_same(value, known.namespace):
            rule = BY_NAMESPACE
        else:
            for i in range(shape.varying):
                # What is kept of an older version must not hang on the revision, which is not.
                if i > MAX_RULE or shape.vary[i].token >= token or shape.vary[i].rule == BY_REVISION:
                    continue
                other = current(shape, walk, shape.vary[i].token)
                if is_same(value, other):
                    rule = <uint8_t>i
                    break
    return add_varying(shape, token, kind, rule)
