"""Sections of objects against templates: what is the same is compared and left out, what differs is packed."""

from engine._json cimport Slice
from engine._keys cimport MAX_REVISION_DIGITS
from engine._packing cimport (
    AFFIXED,
    ANY_KIND,
    Memory,
    Packed,
    can_unpack,
    kind_of,
    pack,
    pack_best,
    read_varint,
    refers_to_others,
    remember,
    remember_for_reading,
    skip_packed,
    unpack,
    write_varint,
)
from engine._scalars cimport literal_end, number_end, short_end
from engine._shape cimport (
    BY_NAME,
    BY_NAMESPACE,
    BY_REVISION,
    BY_TEMPLATE,
    KEY_TOKEN,
    MAX_RULE,
    NOT_VARYING,
    SCALAR_TOKEN,
    TEXT_TOKEN,
    UNRESOLVED,
    Blank,
    Place,
    Shape,
    Varying,
    add_varying,
    token_at,
)
from engine._words cimport LONG_RUN, is_same_text, same_bytes
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcmp, memcpy, memmove, memset

cdef enum:
    MIN_MISSES = 4  # of objects in which a token was not as expected, before it counts as varying
    MISS_SHARE = 4  # and it is so in one of this many
    MIN_LEARNED = 4  # bytes of a value from which on being equal to another one is no chance
    MAX_NEW_KEYS = 64  # keys that may be new in one section
    SEARCHED = 16  # every so many objects the best way to pack a value is searched

cdef enum Code:
    # What a record says of a varying token, in two bits.
    EXPECTED
    BY_KIND  # packed as the token's values usually are
    BY_AFFIX  # AFFIXED
    BY_BEST  # as the byte before it says


# --- Matching ---------------------------------------------------------------------------------------------------------


cdef inline const char *value_end(uint8_t role, const char *p, const char *end) noexcept nogil:
    if role != SCALAR_TOKEN:
        return short_end(p, end)
    if p >= end:
        return NULL
    if p[0] == c"-" or c"0" <= p[0] <= c"9":
        return number_end(p, end)
    return literal_end(p, end)


cdef inline Slice own_text(const Template *template, uint32_t value) noexcept nogil:
    cdef Slice text
    cdef uint32_t start = ends_of(template)[value - 1] if value else 0
    text.start = texts_of(template) + start
    text.size = ends_of(template)[value] - start
    return text


cdef inline Slice shape_text(const Shape *shape, uint32_t token) noexcept nogil:
    cdef Slice text
    text.start = shape.text + shape.token[token].start
    text.size = shape.token[token].end - shape.token[token].start
    return text


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
    cdef const uint16_t *own_end = ends_of(template)
    cdef const char *own = texts_of(template)  # the next of the template's own values
    cdef const char *owns = own
    cdef uint32_t at = 0  # offset in the shape's text of what stands at p
    cdef uint32_t tokens = shape.tokens, misses = 0, missed_bytes = 0, keys = 0, token
    cdef uint32_t varying_token = ordered[0] if shape.varying else tokens
    cdef uint32_t value_token = valued[0] if template.values else tokens
    cdef Py_ssize_t run, same, size
    cdef const char *behind
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
            size = owns + own_end[0] - own
            own += size
            own_end += 1
            valued += 1
            value_token = valued[0] if valued < valued_end else tokens
            if end - p > size and p[size] == text[at] and is_same_text(p, own - size, size):
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


# --- Templates --------------------------------------------------------------------------------------------------------


cdef Template *allocate_template(Shape *shape, uint32_t values, uint32_t text) noexcept nogil:
    cdef uint32_t size = <uint32_t>(sizeof(Template) + 2 * values * sizeof(uint16_t) + text)
    cdef Template *template = <Template *>malloc(size)
    if template == NULL:
        return NULL
    memset(template, 0, sizeof(Template))
    template.size = size
    template.shape = shape
    template.values = values
    return template


cdef void free_template(Template *template) noexcept nogil:
    free(template)


cdef Template *plain_template(Shape *shape) noexcept nogil:
    return allocate_template(shape, 0, 0)


cdef inline bint has_text(const Template *template, const char *text, Py_ssize_t size) noexcept nogil:
    cdef uint32_t value
    cdef Slice own
    for value in range(template.values):
        own = own_text(template, value)
        if own.size == size and memcmp(own.start, text, size) == 0:
            return True
    return False


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
        return has_text(owner, walk.stops[stop].start, size)
    other = current(shape, sibling, token)
    return other.size == size and memcmp(other.start, walk.stops[stop].start, size) == 0


cdef Template *template_of(Shape *shape, const Walk *walk, const Walk *sibling, const Template *owner) noexcept nogil:
    """A template of what two sections have in common, both walked over by the shape's plain template; without a sibling
    (NULL) of what is a value of `owner` too. NULL when memory is out or the common values are too long."""
    cdef uint32_t i, values = 0
    cdef Py_ssize_t size, text = 0
    cdef Template *template
    for i in range(walk.count):
        if shared(shape, walk, sibling, owner, i):
            values += 1
            text += walk.stops[i].end - walk.stops[i].start
    if text > 65535:
        return NULL
    template = allocate_template(shape, values, <uint32_t>text)
    if template == NULL:
        return NULL
    values = 0
    text = 0
    for i in range(walk.count):
        if shared(shape, walk, sibling, owner, i):
            size = walk.stops[i].end - walk.stops[i].start
            memcpy(texts_of(template) + text, walk.stops[i].start, size)
            text += size
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


cdef inline bint is_same(Slice left, Slice right) noexcept nogil:
    return left.size == right.size and is_same_text(left.start, right.start, left.size)


# --- Packing ----------------------------------------------------------------------------------------------------------


cdef inline Slice expected_at(const Shape *shape, const Template *template, const Varying *vary, uint32_t *value,
                              const Known *known, const Slice *varied) noexcept nogil:
    """What is expected at a varying token; `value` moves along the template's own values."""
    cdef uint32_t token = vary.token
    while value[0] < template.values and tokens_of(template)[value[0]] < token:
        value[0] += 1
    if value[0] < template.values and tokens_of(template)[value[0]] == token:
        return own_text(template, value[0])
    return expected_by_rule(shape, vary, known, varied)


cdef inline Slice expected_by_rule(const Shape *shape, const Varying *vary, const Known *known,
                                   const Slice *varied) noexcept nogil:
    """The same where the template has no value of its own."""
    if vary.rule == BY_TEMPLATE:
        return shape_text(shape, vary.token)
    if vary.rule == BY_NAME:
        return known.name
    if vary.rule == BY_NAMESPACE:
        return known.namespace
    if vary.rule == BY_REVISION:
        return known.revision
    return varied[vary.rule]


cdef uint8_t *pack_section(const Template *template, const Walk *walk, const Known *known, Memory *memory,
                           uint8_t *out, uint8_t *varying_out, uint8_t *missed_out) noexcept nogil:
    """Writes the section that was walked over; returns the place behind it. The two other buffers are scratch."""
    cdef Shape *shape = template.shape
    cdef const Blank *blanks = shape.token
    cdef Slice[256] varied  # what stands at the varying tokens
    cdef uint8_t *varying = varying_out
    cdef uint8_t *missed = missed_out
    cdef uint8_t *codes = out + 1
    cdef uint8_t *begin
    cdef uint8_t usual
    cdef uint32_t token, value = 0, last = 0, number, code
    cdef const Stop *stop = walk.stops
    cdef const Stop *end = stop + walk.count
    cdef Varying *vary
    cdef Slice text, expected
    cdef bint is_text, searches = shape.objects % SEARCHED == 0
    out[0] = <uint8_t>shape.varying
    memset(codes, 0, (shape.varying + 3) // 4)
    while stop < end:
        token = stop.token
        number = blanks[token].varying
        text.start = stop.start
        text.size = stop.end - stop.start
        if number != NOT_VARYING:
            varied[number] = text
            if stop.matched:
                stop += 1
                continue
            vary = &shape.vary[number]
            expected = expected_at(shape, template, vary, &value, known, varied)
            if is_same(text, expected):
                stop += 1
                continue
            begin = varying
            varying = NULL
            code = BY_KIND
            if vary.kind != AFFIXED:
                varying = pack(begin, <Packed>vary.kind, text, expected, memory)
            if varying == NULL:
                if searches:
                    vary.usual = ANY_KIND
                is_text = blanks[token].role == TEXT_TOKEN
                varying = pack_best(begin, text, expected, is_text, memory, &vary.usual)
                code = BY_BEST
                if begin[0] == AFFIXED:
                    code = BY_AFFIX
                    varying -= 1
                    memmove(begin, begin + 1, varying - begin)
            codes[number >> 2] |= <uint8_t>(code << (2 * (number & 3)))
            remember(memory, text)
        elif not stop.matched:
            while value < template.values and tokens_of(template)[value] < token:
                value += 1
            if value < template.values and tokens_of(template)[value] == token:
                expected = own_text(template, value)
            else:
                expected = shape_text(shape, token)
            missed = write_varint(missed, token - last)
            last = token
            is_text = blanks[token].role == TEXT_TOKEN
            usual = ANY_KIND
            missed = pack_best(missed, text, expected, is_text, memory, &usual)
            remember(memory, text)
        stop += 1
    out = write_varint(codes + (shape.varying + 3) // 4, missed - missed_out)
    memcpy(out, missed_out, missed - missed_out)
    out += missed - missed_out
    memcpy(out, varying_out, varying - varying_out)
    return out + (varying - varying_out)


cdef inline void copy_run(const Shape *shape, uint32_t start, uint32_t end, char **out, Place wanted,
                          Slice *found) noexcept nogil:
    """Copies the shape's text, and notes where a wanted place comes to stand."""
    memcpy(out[0], shape.text + start, end - start)
    if start <= wanted.start <= end and found.start == NULL:
        found.start = out[0] + (wanted.start - start)
    if start <= wanted.end <= end and found.start != NULL and found.size == 0:
        found.size = out[0] + (wanted.end - start) - found.start
    out[0] += end - start


cdef const uint8_t *unpack_section(const Template *template, const uint8_t *p, const Known *known, Memory *memory,
                                   char **out, Place wanted, Slice *found) noexcept nogil:
    """Writes the section's bytes to `out`, which moves on; returns the place behind the packed ones. `found` is where
    the value of a wanted place was written, unless that is NOWHERE."""
    cdef const Shape *shape = template.shape
    cdef Slice[256] varied
    cdef uint32_t varying = p[0], vary = 0, value = 0, missed_token, token, code, number, at = 0
    cdef const uint8_t *codes = p + 1
    cdef const uint8_t *missed
    cdef const uint8_t *missed_end
    cdef unsigned long long length
    cdef Slice expected, text
    p = read_varint(codes + (varying + 3) // 4, &length)
    missed = p
    missed_end = missed + length
    p = missed_end
    found.start = NULL
    found.size = 0
    missed_token = next_missed(&missed, missed_end, 0, shape.tokens)
    while True:
        # The next token that is not as in the shape's text, or may not be.
        while vary < shape.varying and shape.order[vary] >= varying:
            vary += 1
        token = shape.ordered[vary] if vary < shape.varying else shape.tokens
        if value < template.values and tokens_of(template)[value] < token:
            token = tokens_of(template)[value]
        if missed_token < token:
            token = missed_token
        if token == shape.tokens:
            copy_run(shape, at, shape.size, out, wanted, found)
            return p
        copy_run(shape, at, shape.token[token].start, out, wanted, found)
        at = shape.token[token].end
        text.start = out[0]
        number = shape.token[token].varying
        if token == missed_token:
            if value < template.values and tokens_of(template)[value] == token:
                expected = own_text(template, value)
            else:
                expected = shape_text(shape, token)
            missed = unpack(missed + 1, <Packed>missed[0], expected, memory, out[0], &text.size)
            remember_for_reading(memory, text)
            missed_token = next_missed(&missed, missed_end, token, shape.tokens)
        elif number < varying:
            vary += 1
            expected = expected_at(shape, template, &shape.vary[number], &value, known, varied)
            code = (codes[number >> 2] >> (2 * (number & 3))) & 3
            if code == EXPECTED:
                memcpy(out[0], expected.start, expected.size)
                text.size = expected.size
            else:
                if code == BY_KIND:
                    p = unpack(p, <Packed>shape.vary[number].kind, expected, memory, out[0], &text.size)
                elif code == BY_AFFIX:
                    p = unpack(p, AFFIXED, expected, memory, out[0], &text.size)
                else:
                    p = unpack(p + 1, <Packed>p[0], expected, memory, out[0], &text.size)
                remember_for_reading(memory, text)
            varied[number] = text
        else:
            expected = own_text(template, value)
            memcpy(out[0], expected.start, expected.size)
            text.size = expected.size
        if value < template.values and tokens_of(template)[value] == token:
            value += 1
        out[0] += text.size


cdef const char *same_section(const Template *template, const uint8_t **packed, Known *known, Memory *memory,
                              char *scratch, uint32_t fixed, bint *is_fixed, const char *p,
                              const char *end) noexcept nogil:
    """Walks over the section that begins at `p` as long as it says what was packed. Returns what stands behind it, and
    moves `packed` behind the packed one; NULL when it says something else, or was packed with values missed. `scratch`
    has room for any value. The revision may be another one: that is `known` then. What was read is remembered as a
    reader does.

    Unless `is_fixed`, only the first `fixed` values of memory are what they were when this was packed. It is set when
    the section refers to none but these; what it says otherwise can be new, and is checked as a match is."""
    cdef const Shape *shape = template.shape
    cdef const Blank *blanks = shape.token
    cdef Slice[256] varied
    cdef const uint16_t *valued = tokens_of(template)
    cdef const uint16_t *valued_end = valued + template.values
    cdef const uint16_t *own_end = ends_of(template)
    cdef const char *own = texts_of(template)
    cdef const char *owns = own
    cdef uint32_t varying = packed[0][0], vary = 0, code, number, at = 0, tokens = shape.tokens
    cdef uint32_t token, varying_token, value_token = valued[0] if valued < valued_end else tokens
    cdef const uint8_t *codes = packed[0] + 1
    cdef const uint8_t *q
    cdef unsigned long long length
    cdef Py_ssize_t run
    cdef Packed kind
    cdef Slice text
    cdef bint is_own, is_old = is_fixed[0], refers = False
    q = read_varint(codes + (varying + 3) // 4, &length)
    if length:
        return NULL
    varying_token = next_varying(shape, varying, &vary)
    while True:
        token = min(varying_token, value_token)
        run = (blanks[token].start if token < tokens else shape.size) - at
        if run > end - p or not is_same_run(shape.text + at, p, run):
            return NULL
        p += run
        if token == tokens:
            packed[0] = q
            is_fixed[0] = not refers
            return p
        at = blanks[token].end
        text.start = own
        is_own = value_token == token
        if is_own:
            own = owns + own_end[0]
            own_end += 1
            valued += 1
            value_token = valued[0] if valued < valued_end else tokens
        text.size = own - text.start
        if varying_token != token:
            if text.size > end - p or not is_same_text(text.start, p, text.size):
                return NULL
            p += text.size
            continue
        number = blanks[token].varying
        vary += 1
        varying_token = next_varying(shape, varying, &vary)
        if not is_own:
            text = expected_by_rule(shape, &shape.vary[number], known, varied)
        code = (codes[number >> 2] >> (2 * (number & 3))) & 3
        if code != EXPECTED:
            kind = <Packed>shape.vary[number].kind
            if code == BY_BEST:
                kind = <Packed>q[0]
                q += 1
            elif code == BY_AFFIX:
                kind = AFFIXED
            if not can_unpack(q, kind, text, memory):
                return NULL
            refers = refers or not is_old and refers_to_others(q, kind, fixed)
            q = unpack(q, kind, text, memory, scratch, &text.size)
            text.start = scratch
        elif not is_own and shape.vary[number].rule == BY_REVISION:
            text.start = p
            text.size = revision_digits(p, end)
            if text.size == 0:
                return NULL
            known.revision = text
        if text.size > end - p or not is_same_text(text.start, p, text.size):
            return NULL
        if refers and (
            blanks[token].role == KEY_TOKEN or value_end(blanks[token].role, p, end) != p + text.size
        ):
            return NULL
        text.start = p
        p += text.size
        varied[number] = text
        if code != EXPECTED:
            remember_for_reading(memory, text)


cdef inline uint32_t next_varying(const Shape *shape, uint32_t varying, uint32_t *vary) noexcept nogil:
    """The next token that is among the first so many to vary; `vary` is its place in their order."""
    while vary[0] < shape.varying and shape.order[vary[0]] >= varying:
        vary[0] += 1
    return shape.ordered[vary[0]] if vary[0] < shape.varying else shape.tokens


cdef inline bint is_same_run(const char *left, const char *right, Py_ssize_t size) noexcept nogil:
    return is_same_text(left, right, size) if size < LONG_RUN else memcmp(left, right, size) == 0


cdef const uint8_t *skip_section(const Shape *shape, const uint8_t *packed) noexcept nogil:
    """What stands behind a packed section."""
    cdef uint32_t varying = packed[0], vary, number, code
    cdef const uint8_t *codes = packed + 1
    cdef unsigned long long length
    packed = read_varint(codes + (varying + 3) // 4, &length)
    packed += length
    for vary in range(shape.varying):
        number = shape.order[vary]
        if number >= varying:
            continue
        code = (codes[number >> 2] >> (2 * (number & 3))) & 3
        if code == BY_KIND:
            packed = skip_packed(packed, <Packed>shape.vary[number].kind)
        elif code == BY_AFFIX:
            packed = skip_packed(packed, AFFIXED)
        elif code == BY_BEST:
            packed = skip_packed(packed + 1, <Packed>packed[0])
    return packed


cdef inline Py_ssize_t revision_digits(const char *p, const char *end) noexcept nogil:
    """How many digits of a revision end at a quote; 0 when it is not written as a positive number is."""
    cdef Py_ssize_t size = 0
    if p == end or p[0] == c"0":
        return 0
    while size <= MAX_REVISION_DIGITS and p + size < end and c"0" <= p[size] <= c"9":
        size += 1
    return size if size <= MAX_REVISION_DIGITS and p + size < end and p[size] == c'"' else 0


cdef inline uint32_t next_missed(const uint8_t **missed, const uint8_t *end, uint32_t last,
                                 uint32_t none) noexcept nogil:
    cdef unsigned long long distance
    if missed[0] == end:
        return none
    missed[0] = read_varint(missed[0], &distance)
    return last + <uint32_t>distance
