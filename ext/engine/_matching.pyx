"""Objects, walked along templates: what is as a template says is compared and passed, what is not is a stop."""

from engine._json cimport Slice
from engine._shape cimport KEY_TOKEN, UNRESOLVED, Blank, Place, Shape, shape_text, token_at
from engine._template cimport Template, ends_of, starts_of, texts_of, tokens_of
from engine._words cimport is_same_text, same_bytes
from libc.stdint cimport uint16_t, uint32_t
from libc.string cimport memchr, memcmp

cdef enum:
    MAX_NEW_KEYS = 64  # keys that may be new in one section


cdef inline void add_stop(Stop **stops, uint32_t token, const char *start, const char *end,
                          bint matched) noexcept nogil:
    cdef Stop *stop = stops[0]
    stop.token = <uint16_t>token
    stop.start = start
    stop.end = end
    stop.matched = matched
    stops[0] = stop + 1


cdef const char *match(const Template *template, const char *p, const char *end, Walk *walk) noexcept nogil:
    """Walks over the section that begins at `p`. Returns what stands behind it when it is valid JSON of the template's
    shape, else NULL. `walk` has a stop for each token that varies or is not as the template says, and for values of the
    template's own that are keys or of another length than the shape's."""
    cdef const Shape *shape = template.shape
    cdef const Blank *blanks = shape.token
    cdef const Blank *blank
    cdef const char *text = shape.text
    cdef const uint16_t *ordered = shape.ordered
    cdef const uint16_t *ordered_end = ordered + shape.varying
    cdef const uint16_t *valued = tokens_of(template)
    cdef const uint16_t *valued_end = valued + template.values
    # The next of the template's own values.
    cdef const uint16_t *own_start = starts_of(template)
    cdef const uint16_t *own_end = ends_of(template)
    cdef const char *owns = texts_of(template)
    cdef uint32_t at = 0  # offset in the shape's text of what stands at p
    cdef uint32_t tokens = shape.tokens, misses = 0, missed_bytes = 0, keys = 0, token
    cdef uint32_t varying_token = ordered[0] if shape.varying else tokens
    cdef uint32_t value_token = valued[0] if template.values else tokens
    cdef Py_ssize_t run, same, size
    cdef const char *behind
    cdef const char *own
    cdef Stop *stop = walk.stops
    cdef bint is_varying
    walk.count = 0
    while True:
        token = min(varying_token, value_token)
        run = (blanks[token].start if token < tokens else shape.size) - at
        same = same_bytes(text + at, p, min(run, end - p))
        if same < run:
            # Something else than expected: at a token, or it is of another shape.
            token = token_at(shape, at + <uint32_t>same)
            if token == tokens or blanks[token].start < at:
                return NULL
            blank = &blanks[token]
            p += blank.start - at
            behind = value_end(blank.role, p, end)
            if behind == NULL or (
                behind - p == blank.end - blank.start and memcmp(p, text + blank.start, behind - p) == 0
            ):
                return NULL
            add_stop(&stop, token, p, behind, False)
            misses += 1
            missed_bytes += <uint32_t>(behind - p)
            keys += blank.role == KEY_TOKEN
            at = blank.end
            p = behind
            continue
        p += run
        if token == tokens:
            walk.count = <uint32_t>(stop - walk.stops)
            walk.misses = misses
            walk.missed_bytes = missed_bytes
            walk.keys = keys
            return p
        blank = &blanks[token]
        at = blank.end
        is_varying = varying_token == token
        if is_varying:
            ordered += 1
            varying_token = ordered[0] if ordered < ordered_end else tokens
        if value_token == token:
            own = owns + own_start[0]
            size = own_end[0] - own_start[0]
            own_start += 1
            own_end += 1
            valued += 1
            value_token = valued[0] if valued < valued_end else tokens
            if end - p > size and p[size] == text[at] and is_same_text(p, own, size):
                if is_varying or size != at - blank.start or blank.role == KEY_TOKEN:
                    add_stop(&stop, token, p, p + size, True)
                p += size
                continue
        behind = value_end(blank.role, p, end)
        if behind == NULL:
            return NULL
        add_stop(&stop, token, p, behind, False)
        keys += blank.role == KEY_TOKEN
        if not is_varying:
            misses += 1
            missed_bytes += <uint32_t>(behind - p)
        p = behind


cdef Slice located(const Shape *shape, const Walk *walk, const char *start, Place place) noexcept nogil:
    """Where the value at a place stands in the section that was walked over from `start`; NULL for NOWHERE."""
    cdef Slice found
    cdef const char *behind
    found.start = NULL
    found.size = 0
    cdef uint32_t low = 0, high = walk.count, middle
    if place.start < UNRESOLVED:
        while low < high:
            middle = (low + high) >> 1
            if shape.token[walk.stops[middle].token].end <= place.start:
                low = middle + 1
            else:
                high = middle
        found.start = moved(shape, walk, start, low, place.start)
        while low < walk.count and shape.token[walk.stops[low].token].end <= place.end:
            low += 1
        behind = moved(shape, walk, start, low, place.end)
        found.size = behind - found.start
    return found


cdef inline const char *moved(const Shape *shape, const Walk *walk, const char *start, uint32_t stops,
                              uint32_t offset) noexcept nogil:
    """Where in the section stands what stands at an offset of the shape's text, behind so many stops."""
    if stops == 0:
        return start + offset
    return walk.stops[stops - 1].end + (offset - shape.token[walk.stops[stops - 1].token].end)


cdef Slice current(const Shape *shape, const Walk *walk, uint32_t token) noexcept nogil:
    """What stands at a token of the section that was walked over."""
    cdef uint32_t low = 0, high = walk.count, middle
    cdef Slice found
    while low < high:
        middle = (low + high) >> 1
        if walk.stops[middle].token < token:
            low = middle + 1
        else:
            high = middle
    if low < walk.count and walk.stops[low].token == token:
        found.start = walk.stops[low].start
        found.size = walk.stops[low].end - found.start
        return found
    return shape_text(shape, token)


cdef bint is_canonical(Slice text) noexcept nogil:
    """Whether a key is written as all equal ones that pass here: without escapes that could be spelled otherwise."""
    cdef const char *p = text.start
    cdef const char *end = p + text.size
    while True:
        p = <const char *>memchr(p, c"\\", end - p)
        if p == NULL:
            return True
        if p[1] == c"u" or p[1] == c"/":
            return False
        p += 2


cdef bint keys_fit(const Template *template, const Walk *walk) noexcept nogil:
    """Whether the keys that are not the template's can stand beside the others of their objects."""
    cdef const Shape *shape = template.shape
    cdef uint32_t i, token, other, news = 0
    cdef Slice key, beside
    for i in range(walk.count):
        token = walk.stops[i].token
        if walk.stops[i].matched or shape.token[token].role != KEY_TOKEN:
            continue
        news += 1
        key.start = walk.stops[i].start
        key.size = walk.stops[i].end - key.start
        if news > MAX_NEW_KEYS or not is_canonical(key):
            return False
        other = shape.token[token].sibling
        while other != token:
            beside = current(shape, walk, other)
            if beside.size == key.size and memcmp(beside.start, key.start, key.size) == 0:
                return False
            other = shape.token[other].sibling
    return True
