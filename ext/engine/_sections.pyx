"""Sections in few bytes: what is as a template says is left out, what differs is packed."""

from engine._json cimport Slice
from engine._keys cimport MAX_REVISION_DIGITS
from engine._matching cimport Stop, Walk, value_end
from engine._packing cimport (
    AFFIXED,
    ANY_KIND,
    Memory,
    Packed,
    can_unpack,
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
from engine._shape cimport (
    BY_NAME,
    BY_NAMESPACE,
    BY_REVISION,
    BY_TEMPLATE,
    KEY_TOKEN,
    NOT_VARYING,
    TEXT_TOKEN,
    Blank,
    Place,
    Shape,
    Varying,
    shape_text,
)
from engine._template cimport Known, Template, ends_of, own_text, starts_of, texts_of, tokens_of
from engine._words cimport LONG_RUN, is_same, is_same_text
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy, memmove, memset

cdef enum:
    SEARCHED = 16  # every so many objects the best way to pack a value is searched

cdef enum Code:
    # What a record says of a varying token, in two bits.
    EXPECTED
    BY_KIND  # packed as the token's values usually are
    BY_AFFIX  # AFFIXED
    BY_BEST  # as the byte before it says


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
    cdef const uint16_t *own_start = starts_of(template)
    cdef const uint16_t *own_end = ends_of(template)
    cdef const char *owns = texts_of(template)
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
        is_own = value_token == token
        if is_own:
            text.start = owns + own_start[0]
            text.size = own_end[0] - own_start[0]
            own_start += 1
            own_end += 1
            valued += 1
            value_token = valued[0] if valued < valued_end else tokens
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
