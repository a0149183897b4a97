"""JSON values that can only be read."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

import json
from collections.abc import ItemsView, Mapping, Sequence, ValuesView

import orjson


cdef object plain(object value):
    """The dict or list behind a view, for encoders and comparisons inside this module."""
    if type(value) is MapView:
        return (<MapView>value).data
    if type(value) is ListView:
        return (<ListView>value).data
    return value


cdef object editable(object value):
    """A deep copy made of dicts and lists."""
    value = plain(value)
    if type(value) is dict:
        return {key: editable(member) for key, member in (<dict>value).items()}
    if type(value) is list:
        return [editable(member) for member in <list>value]
    return value


cdef bint is_flat(dict data) except -1:
    for value in data.values():
        if type(value) is dict or type(value) is list:
            return False
    return True


@cython.final
cdef class MapView:
    """A JSON object that can only be read."""

    def __init__(self):
        raise TypeError("views come from an Object")

    def __getitem__(self, key):
        return view(self.data[key])

    def get(self, key, default=None, /):
        cdef object value = self.data.get(key, default)
        return view(value) if value is not default else default

    def __contains__(self, key):
        return key in self.data

    def __iter__(self):
        return iter(self.data)

    def __len__(self):
        return len(self.data)

    def keys(self):
        return self.data.keys()

    def values(self):
        return self.data.values() if is_flat(self.data) else ValuesView(self)

    def items(self):
        return self.data.items() if is_flat(self.data) else ItemsView(self)

    def to_dict(self):
        return editable(self)

    def __deepcopy__(self, memo):
        return editable(self)

    def __eq__(self, other):
        other = plain(other)
        return self.data == other if isinstance(other, Mapping) else NotImplemented

    __hash__ = None

    def __repr__(self):
        return repr(self.data)


@cython.final
cdef class ListView:
    """A JSON array that can only be read."""

    def __init__(self):
        raise TypeError("views come from an Object")

    def __getitem__(self, index):
        return view((<object>self.data)[index])

    def __contains__(self, value):
        return plain(value) in self.data

    def __iter__(self):
        for value in self.data:
            yield view(value)

    def __reversed__(self):
        for value in reversed(self.data):
            yield view(value)

    def __len__(self):
        return len(self.data)

    def index(self, value, /, *bounds):
        return self.data.index(plain(value), *bounds)

    def count(self, value, /):
        return self.data.count(plain(value))

    def to_list(self):
        return editable(self)

    def __deepcopy__(self, memo):
        return editable(self)

    def __eq__(self, other):
        other = plain(other)
        return self.data == other if isinstance(other, list) else NotImplemented

    __hash__ = None

    def __repr__(self):
        return repr(self.data)


Mapping.register(MapView)
Sequence.register(ListView)


cdef bytes encoded(object document):
    """In bytes of just that size: orjson's are cut from a larger buffer, whose rest memory that is kept would waste."""
    cdef bytes cut
    try:
        cut = orjson.dumps(document, default=_plain_or_error)
        return PyBytes_FromStringAndSize(PyBytes_AS_STRING(cut), len(cut))
    except TypeError as error:
        if "64-bit" not in str(error):
            raise ValueError(f"cannot be written as JSON: {error}") from None
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False, default=_plain_or_error).encode()


def _plain_or_error(value):
    """What encoders do with a view."""
    found = plain(value)
    if found is value:
        if isinstance(value, Mapping):
            return dict(value)
        raise TypeError(f"{type(value).__name__} is no JSON type")
    return found
