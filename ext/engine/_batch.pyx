"""Changes on their way into a cache."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject
from engine._ahead cimport prefetch_lines
from engine._draft cimport draft
from engine._indexes cimport UNCHANGED, Index, Indexes
from engine._json cimport Slice
from engine._keytable cimport hash_of
from engine._object cimport Object, bind, raw_of, view_of
from engine._record cimport LEAVING
from engine._rows cimport Rows
from engine._store cimport MAX_KEY, NO_ROW, Record, Store, hold, peek_key
from engine._views cimport encoded
from libc.string cimport memcmp, memcpy, memset

from collections.abc import Mapping

cdef enum:
    HEAD = 512  # bytes of an item, up to where its key is as a rule
    RECORD = 256
    # Steps until an item's key is looked at, its older version found, what that refers to expected, and what its next
    # version may refer to; and until it is encoded.
    TO_LOOK = 3
    TO_FIND = 6
    TO_EXPECT = 9
    TO_EXPECT_NEXT = 12
    TO_ENCODE = 15
    FIRST_ROOM = 4
    FIRST_BLOCK = 512  # bytes
    MAX_BLOCK = 1 << 18


cdef Batch new_batch(Store store, Rows rows, Indexes indexes):
    cdef Batch batch = Batch.__new__(Batch)
    batch.store = store
    batch.rows = rows
    batch.indexes = indexes
    batch.width = indexes.count
    return batch


cdef bint are_siblings(const char *left, Py_ssize_t left_size, const char *right, Py_ssize_t size) noexcept nogil:
    """Whether two keys agree up to the last "-" of the right one: names that were generated from one."""
    while size and right[size - 1] != c"-":
        size -= 1
    return 0 < size <= left_size and memcmp(left, right, size) == 0


# --- Ahead ------------------------------------------------------------------------------------------------------------


cdef inline bytes text_of(object item):
    """What will be encoded, if that is known before it is asked for."""
    if type(item) is bytes:
        return <bytes>item
    return (<Object>item).data if type(item) is Object and (<Object>item).record == NULL else None


cdef inline void fetch_text(object item) noexcept:
    cdef bytes text = text_of(item)
    if text is not None:
        prefetch_lines(<PyObject *>text, PyBytes_GET_SIZE(text))


cdef int look_at(object item, Coming *coming) except -1:
    """What seems to be the key of an item that will be encoded."""
    cdef bytes data = text_of(item)
    coming.size = -1
    if data is not None:
        coming.size = peek_key(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), coming.key, SHORT_KEY)
        if coming.size > 0:
            coming.hash = hash_of(coming.key, coming.size)
    return 0


@cython.final
@cython.no_gc_clear
cdef class Batch:
    def __dealloc__(self):
        cdef Py_ssize_t i
        cdef Block *block
        for i in range(self.count):
            if self.changes[i].record != NULL:
                self.store.drop(self.changes[i].record)
            if self.changes[i].old != NULL:
                self.store.drop(self.changes[i].old)
            if self.changes[i].base != NULL:
                self.store.drop(self.changes[i].base)
        while self.blocks != NULL:
            block = self.blocks
            self.blocks = block.next
            PyMem_Free(block)
        PyMem_Free(self.changes)
        PyMem_Free(self.texts)

    cdef int shorten(self, Py_ssize_t count) except -1:
        """To the first `count` changes."""
        while self.count > count:
            self.count -= 1
            if self.changes[self.count].record != NULL:
                self.store.drop(self.changes[self.count].record)
            if self.changes[self.count].base != NULL:
                self.store.drop(self.changes[self.count].base)
        return 0

    cdef int add(self, object item, bint deletion) except -1:
        """Encodes an item and asks the index functions about it; all that can be wrong with it is found here."""
        cdef Coming coming
        look_at(item, &coming)
        return self.add_known(item, deletion, &coming)

    cdef int add_all(self, list items, list deletions) except -1:
        """The same for each, with `deletions` None for none. What the next ones need is read from memory meanwhile:
        objects at random over millions would wait for it a dozen times each."""
        cdef Py_ssize_t count = PyList_GET_SIZE(items), i
        cdef Record *record
        cdef Coming *coming
        cdef Coming *ring = <Coming *>PyMem_Malloc(MAX_COMING * sizeof(Coming))
        if ring == NULL:
            raise MemoryError
        try:
            for i in range(count + TO_ENCODE):
                if i < count:
                    prefetch_lines(PyList_GET_ITEM(items, i), HEAD)
                if TO_LOOK <= i < count + TO_LOOK:
                    coming = &ring[(i - TO_LOOK) & (MAX_COMING - 1)]
                    look_at(<object>PyList_GET_ITEM(items, i - TO_LOOK), coming)
                    if coming.size > 0:
                        self.rows.keys.expect(coming.hash)
                if TO_FIND <= i < count + TO_FIND:
                    coming = &ring[(i - TO_FIND) & (MAX_COMING - 1)]
                    if coming.size > 0:
                        prefetch_lines(self.rows.keys.guess(coming.hash), RECORD)
                if TO_EXPECT <= i < count + TO_EXPECT:
                    coming = &ring[(i - TO_EXPECT) & (MAX_COMING - 1)]
                    record = self.rows.keys.guess(coming.hash) if coming.size > 0 else NULL
                    if record != NULL:
                        self.store.expect(record)
                if TO_EXPECT_NEXT <= i < count + TO_EXPECT_NEXT:
                    coming = &ring[(i - TO_EXPECT_NEXT) & (MAX_COMING - 1)]
                    record = self.rows.keys.guess(coming.hash) if coming.size > 0 else NULL
                    if record != NULL:
                        self.store.expect_next(record)
                if TO_ENCODE - 1 <= i < count + TO_ENCODE - 1:
                    fetch_text(<object>PyList_GET_ITEM(items, i - TO_ENCODE + 1))
                if i >= TO_ENCODE:
                    self.add_known(
                        <object>PyList_GET_ITEM(items, i - TO_ENCODE),
                        deletions is not None and <object>PyList_GET_ITEM(deletions, i - TO_ENCODE),
                        &ring[(i - TO_ENCODE) & (MAX_COMING - 1)],
                    )
        finally:
            PyMem_Free(ring)
        return 0

    cdef int add_known(self, object item, bint deletion, const Coming *coming) except -1:
        cdef Object obj = None
        cdef Record *record
        cdef Pending *change
        cdef char[MAX_KEY] key
        cdef bint is_new = True
        cdef Coming here
        cdef bytes raw  # `find_texts` reads what the store found in it
        cdef Record *base = NULL
        self.reserve()
        self.leaned = False
        if type(item) is Object:
            obj = <Object>item
            is_new = obj.record == NULL or obj.store is not self.store
            if is_new:
                raw = raw_of(obj)
                record = self.encode(raw, coming, &base)
            else:
                record = hold(obj.record)
            bind(obj, self.store, record)
        elif type(item) is bytes:
            record = self.encode(<bytes>item, coming, &base)
        elif isinstance(item, (bytearray, memoryview)):
            raw = bytes(item)
            look_at(raw, &here)
            record = self.encode(raw, &here, &base)
        elif isinstance(item, Mapping):
            raw = encoded(item)
            look_at(raw, &here)
            record = self.encode(raw, &here, &base)
        else:
            raise ValueError(f"expected a JSON object, not {type(item).__name__}")
        try:
            self.find_texts(self.count, record, deletion, is_new, obj)
        except BaseException:
            self.store.drop(record)
            raise
        if deletion:
            record.marks |= LEAVING
        change = &self.changes[self.count]
        change.record = record
        change.old = NULL
        if coming.size > 0 and self.store.is_key(record, coming.key, coming.size):
            change.hash = coming.hash
        else:
            change.hash = hash_of(key, self.store.copy_key(record, key))
        change.row = NO_ROW if base == NULL else base.row
        change.base = NULL if base == NULL else hold(base)
        change.deletion = deletion
        self.count += 1
        if self.leaned and draft.founded:
            self.encode_again(self.count - 2)
        return 0

    cdef int encode_again(self, Py_ssize_t number) except -1:
        """The first of siblings, which could not lean on the second one."""
        cdef Record *record = self.changes[number].record
        cdef bytes raw
        if record.refs > 1:
            return 0
        raw = self.store.raw(record)
        self.changes[number].record = self.store.encode(
            PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw), self.changes[number + 1].record, False
        )
        return self.store.drop(record)

    cdef int add_removal(self, Record *record, Py_hash_t hash) except -1:
        """A deletion whose last state is the current one."""
        self.reserve()
        self.changes[self.count].record = hold(record)
        self.changes[self.count].old = NULL
        self.changes[self.count].hash = hash
        self.changes[self.count].row = record.row
        self.changes[self.count].base = NULL
        self.changes[self.count].deletion = True
        self.count += 1
        return 0

    cdef Record *encode(self, bytes data, const Coming *coming, Record **base) except NULL:
        """A new record; `base` is its older version, if there is one."""
        cdef Record *hint = self.hint_for(coming, base)
        try:
            return self.store.encode(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), hint, base[0] != NULL)
        except ValueError as error:
            if coming.size < 0:
                raise
            raise ValueError(f"{coming.key[:coming.size].decode(errors='replace')}: {error}") from None

    cdef Record *hint_for(self, const Coming *coming, Record **base) noexcept:
        """A record that is perhaps like the one that comes: its older version, or a sibling."""
        cdef char[MAX_KEY] last
        cdef Record *found
        if coming.size < 0:
            return NULL
        found = self.rows.keys.find(coming.key, coming.size, coming.hash)
        if found != NULL:
            base[0] = found
            return found
        if self.count:
            found = self.changes[self.count - 1].record
            if are_siblings(last, self.store.copy_key(found, last), coming.key, coming.size):
                self.leaned = True
                return found
        found = self.rows.neighbour(coming.key, coming.size)
        return self.changes[self.count - 1].record if found == NULL and self.count else found

    cdef int reserve(self) except -1:
        """Room for one change more."""
        cdef Py_ssize_t room = 2 * self.room if self.room else FIRST_ROOM
        cdef void *wider
        if self.count < self.room:
            return 0
        wider = PyMem_Realloc(self.changes, room * sizeof(Pending))
        if wider == NULL:
            raise MemoryError
        self.changes = <Pending *>wider
        wider = PyMem_Realloc(self.texts, room * self.width * sizeof(Slice))
        if wider == NULL:
            raise MemoryError
        self.texts = <Slice *>wider
        self.room = room
        return 0

    # --- What indexes want to know ---

    cdef int find_texts(self, Py_ssize_t change, Record *record, bint deletion, bint is_new, Object obj) except -1:
        """The texts of one change. Of a record that was encoded just now, the store still knows where they stand."""
        memset(&self.texts[change * self.width], 0, self.width * sizeof(Slice))
        if deletion:
            return 0
        self.find_values(change, 0, record, is_new)
        if self.indexes.functions:
            self.ask_functions(change, 0, view_of(self.store, record) if obj is None else obj)
        return 0

    cdef int find_values(self, Py_ssize_t change, Py_ssize_t first, Record *record, bint is_new) except -1:
        """At the paths of the indexes from `first` on."""
        cdef Slice *texts = &self.texts[change * self.width]
        cdef Slice *before = texts - self.width if change else texts
        cdef Index index
        cdef Py_ssize_t i
        for i in range(first, self.width):
            index = self.indexes.at(i)
            if index.path is None:
                continue
            if is_new and self.store.keeps(record, index.watched):
                texts[i].start = UNCHANGED
                texts[i].size = 0
            elif is_new:
                texts[i] = self.keep(self.store.value(record, index.watched), before[i])
            else:
                texts[i] = self.keep(self.store.read(record, index.watched), before[i])
        return 0

    cdef int ask_functions(self, Py_ssize_t change, Py_ssize_t first, Object obj) except -1:
        """They may run anything, but for writes to this cache, which are refused: so the arrays stay where they are."""
        cdef Slice text, nothing
        cdef Index index
        cdef bytes answer
        cdef Py_ssize_t i
        nothing.start = NULL
        nothing.size = 0
        for i in range(first, self.width):
            index = self.indexes.at(i)
            if index.path is not None:
                continue
            answer = index.text_of(obj)
            if answer is not None:
                text.start = PyBytes_AS_STRING(answer)
                text.size = PyBytes_GET_SIZE(answer)
                self.texts[change * self.width + i] = self.keep(text, nothing)
        return 0

    cdef Slice keep(self, Slice text, Slice like) except *:
        """A copy that lasts as long as the batch; `like` itself when it is the same, as siblings' labels are."""
        cdef Block *block = self.blocks
        cdef Py_ssize_t size
        if text.start == NULL:
            return text
        if like.start != NULL and like.size == text.size and memcmp(like.start, text.start, text.size) == 0:
            return like
        if block == NULL or block.size - block.used < text.size:
            size = FIRST_BLOCK if block == NULL else min(2 * block.size, <Py_ssize_t>MAX_BLOCK)
            size = max(size, text.size)
            block = <Block *>PyMem_Malloc(sizeof(Block) + size)
            if block == NULL:
                raise MemoryError
            block.next = self.blocks
            block.size = size
            block.used = 0
            self.blocks = block
        memcpy(block.text + block.used, text.start, text.size)
        text.start = block.text + block.used
        block.used += text.size
        return text

    cdef int widen(self) except -1:
        """Texts for indexes that were added since the batch was begun. After an error the batch is of no use."""
        cdef Py_ssize_t before = self.width, after = self.indexes.count, i
        cdef Slice *narrow = self.texts
        cdef Slice *wide
        if before == after:
            return 0
        wide = <Slice *>PyMem_Calloc(self.room * after, sizeof(Slice))
        if wide == NULL:
            raise MemoryError
        for i in range(self.count):
            memcpy(&wide[i * after], &narrow[i * before], before * sizeof(Slice))
        self.texts = wide
        self.width = after
        PyMem_Free(narrow)
        for i in range(self.count):
            self.find_values(i, before, self.changes[i].record, False)
            if self.indexes.functions:
                self.ask_functions(i, before, view_of(self.store, self.changes[i].record))
        return 0
