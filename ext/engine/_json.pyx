"""What a strict reader must know of JSON bytes that a parser into dicts forgets."""

from libc.string cimport memcmp

import json

import orjson

cdef enum:
    LONG_NUMBER = 19  # digits; a shorter integer always fits 64 bits
    SMALL_OBJECT = 32  # keys that are compared one by one before a set takes over
    MAX_DEPTH = 1024  # what orjson accepts


cdef struct Slice:
    const char *start
    Py_ssize_t size


# --- Walking valid JSON -----------------------------------------------------------------------------------------------


cdef inline const char *skip_space(const char *p, const char *end) noexcept nogil:
    while p < end and (p[0] == c" " or p[0] == c"\n" or p[0] == c"\r" or p[0] == c"\t"):
        p += 1
    return p


cdef inline const char *skip_string(const char *p, const char *end) noexcept nogil:
    """From the opening quote to behind the closing one."""
    p += 1
    while p < end and p[0] != c'"':
        p += 2 if p[0] == c"\\" else 1
    return p + 1 if p < end else end


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


cdef inline bint has_escape(Slice key) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(key.size):
        if key.start[i] == c"\\":
            return True
    return False


cdef class _DuplicateWalk:
    """One pass over one document; `path` holds the steps that lead to the value being read."""

    cdef const char *p
    cdef const char *end
    cdef list path
    cdef dict found

    def __cinit__(self):
        self.path = []
        self.found = {}

    cdef int read_value(self, int depth) except -1:
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        self.p = skip_space(self.p, self.end)
        if self.p >= self.end:
            return 0
        if self.p[0] == c"{":
            self.read_object(depth)
        elif self.p[0] == c"[":
            self.read_array(depth)
        else:
            self.p = skip_value(self.p, self.end)
        self.p = skip_space(self.p, self.end)
        return 0

    cdef int read_object(self, int depth) except -1:
        cdef Slice[SMALL_OBJECT] keys
        cdef Slice key
        cdef int count = 0, i
        cdef bint duplicate
        cdef set seen = None
        cdef bytes name
        self.p = skip_space(self.p + 1, self.end)
        while self.p < self.end and self.p[0] == c'"':
            key.start = self.p + 1
            self.p = skip_string(self.p, self.end)
            key.size = self.p - key.start - 1
            if seen is None and (count == SMALL_OBJECT or has_escape(key)):
                seen = {key_bytes(keys[i]) for i in range(count)}
            if seen is None:
                duplicate = False
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
            if duplicate:
                self.report(key)
            self.p = skip_space(self.p, self.end) + 1  # the colon
            self.p = skip_space(self.p, self.end)
            if self.p < self.end and (self.p[0] == c"{" or self.p[0] == c"["):
                self.path.append((<long long>key.start, key.size))
                self.read_value(depth + 1)
                self.path.pop()
            else:
                self.read_value(depth)
            if self.p < self.end and self.p[0] == c",":
                self.p = skip_space(self.p + 1, self.end)
        self.p += 1  # the closing brace
        return 0

    cdef int read_array(self, int depth) except -1:
        cdef Py_ssize_t position = 0
        self.p = skip_space(self.p + 1, self.end)
        while self.p < self.end and self.p[0] != c"]":
            if self.p[0] == c"{" or self.p[0] == c"[":
                self.path.append(position)
                self.read_value(depth + 1)
                self.path.pop()
            else:
                self.read_value(depth)
            position += 1
            if self.p < self.end and self.p[0] == c",":
                self.p = skip_space(self.p + 1, self.end)
        self.p += 1
        return 0

    cdef int report(self, Slice key) except -1:
        cdef Slice part
        cdef list text = []
        for step in self.path:
            if isinstance(step, tuple):
                # The addresses point into the bytes that the caller holds for the whole walk.
                part.start = <const char *><long long>step[0]
                part.size = step[1]
                text.append("." + key_bytes(part).decode())
            else:
                text.append(f"[{step}]")
        text.append("." + key_bytes(key).decode())
        path = "".join(text)
        self.found[path[1:] if path[0] == "." else path] = None
        return 0


def duplicate_fields(bytes data not None):
    cdef _DuplicateWalk walk = _DuplicateWalk()
    walk.p = data
    walk.end = walk.p + len(data)
    walk.read_value(0)
    return list(walk.found)


# --- The version of an object -----------------------------------------------------------------------------------------


cdef const char *find_member(const char *p, const char *end, const char *name, Py_ssize_t size) noexcept nogil:
    """The value of member `name` of the object that opens at `p`; NULL when it has none."""
    cdef bint here
    p = skip_space(p + 1, end)
    while p < end and p[0] == c'"':
        here = is_key(p, end, name, size)
        p = skip_space(skip_string(p, end), end) + 1  # the colon
        p = skip_space(p, end)
        if here:
            return p if p < end else NULL
        p = skip_space(skip_value(p, end), end)
        if p < end and p[0] == c",":
            p = skip_space(p + 1, end)
    return NULL


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
