"""What a strict reader must know of JSON bytes that a parser into dicts forgets."""

from libc.string cimport memchr, memcmp

import json

import orjson

cdef enum:
    LONG_NUMBER = 19  # digits; a shorter integer always fits 64 bits
    SMALL_OBJECT = 32  # keys that are compared one by one before a set takes over
    MAX_DEPTH = 1024  # what orjson accepts


# --- Walking valid JSON -----------------------------------------------------------------------------------------------


cdef const char *skip_space(const char *p, const char *end) noexcept nogil:
    while p < end and (p[0] == c" " or p[0] == c"\n" or p[0] == c"\r" or p[0] == c"\t"):
        p += 1
    return p


cdef inline const char *skip_string(const char *p, const char *end) noexcept nogil:
    """From the opening quote to behind the closing one."""
    cdef const char *close
    cdef const char *back
    while True:
        close = <const char *>memchr(p + 1, c'"', end - p - 1)
        if close == NULL:
            return end
        back = close
        while back > p + 1 and (back - 1)[0] == c"\\":
            back -= 1
        if (close - back) & 1 == 0:  # an even number of backslashes escapes itself, not the quote
            return close + 1
        p = close


cdef inline const char *skip_scalar(const char *p, const char *end) noexcept nogil:
    while p < end and p[0] != c"," and p[0] != c"}" and p[0] != c"]" and p[0] > 32:
        p += 1
    return p


cdef const char *skip_value(const char *p, const char *end) noexcept nogil:
    cdef Py_ssize_t depth = 0
    while p < end:
        if p[0] == c'"':
            p = skip_string(p, end)
        elif p[0] == c"{" or p[0] == c"[":
            depth += 1
            p += 1
        elif p[0] == c"}" or p[0] == c"]":
            depth -= 1
            p += 1
        elif depth == 0:
            return skip_scalar(p, end)
        else:
            p += 1
            continue
        if depth == 0:
            return p
    return end


cdef inline bint is_key(const char *p, const char *end, const char *name, Py_ssize_t size) noexcept nogil:
    """Whether the string that opens at `p` is `name`."""
    return end - p >= size + 2 and p[size + 1] == c'"' and memcmp(p + 1, name, size) == 0


# --- Exact numbers ----------------------------------------------------------------------------------------------------


cdef inline bint is_digit(char c) noexcept nogil:
    return c"0" <= c <= c"9"


cdef bint has_digit_run(const char *p, Py_ssize_t size) noexcept nogil:
    """Whether LONG_NUMBER digits stand together: every such run covers one of the positions looked at."""
    cdef Py_ssize_t at = LONG_NUMBER - 1
    cdef Py_ssize_t low, high
    while at < size:
        if is_digit(p[at]):
            low = high = at
            while low > 0 and is_digit(p[low - 1]):
                low -= 1
            while high + 1 < size and is_digit(p[high + 1]):
                high += 1
            if high - low + 1 >= LONG_NUMBER:
                return True
            at = high + LONG_NUMBER
        else:
            at += LONG_NUMBER
    return False


cdef bint has_long_number(const char *p, Py_ssize_t size) noexcept nogil:
    """The same outside strings."""
    cdef const char *end = p + size
    cdef Py_ssize_t run = 0
    while p < end:
        if p[0] == c'"':
            p = skip_string(p, end)
            run = 0
            continue
        run = run + 1 if is_digit(p[0]) else 0
        if run >= LONG_NUMBER:
            return True
        p += 1
    return False


cdef object loads_exact(bytes data):
    document = orjson.loads(data)
    if has_digit_run(data, len(data)) and has_long_number(data, len(data)):
        # orjson turns integers beyond 64 bits into floats; the standard library keeps them.
        return json.loads(data.decode())
    return document


def loads(bytes data not None):
    return loads_exact(data)


# --- Duplicate fields -------------------------------------------------------------------------------------------------


cdef bytes key_bytes(Slice key):
    """The key as a parser sees it: escapes resolved, UTF-8."""
    cdef bytes text = key.start[: key.size]
    if b"\\" in text:
        return (<str>orjson.loads(b'"' + text + b'"')).encode()
    return text


cdef struct Step:
    const Step *parent  # NULL at the top
    Slice key  # a start of NULL is an element, `size` its number


cdef class _Walk:
    """One pass over one document, for keys that occur twice."""

    cdef const char *p
    cdef const char *end
    cdef dict found  # paths as a set in order; None to stop at the first oddity
    cdef bint odd  # a duplicate, or a key with escapes

    cdef int read_value(self, const Step *step, int depth) except -1:
        if self.p >= self.end or self.odd and self.found is None:
            return 0
        if self.p[0] == c"{":
            self.read_object(step, depth + 1)
        elif self.p[0] == c"[":
            self.read_array(step, depth + 1)
        else:
            self.p = skip_value(self.p, self.end)
        self.p = skip_space(self.p, self.end)
        return 0

    cdef int read_object(self, const Step *parent, int depth) except -1:
        cdef Slice[SMALL_OBJECT] keys
        cdef Slice key
        cdef Step step
        cdef int count = 0, i
        cdef bint duplicate, escaped
        cdef set seen = None
        cdef bytes name
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        self.p = skip_space(self.p + 1, self.end)
        while self.p < self.end and self.p[0] == c'"':
            key.start = self.p + 1
            self.p = skip_string(self.p, self.end)
            if self.p <= key.start:
                break  # a quote at the very end: no JSON
            key.size = self.p - key.start - 1
            escaped = memchr(key.start, c"\\", key.size) != NULL
            duplicate = False
            if seen is None and (escaped or count == SMALL_OBJECT):
                seen = {key_bytes(keys[i]) for i in range(count)}
            if seen is None:
                for i in range(count):
                    if keys[i].size == key.size and memcmp(keys[i].start, key.start, key.size) == 0:
                        duplicate = True
                        break
                if not duplicate:
                    keys[count] = key
                    count += 1
            else:
                name = key_bytes(key)
                duplicate = name in seen
                seen.add(name)
            step.parent = parent
            step.key = key
            if duplicate or escaped:
                self.odd = True
                if self.found is None:
                    return 0
                if duplicate:
                    self.report(&step)
            self.p = skip_space(skip_space(self.p, self.end) + 1, self.end)  # over the colon
            self.read_value(&step, depth)
            if self.p < self.end and self.p[0] == c",":
                self.p = skip_space(self.p + 1, self.end)
        self.p += 1  # the closing brace
        return 0

    cdef int read_array(self, const Step *parent, int depth) except -1:
        cdef Step step
        cdef const char *before
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        step.parent = parent
        step.key.start = NULL
        step.key.size = 0
        self.p = skip_space(self.p + 1, self.end)
        while self.p < self.end and self.p[0] != c"]":
            before = self.p
            self.read_value(&step, depth)
            if self.p == before:
                break  # no JSON
            if self.odd and self.found is None:
                return 0
            step.key.size += 1
            if self.p < self.end and self.p[0] == c",":
                self.p = skip_space(self.p + 1, self.end)
        self.p += 1
        return 0

    cdef int report(self, const Step *step) except -1:
        cdef list text = []
        while step != NULL:
            text.append(f"[{step.key.size}]" if step.key.start == NULL else "." + key_bytes(step.key).decode())
            step = step.parent
        path = "".join(reversed(text))
        self.found[path[1:] if path[0] == "." else path] = None
        return 0


cdef _Walk walked(bytes data, dict found):
    cdef _Walk walk = _Walk.__new__(_Walk)
    walk.found = found
    walk.p = data
    walk.end = walk.p + len(data)
    walk.p = skip_space(walk.p, walk.end)
    walk.read_value(NULL, 0)
    return walk


def duplicate_fields(bytes data not None):
    return list(walked(data, {}).found)


# --- Reading one value of many ----------------------------------------------------------------------------------------


cdef bint is_plain(bytes data) except -1:
    """Whether no key occurs twice and none is written with escapes: then `locate` sees what a parser sees."""
    return not walked(data, None).odd


cdef Slice locate(bytes data, tuple steps) noexcept:
    """Where the value stands that `steps` lead to (bytes: a member, int: an element); a start of NULL: nowhere."""
    cdef const char *p = data
    cdef const char *end = p + len(data)
    cdef Slice found
    found.start = NULL
    found.size = 0
    p = skip_space(p, end)
    for step in steps:
        if type(step) is bytes:
            p = find_member(p, end, <bytes>step, len(<bytes>step)) if p < end and p[0] == c"{" else NULL
        else:
            p = find_element(p, end, step) if p < end and p[0] == c"[" else NULL
        if p == NULL:
            return found
    found.start = p
    found.size = skip_value(p, end) - p
    return found


cdef object value_at(Slice place):
    if place.size >= 2 and place.start[0] == c'"' and memchr(place.start, c"\\", place.size) == NULL:
        return place.start[1 : place.size - 1].decode("utf-8")
    return loads_exact(place.start[: place.size])


cdef const char *find_member(const char *p, const char *end, const char *name, Py_ssize_t size) noexcept nogil:
    """The value of member `name` of the object that opens at `p`; NULL when it has none."""
    cdef bint here
    p = skip_space(p + 1, end)
    while p < end and p[0] == c'"':
        here = is_key(p, end, name, size)
        p = skip_space(skip_space(skip_string(p, end), end) + 1, end)  # over the colon
        if here:
            return p if p < end else NULL
        p = skip_space(skip_value(p, end), end)
        if p < end and p[0] == c",":
            p = skip_space(p + 1, end)
    return NULL


cdef const char *find_element(const char *p, const char *end, Py_ssize_t number) noexcept nogil:
    """Element `number` of the array that opens at `p`; NULL when it is shorter."""
    p = skip_space(p + 1, end)
    while p < end and p[0] != c"]":
        if number == 0:
            return p
        number -= 1
        p = skip_space(skip_value(p, end), end)
        if p < end and p[0] == c",":
            p = skip_space(p + 1, end)
    return NULL


# --- The version of an object -----------------------------------------------------------------------------------------


cdef bytes spliced(bytes data, long long resource_version):
    cdef const char *start = data
    cdef const char *end = start + len(data)
    cdef const char *p = skip_space(start, end)
    cdef const char *metadata = NULL
    cdef const char *value
    cdef bytes number = b'"%d"' % resource_version
    if p < end and p[0] == c"{":
        metadata = find_member(p, end, b"metadata", 8)
    if metadata == NULL or metadata[0] != c"{":
        raise ValueError("no metadata object to set the resource version in")
    value = find_member(metadata, end, b"resourceVersion", 15)
    if value != NULL:
        p = skip_value(value, end)
        return data[: value - start] + number + p[: end - p]
    p = skip_space(metadata + 1, end)
    member = b'"resourceVersion":' + number
    if p < end and p[0] != c"}":
        member += b","
    return data[: metadata + 1 - start] + member + p[: end - p]


def splice_resource_version(bytes data not None, long long resource_version):
    return spliced(data, resource_version)
