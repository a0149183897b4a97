"""Selectors answered from columns: which rows, without reading an object."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from engine._columns cimport ABSENT, NO_LINK, NO_VALUE, SINGLE, Column, Value, number_of
from engine._json cimport Slice, value_at
from engine._numberset cimport set_has, set_keep, set_write
from engine._selectors cimport (
    ABSENT as NO_LABEL,
    BLANK,
    ELEMENT,
    EXISTS,
    FIELD,
    IN,
    NOT_IN,
    LabelSelector,
    Requirement,
    term_of,
    text_of_field,
)
from engine._table cimport is_free
from engine._terms cimport Members, hash_of
from libc.stdint cimport uint32_t

cdef enum:
    MAX_ACCEPTED = 256  # candidates that are checked as soon as the selection is made
    MAX_COMPARED = 8  # accepted values that are compared one by one
    ALL = 0x7FFFFFFF
    MAX_IDLE = 1 << 20  # rows that a buffer has room for from one query to the next


# --- Rows -------------------------------------------------------------------------------------------------------------


@cython.final
cdef class RowBuffer:
    """Row numbers."""

    def __dealloc__(self):
        PyMem_Free(self.rows)

    cdef int reserve(self, Py_ssize_t more) except -1:
        cdef Py_ssize_t capacity = self.size + more + self.size // 2
        cdef uint32_t *wider
        if self.size + more > self.capacity:
            wider = <uint32_t *>PyMem_Realloc(self.rows, capacity * sizeof(uint32_t))
            if wider == NULL:
                raise MemoryError
            self.rows = wider
            self.capacity = capacity
        return 0

    cdef int clear(self) except -1:
        self.size = 0
        if self.capacity > MAX_IDLE:
            PyMem_Free(self.rows)
            self.rows = NULL
            self.capacity = 0
        return 0

    cpdef list as_list(self):
        cdef Py_ssize_t i
        return [self.rows[i] for i in range(self.size)]


# --- One condition ----------------------------------------------------------------------------------------------------


@cython.final
cdef class Selection:
    """The rows of a column that meet one condition."""

    def __dealloc__(self):
        PyMem_Free(self.members)
        PyMem_Free(self.checks)
        PyMem_Free(self.accepted)

    # --- Making ---

    cdef int expect(self, bint negative, int requirement, tuple terms) except -1:
        """One more check, in its place by cost."""
        cdef Check made
        cdef uint32_t at
        cdef Check *wider = <Check *>PyMem_Realloc(self.checks, (self.check_count + 1) * sizeof(Check))
        if wider == NULL:
            raise MemoryError
        self.checks = wider
        made.negative = negative
        made.requirement = requirement
        made.first = self.member_count
        made.size = 0
        made.count = 0
        for term in terms:
            self.widen_members()
            self.members[self.member_count] = self.column.terms.find(<bytes>term, self.column)
            if self.members[self.member_count].count:
                made.count += self.members[self.member_count].count
                made.size += 1
                self.member_count += 1
        at = self.check_count
        while at > 0 and costs_more(&self.checks[at - 1], &made):
            self.checks[at] = self.checks[at - 1]
            at -= 1
        self.checks[at] = made
        self.check_count += 1
        return 0

    cdef int admit(self, uint32_t number) except -1:
        """One more member of the only check."""
        self.widen_members()
        self.members[self.member_count].numbers = NULL
        self.members[self.member_count].only = number
        self.members[self.member_count].count = 1
        self.member_count += 1
        self.checks[0].size += 1
        self.checks[0].count += 1
        return 0

    cdef int widen_members(self) except -1:
        cdef Members *wider
        if self.member_count & (self.member_count - 1) == 0:
            wider = <Members *>PyMem_Realloc(self.members, (2 * self.member_count + 1) * sizeof(Members))
            if wider == NULL:
                raise MemoryError
            self.members = wider
        return 0

    cdef int settle(self, long long most) except -1:
        """The checks are complete. Finds the accepted values when there are `most` candidates or fewer."""
        cdef long long distinct = max(<long long>1, <long long>self.column.shared + self.column.singles)
        cdef const Check *first = &self.checks[0]
        cdef uint32_t i
        if first.negative:
            self.rows = self.column.count
            return 0
        if first.count > most:
            self.rows = first.count * (self.column.count // distinct + 1)
            return 0
        self.accepted = self.candidates()
        self.accepted_count = self.sift(self.accepted)
        for i in range(self.accepted_count):
            self.rows += self.column.rows_of(self.accepted[i])
        self.exact = True
        return 0

    cdef uint32_t *candidates(self) except NULL:
        """The members of the first check, which are distinct: a value has one value of a label, one text."""
        cdef const Check *first = &self.checks[0]
        cdef uint32_t *found = <uint32_t *>PyMem_Malloc((first.count + 1) * sizeof(uint32_t))
        cdef uint32_t *out = found
        cdef uint32_t i
        if found == NULL:
            raise MemoryError
        for i in range(first.first, first.first + first.size):
            if self.members[i].numbers == NULL:
                out[0] = self.members[i].only
            else:
                set_write(self.members[i].numbers, out)
            out += self.members[i].count
        return found

    # --- Checking ---

    cdef bint is_among(self, const Check *check, uint32_t number) except -1:
        cdef uint32_t i
        for i in range(check.first, check.first + check.size):
            if self.members[i].numbers == NULL:
                if self.members[i].only == number:
                    return True
            elif set_has(self.members[i].numbers, number):
                return True
        return False

    cdef bint compares(self, uint32_t number) except -1:
        """Whether a value that meets all checks is as great or as small as it must be."""
        cdef uint32_t i
        for i in range(self.check_count):
            if self.checks[i].requirement >= 0:
                labels = value_at(self.column.text_at(number))
                if not (<Requirement>self.requirements[self.checks[i].requirement]).holds(<dict>labels):
                    return False
        return True

    cdef bint meets(self, uint32_t number) except -1:
        cdef uint32_t i
        for i in range(self.check_count):
            if self.is_among(&self.checks[i], number) == self.checks[i].negative:
                return False
        return self.compares(number)

    cdef uint32_t sift(self, uint32_t *candidates) except? NO_VALUE:
        """Keeps the candidates that meet the other checks too; returns how many."""
        cdef uint32_t count = <uint32_t>self.checks[0].count, kept, at, i
        cdef bint compared = self.checks[0].requirement >= 0
        cdef const Check *check
        for i in range(1, self.check_count):
            check = &self.checks[i]
            compared |= check.requirement >= 0
            if check.size == 1 and self.members[check.first].numbers != NULL:
                count = set_keep(self.members[check.first].numbers, not check.negative, candidates, count)
                continue
            kept = 0
            for at in range(count):
                candidates[kept] = candidates[at]
                kept += self.is_among(check, candidates[at]) != check.negative
            count = kept
        if not compared:
            return count
        kept = 0
        for at in range(count):
            candidates[kept] = candidates[at]
            kept += self.compares(candidates[at])
        return kept

    cdef bint holds(self, uint32_t row) except -1:
        cdef uint32_t number = number_of(self.column, row), i
        if number == NO_VALUE:
            return False
        if self.exact and self.accepted_count <= MAX_COMPARED:
            for i in range(self.accepted_count):
                if self.accepted[i] == number:
                    return True
            return False
        return self.meets(number)

    # --- Collecting ---

    cdef int append_rows(self, RowBuffer into, uint32_t number) except -1:
        cdef uint32_t row, at = <uint32_t>into.size
        into.reserve(self.column.rows_of(number))
        if number & SINGLE:
            into.rows[into.size] = number & ~<uint32_t>SINGLE
            into.size += 1
            return 0
        row = (<Value *>self.column.values.at[number]).head
        while row != NO_LINK:
            into.rows[at] = row
            at += 1
            row = self.column.links[row].among.next
        into.size = at
        return 0

    cdef int collect(self, RowBuffer into) except -1:
        cdef uint32_t i, row, number
        cdef uint32_t last = NO_VALUE
        cdef bint met = False
        cdef uint32_t *candidates
        if self.exact:
            for i in range(self.accepted_count):
                self.append_rows(into, self.accepted[i])
            return 0
        if not self.checks[0].negative:
            candidates = self.candidates()
            try:
                for i in range(self.sift(candidates)):
                    self.append_rows(into, candidates[i])
            finally:
                PyMem_Free(candidates)
            return 0
        into.reserve(self.column.count)
        for row in range(self.column.row_end):
            number = self.column.ids[row]
            if number == NO_VALUE:
                continue
            if number != last:
                met = self.meets(number)
                last = number
            if met:
                into.rows[into.size] = row
                into.size += 1
        return 0


cdef inline bint costs_more(const Check *left, const Check *right) noexcept nogil:
    if left.negative != right.negative:
        return left.negative
    return left.count > right.count


# --- Conditions -------------------------------------------------------------------------------------------------------


cdef Selection selection_of(Column column):
    cdef Selection made = Selection.__new__(Selection)
    made.column = column
    return made


cpdef Selection select_labels(Column column, LabelSelector selector):
    cdef Selection made = selection_of(column)
    cdef Requirement requirement
    cdef int place = 0
    made.requirements = selector.terms
    for item in selector.terms:
        requirement = <Requirement>item
        if requirement.operator == IN or requirement.operator == NOT_IN:
            made.expect(requirement.operator == NOT_IN, -1, requirement.alternatives)
        elif requirement.operator == EXISTS or requirement.operator == NO_LABEL:
            made.expect(requirement.operator == NO_LABEL, -1, (requirement.presence,))
        else:
            made.expect(False, place, (requirement.presence,))
        place += 1
    if not selector.terms:
        made.expect(True, -1, ())  # none of nothing: every row
    made.settle(MAX_ACCEPTED)
    return made


cdef int include_plain(Selection made, bytes text) except -1:
    """The value that is this text as a string without escapes. A text with a backslash never is: in quotes it would be
    an escape."""
    cdef bytes raw
    cdef uint32_t number
    if b"\\" in text:
        return 0
    raw = b'"' + text + b'"'
    number = made.column.find(
        PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw), hash_of(PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw))
    )
    if number != NO_VALUE:
        made.admit(number)
    return 0


cpdef Selection select_field(Column column, str value, bint equal):
    cdef Selection made = selection_of(column)
    cdef bytes text = value.encode("utf-8", "surrogatepass")
    made.expect(not equal, -1, (term_of(FIELD, text),) if value else (term_of(BLANK, b""),))
    include_plain(made, text)
    if not value:
        made.admit(ABSENT)
    made.settle(MAX_ACCEPTED)
    return made


cpdef Selection select_value(Column column, str value):
    cdef Selection made = selection_of(column)
    cdef bytes text = value.encode("utf-8", "surrogatepass")
    made.expect(False, -1, (term_of(FIELD, text), term_of(ELEMENT, text)))
    include_plain(made, text)
    made.settle(ALL)
    return made


# --- Several ----------------------------------------------------------------------------------------------------------


cdef Py_ssize_t smallest(list selections) except -1:
    cdef Py_ssize_t i, best = 0
    for i in range(1, len(selections)):
        if (<Selection>selections[i]).rows < (<Selection>selections[best]).rows:
            best = i
    return best


cpdef int gather(list selections, RowBuffer into) except -1:
    cdef Py_ssize_t first = smallest(selections), i, j, kept = 0
    cdef uint32_t row
    into.clear()
    (<Selection>selections[first]).collect(into)
    if len(selections) == 1:
        return 0
    for i in range(into.size):
        row = into.rows[i]
        for j in range(len(selections)):
            if j != first and not (<Selection>selections[j]).holds(row):
                break
        else:
            into.rows[kept] = row
            kept += 1
    into.size = kept
    return 0


cdef int add_texts(set found, Slice raw) except -1:
    """What an index finds this value by."""
    value = value_at(raw)
    if type(value) is list:
        for element in <list>value:
            found.add(text_of_field(element))
    elif value is not None and type(value) is not dict:
        found.add(text_of_field(value))
    return 0


cpdef list distinct_values(Column column):
    cdef set found = set()
    cdef uint32_t number, row
    for number in range(ABSENT + 1, column.values.end):
        if not is_free(&column.values, number):
            add_texts(found, column.text_at(number))
    for row in range(column.row_end if column.singles else 0):
        if column.ids[row] == SINGLE | row:
            add_texts(found, column.text_at(SINGLE | row))
    return sorted(found)
