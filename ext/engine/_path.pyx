"""Paths into an object: `metadata.labels['a/b']`, `spec.containers[0].image`."""

cimport cython
from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject

from collections.abc import Sequence

import orjson

cdef enum:
    MAX_PATHS = 1024  # parsed paths kept by their text

cdef tuple NO_MAPPINGS = (Sequence, int, float)  # str is a Sequence; anything else has members, an Object too


cdef tuple parse_path(str text):
    """`a.b[0]['c/d']` as ("a", "b", 0, "c/d")."""
    cdef list steps = []
    cdef Py_ssize_t at = 0, end, size = len(text)
    while at < size:
        if text[at] == "[":
            end = text.find("]", at)
            if at + 1 < size and text[at + 1] in "'\"":
                end = text.find(text[at + 1] + "]", at + 2) + 1
                if end <= 0:
                    raise ValueError(f"path {text!r}: quote at {at + 1} is not closed")
                steps.append(text[at + 2 : end - 1])
            elif end > at + 1 and text[at + 1 : end].isdecimal():
                steps.append(int(text[at + 1 : end]))
            else:
                raise ValueError(f"path {text!r}: expected [number] or ['name'] at {at}")
            at = end + 1
            if at < size and text[at] not in ".[":
                raise ValueError(f"path {text!r}: expected '.' or '[' at {at}")
            if at == size - 1 and text[at] == ".":
                raise ValueError(f"path {text!r}: nothing after '.'")
            if at < size and text[at] == ".":
                at += 1
            continue
        end = at
        while end < size and text[end] not in ".[":
            end += 1
        if end == at:
            raise ValueError(f"path {text!r}: expected a name at {at}")
        steps.append(text[at:end])
        at = end
        if at < size and text[at] == ".":
            at += 1
            if at == size:
                raise ValueError(f"path {text!r}: nothing after '.'")
    if not steps:
        raise ValueError("path is empty")
    return tuple(steps)


cdef tuple raw_steps_of(tuple steps):
    cdef list found = []
    for step in steps:
        if type(step) is str:
            if orjson.dumps(step) != b'"' + step.encode() + b'"':
                return None
            step = step.encode()
        found.append(step)
    return tuple(found)


@cython.final
cdef class Path:
    """A parsed path into an object."""

    def __init__(self, str text not None):
        self.text = text
        self.steps = parse_path(text)
        self.raw_steps = raw_steps_of(self.steps)

    cdef object find(self, object document, object default):
        cdef PyObject *member
        for step in self.steps:
            if type(step) is str:
                if type(document) is dict:
                    member = PyDict_GetItemWithError(<dict>document, step)
                    if member == NULL:
                        return default
                    document = <object>member
                elif document is None or isinstance(document, NO_MAPPINGS) or step not in document:
                    return default
                else:
                    document = document[step]
            else:
                if type(document) is str or not isinstance(document, Sequence) or step >= len(document):
                    return default
                document = document[step]
        return document

    def of(self, document, default=None):
        return self.find(document, default)

    def __repr__(self):
        return f"Path({self.text!r})"


cdef dict PATHS = {}


cdef Path path_of(str text):
    cdef PyObject *known = PyDict_GetItemWithError(PATHS, text)
    if known != NULL:
        return <Path>known
    path = Path(text)
    if len(PATHS) >= MAX_PATHS:
        PATHS.clear()
    PATHS[text] = path
    return path
