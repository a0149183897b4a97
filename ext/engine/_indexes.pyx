"""The columns of a cache and what fills them: paths and functions."""

cimport cython
from cpython.list cimport PyList_GET_ITEM
from engine._ahead cimport prefetch
from engine._columns cimport ABSENT, NOTHING, SINGLE, Column, Texts, Value, number_of, text_of_values
from engine._json cimport Slice
from engine._object cimport Object, key_of, view_of
from engine._path cimport path_of
from engine._rows cimport Fork, Place, Rows, is_before, next_place, record_at, record_of
from engine._store cimport ColumnReader, Record, Store
from libc.stdint cimport uint32_t

UNCHANGED = b"unchanged"

cdef str LABELS_PATH = "metadata.labels"


@cython.final
cdef class RowTexts(Texts):
    cdef Slice text_of(self, uint32_t row) except *:
        cdef Record *record = record_of(self.rows.now, row)
        cdef Slice nothing
        if record != NULL:
            return self.store.read(record, self.watched)
        # A row that is staged has none yet, and is asked about when hashes of what it brings are alike.
        nothing.start = NULL
        nothing.size = 0
        return nothing


@cython.final
cdef class RowValues(ColumnReader):
    cdef object value_of(self, Record *record, object default):
        cdef uint32_t number = number_of(self.column, record.row)
        return default if number == ABSENT else self.column.decoded(number)

    cdef int expect(self, const Record *record) noexcept:
        if record.row < self.column.row_end:
            prefetch(&self.column.ids[record.row])
        return 0

    cdef int expect_value(self, const Record *record) noexcept:
        cdef uint32_t number = number_of(self.column, record.row)
        if number < self.column.decoded_room:
            prefetch(self.column.decoded_values[number])
        return 0


@cython.final
cdef class Index:
    cdef bytes text_of(self, Object obj):
        """What the function returns, as a column takes it; None for no values. ValueError with the object's key."""
        cdef tuple found
        try:
            values = self.source(obj)
            if isinstance(values, str):
                raise TypeError("the function must return its values in a list, not one str")
            found = tuple(dict.fromkeys(values))
            for value in found:
                if type(value) is not str:
                    raise TypeError(f"{value!r} is no str")
            return text_of_values(found)
        except Exception as error:
            raise ValueError(f"index {self.name!r} failed for {key_of(obj)}: {error}") from error


@cython.final
cdef class Indexes:
    def __cinit__(self, Store store not None, Rows rows not None):
        self.store = store
        self.rows = rows
        self.all = []
        self.by_path = {}
        self.by_name = {}
        store.columns = {}
        self.labels = self.make(LABELS_PATH, LABELS_PATH, True)
        self.all.append(self.labels)
        self.count = 1
        self.lend(self.labels)

    cdef inline Index at(self, Py_ssize_t number):
        return <Index>PyList_GET_ITEM(self.all, number)

    # --- Which there are ---

    cdef Index add(self, str name, object source):
        """The index with this source, filled with the rows there are; one for all who name the same path."""
        cdef Index index
        if not isinstance(source, str) and not callable(source):
            raise TypeError(f"index {name!r}: the source must be a path or a function")
        index = <Index>self.by_path.get(source) if isinstance(source, str) else None
        if index is None:
            index = self.make(name, source, False)
            self.fill(index)
            self.all.append(index)
            self.count += 1
            if index.path is None:
                self.functions = True
            else:
                self.by_path[source] = index
                self.lend(index)
        return index

    cdef int lend(self, Index index) except -1:
        """To views, which need not decode then."""
        cdef RowValues values = RowValues.__new__(RowValues)
        values.column = index.column
        self.store.columns[index.path.text] = values
        return 0

    cdef Index make(self, str name, object source, bint labels):
        cdef Index index = Index.__new__(Index)
        cdef RowTexts texts
        index.name = name
        index.source = source
        if not isinstance(source, str):
            index.column = Column()
            return index
        index.path = path_of(source)
        index.watched = self.store.watch(index.path)
        texts = RowTexts.__new__(RowTexts)
        texts.store = self.store
        texts.rows = self.rows
        texts.watched = index.watched
        index.column = Column(source, texts, labels=labels)
        return index

    cdef int fill(self, Index index) except -1:
        """From the rows of now, which nobody changes meanwhile, though functions run code of others."""
        cdef Fork fork = self.rows.fork()
        cdef Column column = index.column
        cdef Record *record
        cdef Place place, end
        cdef bytes text
        place.chunk = place.at = end.at = 0
        end.chunk = fork.moment.chunk_count
        while is_before(place, end):
            record = record_at(fork.moment, place)
            if index.path is None:
                text = index.text_of(view_of(self.store, record))
            else:
                text = self.copy_of(record, index.watched)
            column.put(record.row, text)
            place = next_place(fork.moment, place)
        return 0

    cdef bytes copy_of(self, Record *record, int watched):
        """What `read` finds, which lasts until the next `read`: and the column may read too."""
        cdef Slice value = self.store.read(record, watched)
        return None if value.start == NULL else value.start[: value.size]

    # --- Changes ---

    cdef void expect(self, uint32_t row, const Slice *texts) noexcept:
        cdef Py_ssize_t i
        for i in range(self.count):
            if (texts == NULL or texts[i].start != UNCHANGED) and row < self.at(i).column.row_end:
                prefetch(&self.at(i).column.ids[row])

    cdef void expect_values(self, uint32_t row, const Slice *texts) noexcept:
        cdef Column column
        cdef Py_ssize_t i
        cdef uint32_t number
        for i in range(self.count):
            if texts != NULL and texts[i].start == UNCHANGED:
                continue
            column = self.at(i).column
            number = number_of(column, row)
            if not number & SINGLE:
                prefetch(<Value *>column.values.at[number])

    cdef int stage(self, uint32_t row, const Slice *texts, Record *record, const Record *base) except -1:
        cdef Py_ssize_t done = 0
        cdef Index index
        try:
            while done < self.count:
                index = self.at(done)
                if texts[done].start != UNCHANGED:
                    index.column.stage(row, texts[done])
                elif base != NULL and record_of(self.rows.now, row) == base:
                    index.column.change.kind = NOTHING
                else:
                    index.column.stage_text(row, self.copy_of(record, index.watched))
                done += 1
        except BaseException:
            self.cancel(done)
            raise
        return 0

    cdef int stage_removal(self, uint32_t row) except -1:
        cdef Py_ssize_t done = 0
        try:
            while done < self.count:
                self.at(done).column.stage_removal(row)
                done += 1
        except BaseException:
            self.cancel(done)
            raise
        return 0

    cdef int stage_shift(self, uint32_t row, uint32_t to) except -1:
        cdef Py_ssize_t done = 0
        try:
            while done < self.count:
                self.at(done).column.stage_shift(row, to)
                done += 1
        except BaseException:
            self.cancel(done)
            raise
        return 0

    cdef void commit(self) noexcept:
        cdef Py_ssize_t i
        for i in range(self.count):
            self.at(i).column.commit()

    cdef void cancel(self, Py_ssize_t count) noexcept:
        """Of the first `count` columns."""
        cdef Py_ssize_t i
        for i in range(count):
            self.at(i).column.cancel()

    cdef long long nbytes(self):
        cdef long long held = 0
        for index in self.all:
            held += (<Index>index).column.nbytes()
        return held
