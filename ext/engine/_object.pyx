"""The view of one object, and paths into it."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject
from engine._json cimport Slice, is_plain, loads_exact, locate, spliced, value_at
from engine._path cimport Path, path_of
from engine._store cimport Record, Store

import json
from collections.abc import ItemsView, Mapping, Sequence, ValuesView

import orjson

cdef enum:
    MAX_PARSED = 8192  # objects that keep their parsed form; a power of two
    MAX_PARSED_BYTES = 16 << 20  # and their JSON in all: parsed it takes some five times as much


# --- Read-only views --------------------------------------------------------------------------------------------------


cdef inline object view(object value):
    cdef MapView mapping
    cdef ListView sequence
    if type(value) is dict:
        mapping = MapView.__new__(MapView)
        mapping.data = <dict>value
        return mapping
    if type(value) is list:
        sequence = ListView.__new__(ListView)
        sequence.data = <list>value
        return sequence
    return value


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


# --- The object -------------------------------------------------------------------------------------------------------


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


cdef dict document_of(bytes raw):
    document = loads_exact(raw)
    if type(document) is not dict:
        raise ValueError("expected a JSON object at offset 0")
    return <dict>document


cdef inline str text_of(dict document, str name):
    cdef PyObject *value = PyDict_GetItemWithError(document, name)
    if value == NULL or type(<object>value) is not str:
        return ""
    return <str>value


cdef long long version_of(dict metadata) except? -1:
    cdef str text = text_of(metadata, "resourceVersion")
    if not text or len(text) > 18 or not text.isascii() or not text.isdecimal():
        return 0
    return int(text)


cdef Object made(bytes raw, dict document):
    cdef Object obj = Object.__new__(Object)
    cdef dict metadata
    obj.raw = raw
    obj.keep(document)
    metadata = obj.metadata()
    obj.name = text_of(metadata, "name")
    obj.namespace = text_of(metadata, "namespace")
    obj.uid = text_of(metadata, "uid")
    obj.resource_version = version_of(metadata)
    obj.key = obj.namespace + "/" + obj.name if obj.namespace else obj.name
    return obj


cdef Object as_object(object item):
    """What a table accepts as an item."""
    if type(item) is Object:
        return <Object>item
    if type(item) is bytes:
        return made(<bytes>item, document_of(<bytes>item))
    if isinstance(item, (bytearray, memoryview)):
        raw = bytes(item)
        return made(raw, document_of(raw))
    if not isinstance(item, (Mapping, dict)):
        raise ValueError(f"expected a JSON object, not {type(item).__name__}")
    raw = encoded(item)
    return made(raw, document_of(raw))


cdef Object restamped(Object obj, long long resource_version):
    """The same state at another revision."""
    raw = spliced(obj.raw, resource_version)
    return made(raw, document_of(raw))


cdef Object view_of(Store store, Record *record):
    """The object of a record, which the view holds on its own account."""
    return as_object(store.raw(record))


cdef Record *record_of(Store store, Object obj, Record *hint) except NULL:
    """The object as a record of `store`, held once for the caller."""
    return store.encode(obj.raw, len(obj.raw), hint)


# The objects whose parsed form is kept, the oldest overwritten first. What is parsed costs five times its bytes and the
# garbage collector's time; what is read is mostly what was written last.
cdef list PARSED = [None] * MAX_PARSED
cdef Py_ssize_t FIRST_PARSED = 0  # the oldest one's position; positions only grow
cdef Py_ssize_t NEXT_PARSED = 0
cdef Py_ssize_t PARSED_BYTES = 0

cdef Path LABELS = path_of("metadata.labels")


cdef object value_in(Object obj, Path path):
    """The value at a path, None when missing: from the parsed form if there is one, else from the bytes."""
    cdef Slice place
    if obj.document is not None or path.raw_steps is None or not obj.scannable():
        return path.find(obj.parsed(), None)
    place = locate(obj.raw, path.raw_steps)
    return None if place.start == NULL else value_at(place)


cdef dict labels_of(Object obj):
    found = value_in(obj, LABELS)
    return <dict>found if type(found) is dict else {}


@cython.final
@cython.no_gc
cdef class Object:
    """An immutable view of one Kubernetes object over its JSON bytes.

    The contract of every method is in engine/_object.pyi.
    """

    def __cinit__(self, *args):
        self.raw = b""
        self.key = self.name = self.namespace = self.uid = ""

    def __init__(self, raw not None):
        cdef Object other = as_object(raw)
        if self.raw:
            raise TypeError("an Object cannot be changed")
        self.raw = other.raw
        self.keep(other.document)
        self.key = other.key
        self.name = other.name
        self.namespace = other.namespace
        self.uid = other.uid
        self.resource_version = other.resource_version

    @staticmethod
    def adopt(bytes raw not None, dict document not None):
        return made(raw, document)

    cdef dict parsed(self):
        cdef dict document = self.document
        if document is None:
            document = document_of(self.raw)
            self.keep(document)
        return document

    cdef int keep(self, dict document) except -1:
        global FIRST_PARSED, NEXT_PARSED, PARSED_BYTES
        cdef Object oldest
        self.document = document
        PARSED_BYTES += len(self.raw)
        while NEXT_PARSED - FIRST_PARSED == MAX_PARSED or (
            PARSED_BYTES > MAX_PARSED_BYTES and NEXT_PARSED > FIRST_PARSED
        ):
            oldest = <Object>PARSED[FIRST_PARSED & (MAX_PARSED - 1)]
            PARSED[FIRST_PARSED & (MAX_PARSED - 1)] = None
            FIRST_PARSED += 1
            PARSED_BYTES -= len(oldest.raw)
            if oldest is not self:
                oldest.document = None
        PARSED[NEXT_PARSED & (MAX_PARSED - 1)] = self
        NEXT_PARSED += 1
        return 0

    cdef bint scannable(self) except -1:
        if self.plain == UNKNOWN:
            self.plain = PLAIN if is_plain(self.raw) else ODD
        return self.plain == PLAIN

    cdef dict metadata(self):
        cdef PyObject *found = PyDict_GetItemWithError(self.parsed(), "metadata")
        if found == NULL or type(<object>found) is not dict:
            return {}
        return <dict>found

    @property
    def generation(self):
        value = self.metadata().get("generation", 0)
        return value if type(value) is int else 0

    @property
    def kind(self):
        return text_of(self.parsed(), "kind")

    @property
    def api_version(self):
        return text_of(self.parsed(), "apiVersion")

    @property
    def labels(self):
        return view(labels_of(self))

    @property
    def annotations(self):
        value = self.metadata().get("annotations")
        return view(value if type(value) is dict else {})

    @property
    def owner_references(self):
        value = self.metadata().get("ownerReferences")
        return view(value if type(value) is list else [])

    @property
    def finalizers(self):
        value = self.metadata().get("finalizers")
        return view(value if type(value) is list else [])

    @property
    def deletion_timestamp(self):
        return text_of(self.metadata(), "deletionTimestamp") or None

    def __getitem__(self, str key not None):
        return view(self.parsed()[key])

    def __contains__(self, key):
        return key in self.parsed()

    def get(self, str key not None, default=None):
        cdef PyObject *value = PyDict_GetItemWithError(self.parsed(), key)
        return default if value == NULL else view(<object>value)

    def get_path(self, str path not None, default=None):
        value = path_of(path).find(self.parsed(), default)
        return default if value is default else view(value)

    def to_dict(self):
        return loads_exact(self.raw)

    def peek(self):
        return self.parsed()

    def decode(self, type):
        import msgspec

        return msgspec.json.decode(self.raw, type=type)

    def __eq__(self, other):
        if not isinstance(other, Object):
            return NotImplemented
        return self is other or self.raw == (<Object>other).raw

    def __hash__(self):
        return hash(self.raw)

    def __repr__(self):
        return f"<Object {self.kind} {self.key} at {self.resource_version}>"
