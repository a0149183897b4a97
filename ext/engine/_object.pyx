"""The view of one object, and paths into it."""

cimport cython
from cpython.dict cimport PyDict_GetItemWithError
from cpython.list cimport PyList_GET_ITEM
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from engine._catalog cimport NO_TEMPLATE
from engine._header cimport ODD, PLAIN, UNKNOWN, Header, Plainness, plainness_of, read_header
from engine._json cimport Slice, loads_exact, locate, spliced, value_at
from engine._path cimport Path, path_of
from engine._record cimport CURRENT, VIEWED, Record, hold, template_number
from engine._store cimport LIVE, ColumnReader, Store
from engine._views cimport encoded, view
from libc.stdint cimport int64_t, uint32_t, uint64_t

from collections.abc import Mapping

cdef enum:
    MAX_PARSED = 8192  # objects that keep their parsed form; a power of two
    MAX_PARSED_BYTES = 16 << 20  # and their JSON in all: parsed it takes some five times as much
    MAX_DECODED = 8192  # views of records that keep their bytes; a power of two
    MAX_DECODED_BYTES = 16 << 20
    SEATS = 2 * MAX_PARSED  # a power of two
    SEAT_SHIFT = 64 - 14  # leaves a number below SEATS of 64 bits
    SMALL_CONTAINER = 512  # bytes; a larger one is taken from the parsed form
    MAX_FOUND = 32  # values that a view keeps with its bytes
    MAX_VERSION_DIGITS = 18  # always fit 64 bits

cdef Path UID = path_of("metadata.uid")
cdef Path GENERATION = path_of("metadata.generation")
cdef Path LABELS = path_of("metadata.labels")
cdef Path ANNOTATIONS = path_of("metadata.annotations")
cdef Path OWNERS = path_of("metadata.ownerReferences")
cdef Path FINALIZERS = path_of("metadata.finalizers")
cdef Path DELETION = path_of("metadata.deletionTimestamp")
cdef Path KIND = path_of("kind")
cdef Path API_VERSION = path_of("apiVersion")


# --- What is kept of objects ------------------------------------------------------------------------------------------


cdef struct Kept:
    PyObject *view
    Py_ssize_t size  # of its JSON


cdef struct Seat:
    Record *record  # NULL: free
    PyObject *view


# The objects whose parsed form is kept, the oldest overwritten first; owned. What is parsed costs five times its bytes
# and the garbage collector's time; what is read is mostly what was written last.
cdef Kept[MAX_PARSED] PARSED
cdef Py_ssize_t FIRST_PARSED = 0  # the oldest one's position; positions only grow
cdef Py_ssize_t NEXT_PARSED = 0
cdef Py_ssize_t PARSED_BYTES = 0
# Where those over records are found by their record: linear probing, at most half full. Such a record is VIEWED, and
# cannot be freed meanwhile, since its view holds it. Borrowed: PARSED owns them.
cdef Seat[SEATS] VIEWS
# The views of records that keep their bytes, likewise, and what was found in them. Borrowed: a view that dies leaves
# NULL.
cdef PyObject *DECODED[MAX_DECODED]
cdef Py_ssize_t FIRST_DECODED = 0
cdef Py_ssize_t NEXT_DECODED = 0
cdef Py_ssize_t DECODED_BYTES = 0


cdef inline Py_ssize_t home_of(Record *record) noexcept:
    # Fibonacci hashing: addresses differ in bits that are neither the lowest nor the highest.
    return <Py_ssize_t>((<uint64_t>record * <uint64_t>0x9E3779B97F4A7C15) >> SEAT_SHIFT)


cdef inline Py_ssize_t seat_of(Record *record) noexcept:
    """Where it sits; the free seat where it could when it does not."""
    cdef Py_ssize_t at = home_of(record)
    while VIEWS[at].record != NULL and VIEWS[at].record != record:
        at = (at + 1) & (SEATS - 1)
    return at


cdef void seat(Object obj) noexcept:
    cdef Py_ssize_t at = seat_of(obj.record)
    VIEWS[at].record = obj.record
    VIEWS[at].view = <PyObject *>obj
    obj.record.marks |= VIEWED


cdef void unseat(Object obj) noexcept:
    """Those behind move up, so that no search ends before them."""
    cdef Py_ssize_t gap = seat_of(obj.record), at = gap
    obj.record.marks &= ~VIEWED
    while True:
        at = (at + 1) & (SEATS - 1)
        if VIEWS[at].record == NULL:
            break
        if ((at - home_of(VIEWS[at].record)) & (SEATS - 1)) >= ((at - gap) & (SEATS - 1)):
            VIEWS[gap] = VIEWS[at]
            gap = at
    VIEWS[gap].record = NULL


cdef int keep_parsed(Object obj, dict document, Py_ssize_t size) except -1:
    global NEXT_PARSED, PARSED_BYTES
    obj.document = document
    PARSED_BYTES += size
    while NEXT_PARSED - FIRST_PARSED == MAX_PARSED or (
        PARSED_BYTES > MAX_PARSED_BYTES and NEXT_PARSED > FIRST_PARSED
    ):
        forget_oldest()
    Py_INCREF(obj)
    PARSED[NEXT_PARSED & (MAX_PARSED - 1)].view = <PyObject *>obj
    PARSED[NEXT_PARSED & (MAX_PARSED - 1)].size = size
    NEXT_PARSED += 1
    if obj.record != NULL and not obj.record.marks & VIEWED:
        seat(obj)
    return 0


cdef int forget_oldest() except -1:
    global FIRST_PARSED, PARSED_BYTES
    cdef Kept *oldest = &PARSED[FIRST_PARSED & (MAX_PARSED - 1)]
    cdef Object obj = <Object>oldest.view
    cdef dict _document = obj.document
    FIRST_PARSED += 1
    PARSED_BYTES -= oldest.size
    obj.document = None
    if obj.record != NULL and obj.record.marks & VIEWED and VIEWS[seat_of(obj.record)].view == <PyObject *>obj:
        unseat(obj)
    # The ring's own reference; `obj` and `_document` go with this frame, when all is in order again.
    Py_DECREF(obj)
    return 0


cdef void keep_decoded(Object obj, bytes raw) noexcept:
    global FIRST_DECODED, NEXT_DECODED, DECODED_BYTES
    cdef PyObject *oldest
    obj.data = raw
    DECODED_BYTES += len(raw)
    while NEXT_DECODED - FIRST_DECODED == MAX_DECODED or (
        DECODED_BYTES > MAX_DECODED_BYTES and NEXT_DECODED > FIRST_DECODED
    ):
        oldest = DECODED[FIRST_DECODED & (MAX_DECODED - 1)]
        FIRST_DECODED += 1
        if oldest != NULL:
            DECODED_BYTES -= len((<Object>oldest).data)
            (<Object>oldest).decoded_at = 0
            (<Object>oldest).data = None  # bytes and JSON values: no code of others runs
            (<Object>oldest).found = None
    DECODED[NEXT_DECODED & (MAX_DECODED - 1)] = <PyObject *>obj
    NEXT_DECODED += 1
    obj.decoded_at = NEXT_DECODED


def forget():
    while FIRST_PARSED < NEXT_PARSED:
        forget_oldest()


# --- From bytes and dicts ---------------------------------------------------------------------------------------------


cdef inline str text_at(Slice place):
    return "" if place.start == NULL else <str>value_at(place)


cdef int64_t version_of(str text) except -1:
    """As the store reads it: 0 for what is no number in its shortest form."""
    if not text or text[0] == "0" or len(text) > MAX_VERSION_DIGITS or not text.isascii() or not text.isdecimal():
        return 0
    return int(text)


cdef int set_names(Object obj, str name, str namespace, str uid, str version) except -1:
    obj.name_text = name
    obj.namespace_text = namespace
    obj.key_text = namespace + "/" + name if namespace else name
    obj.uid_text = uid
    obj.revision = version_of(version)
    return 0


cdef Object made(Object obj, bytes raw):
    """An empty object becomes one over bytes that nobody looked at yet."""
    cdef Header header
    read_header(raw, &header)
    if header.repeats:
        return adopted(obj, raw, document_of(raw), ODD)
    obj.data = raw
    obj.plain = header.plain
    set_names(obj, text_at(header.name), text_at(header.namespace), text_at(header.uid), text_at(header.version))
    return obj


cdef inline str text_of(dict members, str name):
    cdef PyObject *value = PyDict_GetItemWithError(members, name)
    return <str>value if value != NULL and type(<object>value) is str else ""


cdef dict document_of(bytes raw):
    document = loads_exact(raw)
    if type(document) is not dict:
        raise ValueError("expected a JSON object at offset 0")
    return <dict>document


cdef Object adopted(Object obj, bytes raw, dict document, Plainness plain):
    """The same of bytes whose parsed form is there."""
    metadata = document.get("metadata")
    if type(metadata) is not dict:
        metadata = {}
    set_names(
        obj,
        text_of(metadata, "name"),
        text_of(metadata, "namespace"),
        text_of(metadata, "uid"),
        text_of(metadata, "resourceVersion"),
    )
    obj.data = raw
    obj.plain = plain
    keep_parsed(obj, document, len(raw))
    return obj


cdef bytes bytes_from(object item):
    if type(item) is bytes:
        return <bytes>item
    if isinstance(item, (bytearray, memoryview)):
        return bytes(item)
    if not isinstance(item, (Mapping, dict)):
        raise ValueError(f"expected a JSON object, not {type(item).__name__}")
    return encoded(item)


cdef Object as_object(object item):
    """What a table accepts as an item."""
    if type(item) is Object:
        return <Object>item
    return made(Object.__new__(Object), bytes_from(item))


cdef Object restamped(Object obj, long long resource_version):
    """The same state at another revision."""
    cdef Record *record
    if obj.record == NULL:
        return as_object(spliced(raw_of(obj), resource_version))
    record = obj.store.restamp(obj.record, resource_version)
    try:
        return view_of(obj.store, record)
    finally:
        obj.store.drop(record)


# --- Over records -----------------------------------------------------------------------------------------------------


cdef Object view_of(Store store, Record *record):
    cdef Object obj
    if record.marks & VIEWED:
        return <Object>VIEWS[seat_of(record)].view
    if store.likely is not None:
        store.expect_columns(record)
    obj = Object.__new__(Object)
    obj.store = store
    obj.record = hold(record)
    LIVE.views += 1
    return obj


cdef Record *record_of(Store store, Object obj, Record *hint) except NULL:
    cdef bytes raw
    if obj.record != NULL and obj.store is store:
        return hold(obj.record)
    raw = raw_of(obj)
    return store.encode(raw, len(raw), hint, True)


cdef int bind(Object obj, Store store, Record *record) noexcept:
    if obj.record != NULL:
        return 0
    obj.store = store
    obj.record = hold(record)
    LIVE.views += 1
    obj.namespace_text = None  # all views share the store's
    keep_decoded(obj, obj.data)
    if obj.document is not None and not record.marks & VIEWED:
        seat(obj)
    return 0


cdef object NOTHING = object()  # found where no value stands


# --- Reading ----------------------------------------------------------------------------------------------------------


cdef bytes raw_of(Object obj):
    cdef bytes raw = obj.data
    if raw is None:
        if obj.record == NULL:
            return b""  # made by __new__ alone
        raw = obj.store.raw(obj.record)
        if obj.data is None:  # collecting garbage may run code that asks meanwhile
            keep_decoded(obj, raw)
    return raw


cdef str key_of(Object obj):
    if obj.key_text is None:
        obj.key_text = obj.store.key(obj.record) if obj.record != NULL else ""
    return obj.key_text


cdef str name_of(Object obj):
    if obj.name_text is None:
        obj.name_text = obj.store.name(obj.record) if obj.record != NULL else ""
    return obj.name_text


cdef str namespace_of(Object obj):
    if obj.namespace_text is None:
        obj.namespace_text = obj.store.namespace(obj.record) if obj.record != NULL else ""
    return obj.namespace_text


cdef inline dict at_hand(Object obj):
    """The parsed form, if it is kept for this view or another of the same record."""
    if obj.document is None and obj.record != NULL and obj.record.marks & VIEWED:
        return (<Object>VIEWS[seat_of(obj.record)].view).document
    return obj.document


cdef dict parsed(Object obj):
    cdef dict document = at_hand(obj)
    cdef bytes raw
    if document is None:
        raw = raw_of(obj)
        document = document_of(raw)
        if obj.document is None:  # as in raw_of
            keep_parsed(obj, document, len(raw))
    return document


cdef bint is_scannable(Object obj, bytes raw) except -1:
    """Whether `locate` finds what a parser finds."""
    if obj.plain == UNKNOWN:
        obj.plain = plainness_of(raw, obj.record != NULL)
    return obj.plain == PLAIN


cdef int watched(Store store, Record *record, Path path) noexcept:
    """The number of a path that the store reads sooner than it decodes the record, -1 for another."""
    cdef Py_ssize_t number
    cdef uint32_t i
    for i in range(record.sections):
        if template_number(record, i) == NO_TEMPLATE:
            return -1  # it would decode and scan it all
    for number in range(len(store.paths)):
        if PyList_GET_ITEM(store.paths, number) == <PyObject *>path:
            return <int>number
    return -1


cdef object find_in(Object obj, Path path, object default):
    """The value at a path: from the parsed form if that is kept, else from the bytes around it alone."""
    cdef dict document
    cdef PyObject *known
    cdef Slice place
    cdef int number
    if obj.found is not None:
        known = PyDict_GetItemWithError(obj.found, path.text)
        if known != NULL:
            return default if known == <PyObject *>NOTHING else <object>known
    document = at_hand(obj)
    if document is not None:
        return path.find(document, default)
    if obj.data is None and obj.record != NULL:
        number = watched(obj.store, obj.record, path)
        if number >= 0:
            place = obj.store.read(obj.record, number)
            return default if place.start == NULL else value_at(place)
    return find_in_bytes(obj, path, default)


cdef object find_in_bytes(Object obj, Path path, object default):
    cdef bytes raw = raw_of(obj)
    cdef dict found
    cdef object value
    cdef Slice place
    if path.raw_steps is None or (obj.record == NULL and not is_scannable(obj, raw)):
        return path.find(parsed(obj), default)
    place = locate(raw, path.raw_steps)
    if place.start == NULL and not is_scannable(obj, raw):
        # What is found in a record is right, since it has no key twice; what is not found may be written otherwise.
        return path.find(parsed(obj), default)
    if place.start != NULL and place.size > SMALL_CONTAINER and (place.start[0] == c"{" or place.start[0] == c"["):
        return path.find(parsed(obj), default)
    value = NOTHING if place.start == NULL else value_at(place)
    found = {} if obj.found is None or len(obj.found) >= MAX_FOUND else obj.found
    if obj.decoded_at:  # still, after all that was allocated
        obj.found = found
        found[path.text] = value
    return default if value is NOTHING else value


cdef object value_in(Object obj, Path path):
    """The same; None when nothing is there."""
    return find_in(obj, path, None)


cdef str text_in(Object obj, Path path):
    found = find_in(obj, path, None)
    return <str>found if type(found) is str else ""


cdef dict members_in(Object obj, Path path):
    found = find_in(obj, path, None)
    return <dict>found if type(found) is dict else {}


cdef dict labels_of(Object obj):
    return members_in(obj, LABELS)


cdef list elements_in(Object obj, Path path):
    found = find_in(obj, path, None)
    return <list>found if type(found) is list else []


# --- The Python face --------------------------------------------------------------------------------------------------


@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class Object:
    """An immutable view of one Kubernetes object: over a record of a cache, or over its own JSON bytes.

    The contract of every method is in engine/_object.pyi.
    """

    def __init__(self, raw not None):
        if self.data is not None or self.record != NULL:
            raise TypeError("an Object cannot be changed")
        made(self, raw_of(<Object>raw) if type(raw) is Object else bytes_from(raw))

    def __dealloc__(self):
        global DECODED_BYTES
        if self.decoded_at:
            DECODED[(self.decoded_at - 1) & (MAX_DECODED - 1)] = NULL
            DECODED_BYTES -= len(self.data)
        if self.record != NULL:
            LIVE.views -= 1
            self.store.drop(self.record)

    @staticmethod
    def adopt(bytes raw not None, dict document not None):
        return adopted(Object.__new__(Object), raw, document, UNKNOWN)

    @property
    def raw(self):
        return raw_of(self)

    @property
    def key(self):
        return key_of(self)

    @property
    def name(self):
        return name_of(self)

    @property
    def namespace(self):
        return namespace_of(self)

    @property
    def uid(self):
        if self.uid_text is None:
            self.uid_text = text_in(self, UID)
        return self.uid_text

    @property
    def resource_version(self):
        return revision_of(self)

    @property
    def generation(self):
        value = find_in(self, GENERATION, 0)
        return value if type(value) is int else 0

    @property
    def kind(self):
        return text_in(self, KIND)

    @property
    def api_version(self):
        return text_in(self, API_VERSION)

    @property
    def labels(self):
        return view(labels_of(self))

    @property
    def annotations(self):
        return view(members_in(self, ANNOTATIONS))

    @property
    def owner_references(self):
        return view(elements_in(self, OWNERS))

    @property
    def finalizers(self):
        return view(elements_in(self, FINALIZERS))

    @property
    def deletion_timestamp(self):
        return text_in(self, DELETION) or None

    def __getitem__(self, str key not None):
        return view(parsed(self)[key])

    def __contains__(self, key):
        return key in parsed(self)

    def get(self, str key not None, default=None):
        cdef PyObject *value = PyDict_GetItemWithError(parsed(self), key)
        return default if value == NULL else view(<object>value)

    def get_path(self, str path not None, default=None):
        cdef PyObject *column
        if self.record != NULL and self.record.marks & CURRENT and self.store.columns is not None:
            column = PyDict_GetItemWithError(self.store.columns, path)
            if column != NULL:
                value = (<ColumnReader>column).value_of(self.record, default)
                return default if value is default else view(value)
        value = find_in(self, path_of(path), default)
        return default if value is default else view(value)

    def to_dict(self):
        return loads_exact(raw_of(self))

    def peek(self):
        return parsed(self)

    def decode(self, type):
        import msgspec

        return msgspec.json.decode(raw_of(self), type=type)

    def __eq__(self, other):
        cdef Object second
        if not isinstance(other, Object):
            return NotImplemented
        second = <Object>other
        if self is second or (self.record != NULL and self.record == second.record):
            return True
        return raw_of(self) == raw_of(second)

    def __hash__(self):
        return hash(raw_of(self))

    def __repr__(self):
        return f"<Object {self.kind} {self.key} at {self.resource_version}>"
