"""The memory of one cache: objects as records."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from engine._ahead cimport LINE, prefetch_lines, prefetch_two
from engine._catalog cimport NO_TEMPLATE, Catalog
from engine._decoding cimport text_room, unpack_object
from engine._draft cimport REVISION_PATH, draft, let_go
from engine._encoding cimport pack_object
from engine._founding cimport span_of
from engine._json cimport Slice, spliced
from engine._keys cimport MAX_KEY, PREFIXES, Keys, Prefix
from engine._matching cimport located
from engine._packing cimport write_varint
from engine._path cimport Path, path_of
from engine._record cimport (
    HEADER,
    LEAVING,
    NO_ROW,
    NUMBER_BYTES,
    Record,
    payload_of,
    rest_of,
    set_template_number,
    template_number,
)
from engine._scan cimport NO_FAULT, Tape, find_path, scan
from engine._shape cimport NOWHERE, UNRESOLVED, Place, Shape
from engine._slab cimport Slab
from engine._template cimport Template
from engine._words cimport is_same_text
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

cdef enum:
    MAX_OBJECT = 1 << 30  # bytes of JSON
    MAX_VARINT = 10
    # Bytes of a template: what is read of it before its size is known, and what it has as a rule.
    HEAD = 2 * LINE
    USUAL = 8 * LINE

cdef Tape tape  # scratch


cdef inline const Shape *shape_with(Catalog catalog, const Record *record, int path, uint32_t *section) noexcept:
    """Of a record that followed its hint: the shape that has a place for what stands at a watched path, and the number
    of its section; NULL: nothing stands there."""
    cdef const Shape *shape
    cdef uint32_t i
    for i in range(record.sections):
        shape = catalog.get(template_number(record, i)).shape
        if shape.places[path].start != NOWHERE:
            section[0] = i
            return shape
    return NULL


# --- What views and tests may ask -------------------------------------------------------------------------------------


cdef class ColumnReader:
    cdef object value_of(self, Record *record, object default):
        return self.value(record.row, default)

    cdef int expect(self, const Record *record) noexcept:
        return 0

    cdef int expect_value(self, const Record *record) noexcept:
        return 0


def live():
    return {"stores": LIVE.stores, "records": LIVE.records, "prefixes": PREFIXES, "views": LIVE.views}


# --- The store --------------------------------------------------------------------------------------------------------


@cython.final
cdef class Store:
    def __cinit__(self):
        LIVE.stores += 1
        self.paths = []
        self.slab = Slab.__new__(Slab)
        self.shared = Slab.__new__(Slab)
        self.keys = Keys.__new__(Keys, self.shared)
        self.catalog = Catalog.__new__(Catalog, self.shared)
        # In the order that `_draft` knows them by.
        self.watch(path_of("metadata.name"))
        self.watch(path_of("metadata.namespace"))
        self.watch(path_of("metadata.resourceVersion"))

    def __dealloc__(self):
        LIVE.stores -= 1
        PyMem_Free(self.values)

    cdef int watch(self, Path path) except -1:
        """The number under which the path is found from now on; records that stand already can be `read` at it."""
        cdef Slice *values
        cdef Py_ssize_t count = len(self.paths)
        for number, known in enumerate(self.paths):
            if (<Path>known).text == path.text:
                return number
        if path.raw_steps is None:
            raise ValueError(f"path {path.text!r}: names that JSON writes with escapes cannot be watched")
        values = <Slice *>PyMem_Realloc(self.values, (count + 1) * sizeof(Slice))
        if values == NULL:
            raise MemoryError
        self.values = values
        memset(&values[count], 0, sizeof(Slice))
        self.paths.append(path)
        return <int>count

    cdef int expect_columns(self, const Record *record) noexcept:
        cdef Py_ssize_t i
        for i in range(PyList_GET_SIZE(self.likely)):
            (<ColumnReader>PyList_GET_ITEM(self.likely, i)).expect(record)
        return 0

    cdef int expect_values(self, const Record *record) noexcept:
        cdef Py_ssize_t i
        for i in range(PyList_GET_SIZE(self.likely)):
            (<ColumnReader>PyList_GET_ITEM(self.likely, i)).expect_value(record)
        return 0

    # --- Records ---

    cdef Record *encode(self, const char *data, Py_ssize_t size, Record *hint, bint is_older) except NULL:
        """A new record, held once by the caller. `hint` is a record that may be like it (its older version, as
        `is_older` supposes, or a sibling), or NULL. ValueError for what is no JSON object with a name. O(size)."""
        cdef Py_ssize_t packed
        if size > MAX_OBJECT:
            raise ValueError(f"an object of {size} bytes, more than {MAX_OBJECT}")
        try:
            packed = pack_object(
                data, size, hint, is_older, self.catalog, self.keys, self.paths, self.values, self.slab.used
            )
            return self.new_record(hint, packed)
        finally:
            let_go(self.catalog)

    cdef bint keeps(self, Record *record, int path) noexcept:
        cdef const Shape *shape
        cdef const Place *place
        cdef const Place *revision
        cdef uint32_t section
        if not draft.followed or not draft.same:
            return False
        shape = shape_with(self.catalog, record, path, &section)
        if shape == NULL or not draft.parts[section].kept:
            return False
        # The revision stands in the record's head.
        place = &shape.places[path]
        revision = &shape.places[REVISION_PATH]
        return place.end <= revision.start or revision.end <= place.start

    cdef Slice value(self, Record *record, int path) except *:
        cdef const Shape *shape
        cdef Slice nothing
        cdef uint32_t section
        if not draft.followed:
            return self.values[path]
        shape = shape_with(self.catalog, record, path, &section)
        if shape == NULL:
            nothing.start = NULL
            nothing.size = 0
            return nothing
        if draft.parts[section].taken:  # nobody walked over it
            return self.read(record, path)
        return located(shape, &draft.parts[section].walk, draft.parts[section].start, shape.places[path])

    cdef Record *new_record(self, Record *hint, Py_ssize_t packed) except NULL:
        """The object in `draft`, whose sections were packed."""
        cdef Prefix *prefix = self.take_prefix(hint)
        cdef Py_ssize_t rest = draft.key_size - prefix.size
        cdef uint8_t[MAX_VARINT] raw_size
        cdef Py_ssize_t varint = write_varint(raw_size, draft.size) - raw_size
        cdef Py_ssize_t before = HEADER + rest + NUMBER_BYTES * draft.count
        cdef Record *record = <Record *>self.slab.allocate(before + varint + packed)
        cdef Template *template
        cdef uint32_t i
        if record == NULL:
            self.keys.drop(prefix)
            raise MemoryError
        record.revision = draft.revision
        record.refs = 1
        record.row = NO_ROW
        record.prefix = prefix.number
        record.size = <uint32_t>(before + varint + packed)
        record.rest = <uint8_t>rest
        record.sections = <uint8_t>draft.count
        record.marks = 0
        memcpy(<char *>record + HEADER, draft.key + prefix.size, rest)
        for i in range(draft.count):
            template = draft.parts[i].template
            set_template_number(record, i, NO_TEMPLATE if template == NULL else template.number)
            if template != NULL:
                template.refs += 1
        memcpy(<char *>record + before, raw_size, varint)
        memcpy(<char *>record + before + varint, draft.out, packed)
        self.records += 1
        LIVE.records += 1
        return record

    cdef Prefix *take_prefix(self, Record *hint) except NULL:
        """Of the key of the object in `draft`, counted once more. An object keeps its own, but for a longer one."""
        cdef Prefix *prefix
        if draft.same:
            prefix = self.keys.prefixes[hint.prefix]
            if prefix.size >= draft.stem:
                prefix.refs += 1
                return prefix
        return self.keys.take(
            draft.key,
            draft.key_size,
            draft.namespace_size,
            draft.stem,
            draft.sibling and not hint.marks & LEAVING,  # what takes its place has no sibling then
        )

    cdef Record *restamp(self, Record *record, int64_t revision) except NULL:
        """The same state at another revision, held once by the caller."""
        cdef bytes raw = spliced(self.raw(record), revision)
        return self.encode(PyBytes_AS_STRING(raw), len(raw), record, True)

    cdef int drop(self, Record *record) noexcept:
        """One holder less."""
        cdef uint32_t i, number
        record.refs -= 1
        if record.refs:
            return 0
        for i in range(record.sections):
            number = template_number(record, i)
            if number != NO_TEMPLATE:
                self.catalog.drop(self.catalog.get(number))
        self.records -= 1
        LIVE.records -= 1
        self.keys.drop(self.keys.prefixes[record.prefix])
        self.slab.release(record, record.size)
        return 0

    cdef int expect(self, const Record *record) noexcept:
        cdef uint32_t i, number
        for i in range(record.sections):
            number = template_number(record, i)
            if number != NO_TEMPLATE:
                prefetch_two(self.catalog.get(number))
        prefetch_two(self.keys.prefixes[record.prefix])
        return 0

    cdef int expect_next(self, const Record *record) noexcept:
        cdef Template *template
        cdef uint32_t i, number
        for i in range(record.sections):
            number = template_number(record, i)
            if number == NO_TEMPLATE:
                continue
            template = self.catalog.get(number)
            prefetch_lines(<const char *>template + HEAD, <Py_ssize_t>template.size - HEAD)
            if template.lender != NULL:
                prefetch_lines(template.lender, USUAL)
            template = self.catalog.known(template.successors[0])
            if template != NULL:
                prefetch_lines(template, USUAL)
        return 0

    # --- Reading ---

    cdef Py_ssize_t raw_size(self, Record *record) noexcept:
        cdef unsigned long long size
        payload_of(record, &size)
        return <Py_ssize_t>size

    cdef int write_raw(self, Record *record, char *out) noexcept:
        """The exact bytes that were encoded, to `out`, which has room for raw_size of them."""
        unpack_object(record, self.catalog, self.keys, record.sections, -1, out)
        return 0

    cdef bytes raw(self, Record *record):
        cdef bytes made = PyBytes_FromStringAndSize(NULL, self.raw_size(record))
        self.write_raw(record, PyBytes_AS_STRING(made))
        return made

    cdef Slice read(self, Record *record, int path) except *:
        """The raw JSON of the value at a watched path, valid until the next `read` of any store; a start of NULL:
        nothing there. Decodes no more than the sections up to it."""
        cdef Shape *shape
        cdef uint32_t i, number
        cdef Slice nothing
        nothing.start = NULL
        nothing.size = 0
        for i in range(record.sections):
            number = template_number(record, i)
            if number == NO_TEMPLATE:
                return self.read_whole(record, path)
            shape = self.catalog.get(number).shape
            if path >= <int>shape.place_count or shape.places[path].start == UNRESOLVED:
                return self.read_whole(record, path)
            if shape.places[path].start != NOWHERE:
                return unpack_object(record, self.catalog, self.keys, i + 1, path, text_room(self.raw_size(record)))
        return nothing

    cdef Slice read_whole(self, Record *record, int path) except *:
        """The same by a scan, for objects with sections of no shape."""
        cdef Py_ssize_t size = self.raw_size(record)
        cdef char *text = text_room(size)
        self.write_raw(record, text)
        if scan(text, size, &tape) != NO_FAULT:
            raise MemoryError  # what was encoded is valid
        return span_of(&tape, text, find_path(&tape, text, (<Path>self.paths[path]).raw_steps))

    # --- Keys ---

    cdef Py_ssize_t copy_key(self, Record *record, char *out) noexcept nogil:
        """The key's bytes to `out`, which has room for MAX_KEY; returns their number."""
        cdef Prefix *prefix = self.keys.prefixes[record.prefix]
        memcpy(out, prefix.text, prefix.size)
        memcpy(out + prefix.size, rest_of(record), record.rest)
        return prefix.size + record.rest

    cdef bint is_key(self, Record *record, const char *key, Py_ssize_t size) noexcept nogil:
        cdef Prefix *prefix = self.keys.prefixes[record.prefix]
        return (
            prefix.size + record.rest == size
            and is_same_text(rest_of(record), key + prefix.size, record.rest)
            and is_same_text(prefix.text, key, prefix.size)
        )

    cdef int compare_key(self, Record *record, const char *key, Py_ssize_t size) noexcept nogil:
        """Negative when the record's key is before `key`, 0 when it is the same, positive behind. Order is that of
        bytes, which is that of code points."""
        cdef Prefix *prefix = self.keys.prefixes[record.prefix]
        cdef Py_ssize_t common = min(<Py_ssize_t>prefix.size, size)
        cdef int order = memcmp(prefix.text, key, common)
        if order:
            return order
        if size <= prefix.size:
            return 1 if prefix.size + record.rest > size else 0
        common = min(<Py_ssize_t>record.rest, size - prefix.size)
        order = memcmp(rest_of(record), key + prefix.size, common)
        if order:
            return order
        return (prefix.size + record.rest > size) - (prefix.size + record.rest < size)

    cdef int compare(self, Record *left, Record *right) noexcept nogil:
        """The same between two records' keys."""
        cdef char[MAX_KEY] key
        cdef int order
        if left.prefix == right.prefix:
            order = memcmp(rest_of(left), rest_of(right), min(left.rest, right.rest))
            return order if order else <int>left.rest - <int>right.rest
        return -self.compare_key(right, key, self.copy_key(left, key))

    cdef str key(self, Record *record):
        cdef char[MAX_KEY] text
        return text[: self.copy_key(record, text)].decode()

    cdef str namespace(self, Record *record):
        return <str>self.keys.prefixes[record.prefix].namespace

    cdef str name(self, Record *record):
        cdef char[MAX_KEY] text
        cdef Py_ssize_t size = self.copy_key(record, text)
        cdef Py_ssize_t before = self.keys.prefixes[record.prefix].namespace_size
        if before:
            before += 1
        return text[before:size].decode()

    cdef long long nbytes(self):
        """All that is allocated for records and what they share."""
        return self.slab.used + self.keys.bytes + self.catalog.bytes + self.spare_bytes()

    cdef long long spare_bytes(self):
        """Of blocks that are free and of what tells blocks apart."""
        return self.slab.held - self.slab.used + self.shared.held - self.shared.used
