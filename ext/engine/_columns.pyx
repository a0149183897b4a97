"""What stands at one path, by row, and the rows by value: no Python object per row or value."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_CLEAR, Py_INCREF, Py_XDECREF
from engine._json cimport Slice, value_at
from engine._pages cimport released, resized
from engine._path cimport path_of
from engine._table cimport (
    NO_PLACE,
    flag_of,
    following,
    give_back,
    home_of,
    is_empty,
    is_free,
    is_tagged,
    place,
    places_free,
    places_reserve,
    slot_of,
    table_erase,
    table_find,
    table_free,
    table_insert,
    table_reserve,
)
from engine._terms cimport Terms, ValueTexts, hash_of, leave_common
from libc.stdint cimport uint32_t, uint64_t, uintptr_t
from libc.string cimport memcmp, memcpy, memset

import orjson

cdef enum:
    MIN_ROWS = 64
    DECODED = 48  # bytes of a str beside its characters
    ALIGNMENT = 16  # of what the allocator gives
    WIDER_BY = 16  # row arrays grow by a sixteenth: a place that is not used costs as much as one that is


cdef class Texts:
    """Where a column reads again the values that only one row has."""

    cdef Slice text_of(self, uint32_t row) except *:
        cdef Slice found
        found.start = NULL
        found.size = 0
        self.kept = self.text(row)
        if self.kept is not None:
            found.start = PyBytes_AS_STRING(self.kept)
            found.size = PyBytes_GET_SIZE(self.kept)
        return found

    def text(self, row):
        raise NotImplementedError


cdef inline long long value_nbytes(const Value *value) noexcept nogil:
    return (sizeof(Value) + value.size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


cdef inline long long decoded_nbytes(const Value *value) noexcept nogil:
    """Of what Python has of it."""
    return (DECODED + value.size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


cdef bytes text_of_values(tuple values):
    """What a function returned, as a column takes it; None for no values."""
    if not values:
        return None
    return orjson.dumps(values[0] if len(values) == 1 else values)


@cython.final
cdef class Column(ValueTexts):
    """What stands at one path, by row. The contract of every method is in engine/_columns.pyi."""

    def __cinit__(self, str path=None, Texts texts=None, *, bint labels=False):
        cdef Value *absent
        self.path = None if path is None else path_of(path)
        self.texts = texts
        self.labels = labels
        self.terms = Terms.__new__(Terms)
        self.terms.labels = labels
        self.values.first_free = NO_PLACE
        absent = <Value *>PyMem_Malloc(sizeof(Value))
        if absent == NULL:
            raise MemoryError
        memset(absent, 0, sizeof(Value))
        absent.head = NO_LINK
        try:
            places_reserve(&self.values)
        except MemoryError:
            PyMem_Free(absent)
            raise
        place(&self.values, absent)
        self.value_bytes = value_nbytes(absent)

    def __dealloc__(self):
        cdef uint32_t number
        for number in range(self.values.end):
            if not is_free(&self.values, number):
                PyMem_Free(<Value *>self.values.at[number])
        for number in range(self.decoded_room):
            Py_XDECREF(self.decoded_values[number])
        released(self.decoded_values, self.decoded_room * sizeof(PyObject *))
        places_free(&self.values)
        table_free(&self.numbers)
        released(self.ids, self.id_capacity * sizeof(uint32_t))
        released(self.links, self.link_capacity * sizeof(Link))

    # --- Staging ---

    cdef int stage(self, uint32_t row, Slice raw) except -1:
        cdef uint32_t old = number_of(self, row)
        cdef uint64_t hash = 0
        cdef Value *value
        self.change.kind = NOTHING
        if raw.start == NULL:
            if old == ABSENT:
                return 0
        else:
            if old != ABSENT and not old & SINGLE:
                value = <Value *>self.values.at[old]
                if value.size == raw.size and memcmp(value.text, raw.start, raw.size) == 0:
                    return 0
            hash = hash_of(raw.start, raw.size)
            # Two texts of one row with the same 64 seeded bits: once in 2**64 changes. To read the old one would cost
            # more than all the rest.
            if is_single(old) and self.links[row].hash == hash:
                return 0
        self.reserve_row(row)
        self.prepare_leave(row)
        self.prepare_join(row, raw, hash)
        self.change.row = row
        self.change.hash = hash
        self.change.kind = MOVE
        return 0

    cpdef int stage_text(self, uint32_t row, bytes raw) except -1:
        cdef Slice text
        text.start = NULL
        text.size = 0
        if raw is not None:
            text.start = PyBytes_AS_STRING(raw)
            text.size = PyBytes_GET_SIZE(raw)
        return self.stage(row, text)

    cpdef int stage_removal(self, uint32_t row) except -1:
        self.change.kind = NOTHING
        if number_of(self, row) == NO_VALUE:
            return 0
        self.prepare_leave(row)
        self.change.row = row
        self.change.number = NO_VALUE
        self.change.sibling = NO_LINK
        self.change.kind = REMOVAL
        return 0

    cpdef int stage_shift(self, uint32_t row, uint32_t to) except -1:
        cdef uint32_t number = number_of(self, row)
        self.change.kind = NOTHING
        if number == NO_VALUE:
            return 0
        if number & SINGLE:
            self.terms.scan(&self.terms.leaving, self.text_at(number))
            if self.terms.double(&self.terms.leaving, SINGLE | to) < 0:
                raise MemoryError
        self.change.row = to
        self.change.sibling = row
        self.change.number = number
        self.change.kind = SHIFT
        return 0

    cdef int reserve_row(self, uint32_t row) except -1:
        cdef uint64_t capacity = <uint64_t>row + 1 + row // WIDER_BY + MIN_ROWS
        if row < self.id_capacity and row < self.link_capacity:
            return 0
        if row >= MAX_ROWS:
            raise OverflowError(f"row {row}: a column has {MAX_ROWS} rows at most")
        if self.resize_rows(<uint32_t>capacity) < 0:
            raise MemoryError
        return 0

    cdef int resize_rows(self, uint32_t capacity) noexcept:
        """-1: no memory for both; then one of them may have more room than the other."""
        cdef void *ids = resized(self.ids, self.id_capacity * sizeof(uint32_t), capacity * sizeof(uint32_t))
        cdef void *links
        if ids == NULL:
            return -1
        self.ids = <uint32_t *>ids
        self.id_capacity = capacity
        links = resized(self.links, self.link_capacity * sizeof(Link), capacity * sizeof(Link))
        if links == NULL:
            return -1
        self.links = <Link *>links
        self.link_capacity = capacity
        return 0

    cdef int prepare_leave(self, uint32_t row) except -1:
        """Finds the terms of the value that this row leaves, if nobody has it then, or only one row."""
        cdef uint32_t old = number_of(self, row)
        self.terms.leaving.count = 0
        if old == ABSENT or old == NO_VALUE or self.terms.table.used == 0:
            return 0
        if not old & SINGLE and (<Value *>self.values.at[old]).rows > 2:
            return 0
        return self.terms.scan(&self.terms.leaving, self.text_at(old))

    cdef int prepare_join(self, uint32_t row, Slice raw, uint64_t hash) except -1:
        """Finds or makes the value, not yet seen by anybody."""
        cdef uint32_t number
        self.change.sibling = NO_LINK
        self.change.number = ABSENT
        if raw.start == NULL:
            return 0
        number = self.find(raw.start, raw.size, hash)
        if number != NO_VALUE and not number & SINGLE:
            self.change.number = number
            return 0
        self.terms.scan(&self.terms.arriving, raw)
        table_reserve(&self.numbers, 1)
        if number != NO_VALUE:
            self.change.number = self.make(raw, hash)
            self.change.sibling = number & ~<uint32_t>SINGLE
            if self.terms.double(&self.terms.arriving, self.change.number) < 0:
                self.unmake(self.change.number)
                raise MemoryError
            return 0
        self.change.number = SINGLE | row if self.texts is not None else self.make(raw, hash)
        if self.change.number == number_of(self, row):
            leave_common(&self.terms.leaving, &self.terms.arriving)
        try:
            self.terms.add(&self.terms.arriving, self.change.number, self)
        except BaseException:
            if not self.change.number & SINGLE:
                self.unmake(self.change.number)
            raise
        return 0

    cpdef int cancel(self) noexcept:
        """Forgets what was staged."""
        cdef uint32_t number = self.change.number
        cdef Kind kind = self.change.kind
        self.change.kind = NOTHING
        if kind == SHIFT:
            if number & SINGLE:
                self.terms.undouble(&self.terms.leaving, SINGLE | self.change.row)
        elif kind == MOVE and self.change.sibling != NO_LINK:
            self.terms.undouble(&self.terms.arriving, number)
            self.unmake(number)
        elif kind == MOVE and number & SINGLE:
            self.terms.remove(&self.terms.arriving, number)
        elif kind == MOVE and number != ABSENT and (<Value *>self.values.at[number]).rows == 0:
            self.terms.remove(&self.terms.arriving, number)
            self.unmake(number)
        return self.terms.rest()

    cdef uint32_t make(self, Slice raw, uint64_t hash) except 0:
        """The number of a new value that no row has yet."""
        cdef Value *value
        if raw.size >= NO_VALUE:
            raise OverflowError("a value takes more than 4 GB")
        places_reserve(&self.values)
        value = <Value *>PyMem_Malloc(sizeof(Value) + raw.size)
        if value == NULL:
            raise MemoryError
        value.hash = hash
        value.rows = 0
        value.head = NO_LINK
        value.size = <uint32_t>raw.size
        memcpy(value.text, raw.start, raw.size)
        self.value_bytes += value_nbytes(value)
        return place(&self.values, value)

    cdef int unmake(self, uint32_t number) noexcept:
        cdef Value *value = <Value *>self.values.at[number]
        self.value_bytes -= value_nbytes(value)
        if number < self.decoded_room and self.decoded_values[number] != NULL:
            self.value_bytes -= decoded_nbytes(value)
            Py_CLEAR(self.decoded_values[number])
        give_back(&self.values, number)
        PyMem_Free(value)
        if self.decoded_room > self.values.capacity:
            self.resize_decoded(self.values.capacity)
        return 0

    # --- Committing: nothing here needs memory, or does without what it does not get ---

    cpdef int commit(self) noexcept:
        cdef Kind kind = self.change.kind
        cdef uint32_t row = self.change.row
        if kind == NOTHING:
            return 0
        self.change.kind = NOTHING
        if kind == SHIFT:
            return self.shift(self.change.sibling, row)
        if self.change.sibling != NO_LINK:
            self.share(self.change.sibling, self.change.number)
        self.leave(row)
        if kind == MOVE:
            self.join(row, self.change.number, self.change.hash)
        else:
            self.trim_rows()
        return self.terms.rest()

    cdef int share(self, uint32_t row, uint32_t number) noexcept:
        """The value that `row` had alone gets a number of its own."""
        cdef uint64_t hash = self.links[row].hash
        cdef uint32_t at
        if table_find(&self.numbers, slot_of(hash, True, row), &at):
            self.numbers.slots[at] = slot_of(hash, False, number)
        self.terms.renumber(&self.terms.arriving, SINGLE | row, number)
        self.singles -= 1
        self.shared += 1
        return self.link(row, number)

    cdef int unshare(self, uint32_t number) noexcept:
        """The value that one row is left with gives its number back; without memory for that it stays as it is."""
        cdef Value *value = <Value *>self.values.at[number]
        cdef uint32_t row = value.head, at
        if self.terms.double(&self.terms.leaving, SINGLE | row) < 0:
            return 0
        self.terms.renumber(&self.terms.leaving, number, SINGLE | row)
        if table_find(&self.numbers, slot_of(value.hash, False, number), &at):
            self.numbers.slots[at] = slot_of(value.hash, True, row)
        self.links[row].hash = value.hash
        self.ids[row] = SINGLE | row
        self.singles += 1
        self.shared -= 1
        return self.unmake(number)

    cdef int leave(self, uint32_t row) noexcept:
        cdef uint32_t number = number_of(self, row), at
        cdef Neighbours among
        cdef Value *value
        if number == NO_VALUE:
            return 0
        self.count -= 1
        self.ids[row] = NO_VALUE
        if number & SINGLE:
            if table_find(&self.numbers, slot_of(self.links[row].hash, True, row), &at):
                table_erase(&self.numbers, at)
            self.singles -= 1
            return self.terms.remove(&self.terms.leaving, number)
        value = <Value *>self.values.at[number]
        among = self.links[row].among
        if among.next != NO_LINK:
            self.links[among.next].among.previous = among.previous
        if among.previous != NO_LINK:
            self.links[among.previous].among.next = among.next
        else:
            value.head = among.next
        value.rows -= 1
        if number == ABSENT:
            return 0
        if value.rows == 0:
            if table_find(&self.numbers, slot_of(value.hash, False, number), &at):
                table_erase(&self.numbers, at)
            self.shared -= 1
            self.terms.remove(&self.terms.leaving, number)
            return self.unmake(number)
        if value.rows == 1 and self.texts is not None:
            return self.unshare(number)
        return 0

    cdef int join(self, uint32_t row, uint32_t number, uint64_t hash) noexcept:
        while self.row_end <= row:
            self.ids[self.row_end] = NO_VALUE
            self.row_end += 1
        self.count += 1
        if number & SINGLE:
            self.ids[row] = number
            self.links[row].hash = hash
            self.singles += 1
            return table_insert(&self.numbers, slot_of(hash, True, row))
        if number != ABSENT and (<Value *>self.values.at[number]).rows == 0:
            self.shared += 1
            table_insert(&self.numbers, slot_of(hash, False, number))
        return self.link(row, number)

    cdef int link(self, uint32_t row, uint32_t number) noexcept:
        cdef Value *value = <Value *>self.values.at[number]
        self.ids[row] = number
        self.links[row].among.previous = NO_LINK
        self.links[row].among.next = value.head
        if value.head != NO_LINK:
            self.links[value.head].among.previous = row
        value.head = row
        value.rows += 1
        return 0

    cdef int shift(self, uint32_t row, uint32_t to) noexcept:
        cdef uint32_t number = self.ids[row], at
        cdef Neighbours among
        self.links[to] = self.links[row]
        if number & SINGLE:
            self.terms.renumber(&self.terms.leaving, number, SINGLE | to)
            if table_find(&self.numbers, slot_of(self.links[row].hash, True, row), &at):
                self.numbers.slots[at] = slot_of(self.links[row].hash, True, to)
            number = SINGLE | to
        else:
            among = self.links[row].among
            if among.next != NO_LINK:
                self.links[among.next].among.previous = to
            if among.previous != NO_LINK:
                self.links[among.previous].among.next = to
            else:
                (<Value *>self.values.at[number]).head = to
        self.ids[to] = number
        self.ids[row] = NO_VALUE
        self.trim_rows()
        return self.terms.rest()

    cdef int trim_rows(self) noexcept:
        cdef uint64_t capacity
        while self.row_end and self.ids[self.row_end - 1] == NO_VALUE:
            self.row_end -= 1
        capacity = <uint64_t>self.row_end + MIN_ROWS
        if self.id_capacity > 2 * capacity:
            self.resize_rows(<uint32_t>capacity)  # without memory for less the wide arrays serve as well
        return 0

    cpdef int put(self, uint32_t row, bytes raw) except -1:
        self.stage_text(row, raw)
        return self.commit()

    cpdef int remove(self, uint32_t row) except -1:
        self.stage_removal(row)
        return self.commit()

    # --- Reading ---

    cdef uint32_t find(self, const char *text, Py_ssize_t size, uint64_t hash) except? NO_VALUE:
        """The number of the value with this text; NO_VALUE: no row has it."""
        cdef uint64_t slot
        cdef uint32_t at, number
        cdef Value *value
        cdef Slice other
        if self.numbers.used == 0:
            return NO_VALUE
        at = home_of(&self.numbers, hash)
        while not is_empty(self.numbers.slots[at]):
            slot = self.numbers.slots[at]
            at = following(&self.numbers, at)
            if not is_tagged(slot, hash):
                continue
            number = <uint32_t>slot
            if not flag_of(slot):
                value = <Value *>self.values.at[number]
                if value.hash == hash and value.size == size and memcmp(value.text, text, size) == 0:
                    return number
            elif self.links[number].hash == hash:
                other = self.texts.text_of(number)
                if other.start != NULL and other.size == size and memcmp(other.start, text, size) == 0:
                    return SINGLE | number
        return NO_VALUE

    cdef Slice text_at(self, uint32_t number) except *:
        """The raw JSON of a value, valid until the next call or write."""
        cdef Slice found
        cdef Value *value
        if number & SINGLE:
            return self.texts.text_of(number & ~<uint32_t>SINGLE)
        value = <Value *>self.values.at[number]
        found.start = value.text if number != ABSENT else NULL
        found.size = value.size
        return found

    cdef uint32_t rows_of(self, uint32_t number) noexcept:
        return 1 if number & SINGLE else (<Value *>self.values.at[number]).rows

    cdef object decoded(self, uint32_t number):
        """The value of a number as Python has it; None for nothing. What is shared is decoded once."""
        if number < self.decoded_room and self.decoded_values[number] != NULL:
            return <object>self.decoded_values[number]
        if number == ABSENT or number == NO_VALUE:
            return None
        found = value_at(self.text_at(number))
        if not number & SINGLE and (type(found) is str or type(found) is int or type(found) is float):
            self.keep_decoded(number, found)
        return found

    cdef int keep_decoded(self, uint32_t number, object found) noexcept:
        """If there is memory for it."""
        cdef uint32_t room = self.decoded_room
        if number >= room:
            if self.resize_decoded(self.values.capacity) < 0:
                return 0
            memset(&self.decoded_values[room], 0, (self.decoded_room - room) * sizeof(PyObject *))
        Py_INCREF(found)
        self.decoded_values[number] = <PyObject *>found
        self.value_bytes += decoded_nbytes(<Value *>self.values.at[number])
        return 0

    cdef int resize_decoded(self, uint32_t room) noexcept:
        """-1: no memory, and all is as it was."""
        cdef void *made = resized(
            self.decoded_values, self.decoded_room * sizeof(PyObject *), room * sizeof(PyObject *)
        )
        if made == NULL:
            return -1
        self.decoded_values = <PyObject **>made
        self.decoded_room = room
        return 0

    cpdef object value(self, uint32_t row):
        return self.decoded(number_of(self, row))

    cpdef long long nbytes(self):
        return (
            self.id_capacity * <long long>sizeof(uint32_t)
            + self.link_capacity * <long long>sizeof(Link)
            + <long long>self.values.capacity * sizeof(uintptr_t)
            + <long long>self.decoded_room * sizeof(PyObject *)
            + <long long>self.numbers.capacity * sizeof(uint64_t)
            + self.value_bytes
            + self.terms.nbytes()
        )
