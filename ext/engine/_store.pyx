"""The memory of one cache: objects as records."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from engine._json cimport Slice, find_member, is_plain, loads_exact, locate, skip_space, skip_value, spliced
from engine._path cimport Path, path_of
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

cdef enum:
    # The first watched paths are the store's own.
    NAME_PATH
    NAMESPACE_PATH
    REVISION_PATH
    OWN_PATHS
    MAX_REST = 255  # bytes; what is longer goes into the prefix
    MAX_REVISION_DIGITS = 18  # always fit 64 bits


# --- Keys -------------------------------------------------------------------------------------------------------------


cdef Slice text_of(Slice value) noexcept nogil:
    """What stands in a JSON string without escapes; a size of -1 for any other value."""
    if value.start == NULL or value.size < 2 or value.start[0] != c'"':
        value.size = -1
        return value
    value.start += 1
    value.size -= 2
    return value


cdef int64_t revision_of(Slice value) noexcept nogil:
    cdef Slice text = text_of(value)
    cdef int64_t number = 0
    cdef Py_ssize_t i
    if text.size < 1 or text.size > MAX_REVISION_DIGITS:
        return 0
    for i in range(text.size):
        if not c"0" <= text.start[i] <= c"9":
            return 0
        number = number * 10 + (text.start[i] - c"0")
    return number


cdef Py_ssize_t peek_key(const char *data, Py_ssize_t size, char *out) noexcept nogil:
    """Writes what seems to be the key of the object in `data` to `out`, which has room for MAX_KEY, and returns its
    size, -1 for none. A hint: nothing but bounds is checked."""
    cdef const char *end = data + size
    cdef const char *p = skip_space(data, end)
    cdef const char *metadata
    cdef Slice name, namespace
    cdef Py_ssize_t at = 0
    if p >= end or p[0] != c"{":
        return -1
    metadata = find_member(p, end, b"metadata", 8)
    if metadata == NULL or metadata[0] != c"{":
        return -1
    name.start = find_member(metadata, end, b"name", 4)
    if name.start == NULL:
        return -1
    name.size = skip_value(name.start, end) - name.start
    name = text_of(name)
    namespace.start = find_member(metadata, end, b"namespace", 9)
    if namespace.start != NULL:
        namespace.size = skip_value(namespace.start, end) - namespace.start
        namespace = text_of(namespace)
        if namespace.size > 0 and namespace.size < MAX_KEY // 2:
            memcpy(out, namespace.start, namespace.size)
            out[namespace.size] = c"/"
            at = namespace.size + 1
    if name.size < 1 or at + name.size > MAX_KEY:
        return -1
    memcpy(out + at, name.start, name.size)
    return at + name.size


# --- What views may ask ------------------------------------------------------------------------------------------------


cdef class ColumnReader:
    cdef object value_of(self, Record *record, object default):
        return self.value(record.row, default)


def live():
    return LIVE


# --- The store --------------------------------------------------------------------------------------------------------


@cython.final
cdef class Store:
    def __cinit__(self):
        LIVE.stores += 1
        self.paths = []
        self.prefix_numbers = {}
        self.free_prefixes = []
        self.watch(path_of("metadata.name"))
        self.watch(path_of("metadata.namespace"))
        self.watch(path_of("metadata.resourceVersion"))

    def __dealloc__(self):
        cdef uint32_t number
        LIVE.stores -= 1
        # No record is left: whoever holds one holds the store.
        for number in range(self.prefix_count):
            if self.prefixes[number] != NULL:
                Py_XDECREF(self.prefixes[number].namespace)
                PyMem_Free(self.prefixes[number])
        PyMem_Free(self.prefixes)
        PyMem_Free(self.values)

    cdef int watch(self, Path path) except -1:
        """The number under which the path is found from now on; records that stand already can be `read` at it."""
        cdef Slice *values
        cdef Py_ssize_t count = len(self.paths)
        for number, known in enumerate(self.paths):
            if (<Path>known).text == path.text:
                return number
        values = <Slice *>PyMem_Realloc(self.values, (count + 1) * sizeof(Slice))
        if values == NULL:
            raise MemoryError
        self.values = values
        memset(&values[count], 0, sizeof(Slice))
        self.paths.append(path)
        return count

    # --- Prefixes ---

    cdef uint32_t prefix_for(self, const char *key, Py_ssize_t size, Py_ssize_t namespace_size) except? 0:
        """The number of a prefix that `key` starts with, held for one record more."""
        cdef Py_ssize_t length = namespace_size + 1 if namespace_size else 0
        cdef Prefix *prefix
        cdef bytes text
        if size - length > MAX_REST:
            length = size - MAX_REST
        text = key[:length]
        found = self.prefix_numbers.get(text)
        if found is not None:
            prefix = self.prefixes[<uint32_t>found]
        else:
            prefix = self.new_prefix(text, namespace_size)
        prefix.refs += 1
        return prefix.number

    cdef Prefix *new_prefix(self, bytes text, Py_ssize_t namespace_size) except NULL:
        cdef Prefix **wider
        cdef Prefix *prefix
        cdef Py_ssize_t size = len(text)
        cdef str namespace = text[:namespace_size].decode()
        cdef uint32_t number
        if self.free_prefixes:
            number = self.free_prefixes[len(self.free_prefixes) - 1]
        else:
            if self.prefix_count & (self.prefix_count + 1) == 0:
                wider = <Prefix **>PyMem_Realloc(self.prefixes, (2 * self.prefix_count + 2) * sizeof(Prefix *))
                if wider == NULL:
                    raise MemoryError
                self.prefixes = wider
            number = self.prefix_count
        prefix = <Prefix *>PyMem_Malloc(sizeof(Prefix) + size)
        if prefix == NULL:
            raise MemoryError
        prefix.number = number
        prefix.refs = 0
        prefix.size = <uint32_t>size
        prefix.namespace_size = <uint32_t>namespace_size
        memcpy(prefix.text, PyBytes_AS_STRING(text), size)
        Py_INCREF(namespace)
        prefix.namespace = <PyObject *>namespace
        self.prefixes[number] = prefix
        self.prefix_numbers[text] = number
        LIVE.prefixes += 1
        if self.free_prefixes:
            self.free_prefixes.pop()
        else:
            self.prefix_count += 1
        return prefix

    cdef int drop_prefix(self, Prefix *prefix) except -1:
        prefix.refs -= 1
        if prefix.refs == 0:
            del self.prefix_numbers[prefix.text[: prefix.size]]
            self.free_prefixes.append(prefix.number)
            self.prefixes[prefix.number] = NULL
            LIVE.prefixes -= 1
            Py_XDECREF(prefix.namespace)
            PyMem_Free(prefix)
        return 0

    # --- Records ---

    cdef Record *encode(self, const char *data, Py_ssize_t size, Record *hint) except NULL:
        """A new record, held once by the caller. `hint` is a record that may be like it (its older version, a sibling),
        or NULL. ValueError for what is no object with a name."""
        cdef bytes whole = data[:size]
        cdef Py_ssize_t number
        cdef Slice name, namespace
        cdef Record *record
        cdef uint32_t prefix
        cdef Py_ssize_t rest
        cdef bytes whole_key
        cdef const char *key
        document = loads_exact(whole)
        if type(document) is not dict:
            raise ValueError("expected a JSON object at offset 0")
        if not is_plain(whole):
            raise ValueError("a key occurs twice, or is written with escapes")
        for number in range(len(self.paths)):
            self.values[number] = locate(whole, (<Path>self.paths[number]).raw_steps)
            if self.values[number].start != NULL:
                self.values[number].start = data + (self.values[number].start - PyBytes_AS_STRING(whole))
        name = text_of(self.values[NAME_PATH])
        namespace = text_of(self.values[NAMESPACE_PATH])
        if name.size < 1:
            raise ValueError("object has no metadata.name")
        if namespace.size < 0:
            namespace.size = 0
        if name.size + namespace.size >= MAX_KEY:
            raise ValueError(f"metadata.name and metadata.namespace take more than {MAX_KEY} bytes")
        whole_key = (namespace.start[: namespace.size] + b"/" if namespace.size else b"") + name.start[: name.size]
        key = PyBytes_AS_STRING(whole_key)
        prefix = self.prefix_for(key, len(whole_key), namespace.size)
        rest = len(whole_key) - self.prefixes[prefix].size
        record = <Record *>PyMem_Malloc(sizeof(Record) + rest + size)
        if record == NULL:
            self.drop_prefix(self.prefixes[prefix])
            raise MemoryError
        record.revision = revision_of(self.values[REVISION_PATH])
        record.refs = 1
        record.row = NO_ROW
        record.prefix = prefix
        record.size = <uint32_t>(sizeof(Record) + rest + size)
        record.rest = <uint8_t>rest
        record.viewed = 0
        record.current = 0
        memcpy(<char *>rest_of(record), key + self.prefixes[prefix].size, rest)
        memcpy(<char *>rest_of(record) + rest, data, size)
        self.records += 1
        LIVE.records += 1
        self.record_bytes += record.size
        return record

    cdef Record *restamp(self, Record *record, int64_t revision) except NULL:
        """The same state at another revision, held once by the caller."""
        cdef bytes raw = spliced(self.raw(record), revision)
        return self.encode(raw, len(raw), record)

    cdef bytes raw(self, Record *record):
        """The exact bytes that were encoded."""
        cdef Py_ssize_t before = sizeof(Record) + record.rest
        return PyBytes_FromStringAndSize(<const char *>record + before, record.size - before)

    cdef Slice read(self, Record *record, int path) except *:
        """The raw JSON of the value at a watched path, valid until the next `read`; a start of NULL: nothing there."""
        self.scratch = self.raw(record)
        return locate(self.scratch, (<Path>self.paths[path]).raw_steps)

    cdef int drop(self, Record *record) noexcept:
        """One holder less."""
        record.refs -= 1
        if record.refs == 0:
            self.records -= 1
            LIVE.records -= 1
            self.record_bytes -= record.size
            self.drop_prefix(self.prefixes[record.prefix])
            PyMem_Free(record)
        return 0

    # --- Keys ---

    cdef Py_ssize_t copy_key(self, Record *record, char *out) noexcept:
        """The key's bytes to `out`, which has room for MAX_KEY; returns their number."""
        cdef Prefix *prefix = self.prefixes[record.prefix]
        memcpy(out, prefix.text, prefix.size)
        memcpy(out + prefix.size, rest_of(record), record.rest)
        return prefix.size + record.rest

    cdef bint is_key(self, Record *record, const char *key, Py_ssize_t size) noexcept nogil:
        cdef Prefix *prefix = self.prefixes[record.prefix]
        return (
            prefix.size + record.rest == size
            and memcmp(rest_of(record), key + prefix.size, record.rest) == 0
            and memcmp(prefix.text, key, prefix.size) == 0
        )

    cdef int compare_key(self, Record *record, const char *key, Py_ssize_t size) noexcept nogil:
        """Negative when the record's key is before `key`, 0 when it is the same, positive behind. Order is that of
        bytes, which is that of code points."""
        cdef Prefix *prefix = self.prefixes[record.prefix]
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
        cdef Prefix *prefix = self.prefixes[left.prefix]
        cdef Py_ssize_t common
        cdef int order
        cdef char[MAX_KEY] key
        if left.prefix == right.prefix:
            common = min(left.rest, right.rest)
            order = memcmp(rest_of(left), rest_of(right), common)
            return order if order else <int>left.rest - <int>right.rest
        memcpy(key, prefix.text, prefix.size)
        memcpy(key + prefix.size, rest_of(left), left.rest)
        return -self.compare_key(right, key, prefix.size + left.rest)

    cdef str key(self, Record *record):
        cdef char[MAX_KEY] text
        return text[: self.copy_key(record, text)].decode()

    cdef str namespace(self, Record *record):
        return <str>self.prefixes[record.prefix].namespace

    cdef str name(self, Record *record):
        cdef char[MAX_KEY] text
        cdef Py_ssize_t size = self.copy_key(record, text)
        cdef Py_ssize_t before = self.prefixes[record.prefix].namespace_size
        if before:
            before += 1
        return text[before:size].decode()

    cdef long long nbytes(self):
        return self.record_bytes
