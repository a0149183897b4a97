"""What the readers of a watch log select, and the log by the values they ask for."""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc
from engine._json cimport Slice, value_at
from engine._object cimport value_in, view_of
from engine._path cimport Path, path_of
from engine._ring cimport ADDED, AS_IS, DELETED, ENTERED, IGNORED, LEFT, Slot, Verdict
from engine._selectors cimport FieldSelector, LabelSelector, Requirement, Term, text_of_field
from engine._store cimport Record
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy

cdef enum:
    CHAINS = 4096  # of a bucket; a power of two
    MAX_WATCHED = 64  # paths in one store; those of further selectors are read from whole objects
    MEMO = 1024  # records whose verdict a selection remembers; a power of two
    VERDICTS = 8  # more than there are
    FOLD = 32  # bits

cdef uint64_t SPREAD = 0x9E3779B97F4A7C15  # odd, its bits as irregular as those of the golden ratio

cdef Path LABELS = path_of("metadata.labels")


cdef uint32_t mark_of(Slice text) noexcept nogil:
    """A hash that leaves the lowest bit free. Who makes values collide makes readers look at records that do not
    concern them, nothing worse."""
    cdef uint64_t mark = <uint64_t>text.size * SPREAD
    cdef uint64_t word
    cdef Py_ssize_t at = 0, step
    while at < text.size:
        word = 0
        step = min(text.size - at, <Py_ssize_t>sizeof(word))
        memcpy(&word, text.start + at, step)
        mark = (mark ^ word) * SPREAD
        mark ^= mark >> FOLD
        at += step
    return <uint32_t>mark & ~<uint32_t>EXACT


cdef inline uint32_t chain_of(uint32_t mark) noexcept nogil:
    return (mark >> 1) % CHAINS


cdef inline bint has_mark(Filed *filed, uint32_t mark) noexcept nogil:
    return (filed.mark | EXACT) == (mark | EXACT) or (filed.before | EXACT) == (mark | EXACT)


cdef inline uint32_t *link_of(Filed *filed, uint32_t chain) noexcept nogil:
    return &filed.ahead if chain_of(filed.mark) == chain else &filed.ahead_before


cdef inline bint is_text(Slice text, bytes wanted) noexcept:
    return text.size == len(wanted) and memcmp(text.start, <char *>wanted, text.size) == 0


cdef Slice slice_of(bytes text) noexcept:
    cdef Slice place
    place.start = text
    place.size = len(text)
    return place


# --- Records ----------------------------------------------------------------------------------------------------------


@cython.final
cdef class Probe:
    def __cinit__(self):
        self.labels_path = -1
        self.now_number = self.before_number = NONE

    cdef int watch(self, Path path) except -2:
        """The path's number in the store; -1 while there is no store, and for a path that it does not watch."""
        if self.store is None or path.raw_steps is None:
            return -1
        if len(self.store.paths) >= MAX_WATCHED:
            for number, known in enumerate(self.store.paths):
                if (<Path>known).text == path.text:
                    return number
            return -1
        return self.store.watch(path)

    cdef Slice text_at(self, Path path, int watched, Record *record) except *:
        """What a field selector compares with, in UTF-8; valid until the next call or `read` of the store."""
        cdef Slice place
        if watched < 0:
            value = value_in(view_of(self.store, record), path)
        else:
            place = self.store.read(record, watched)
            if place.start == NULL:
                return slice_of(b"")
            if place.start[0] == c'"' and memchr(place.start, c"\\", place.size) == NULL:
                place.start += 1
                place.size -= 2
                return place
            value = value_at(place)
        self.scratch = text_of_field(value).encode("utf-8", "surrogatepass")
        return slice_of(self.scratch)

    cdef dict labels_at(self, int64_t number, Slot *slot, bint old):
        cdef Slice place
        cdef Record *record = slot.old if old else slot.object
        if number == (self.before_number if old else self.now_number):
            return self.labels_before if old else self.labels_now
        if self.labels_path < 0:
            found = value_in(view_of(self.store, record), LABELS)
        else:
            place = self.store.read(record, self.labels_path)
            found = None if place.start == NULL else value_at(place)
        labels = <dict>found if type(found) is dict else {}
        if old:
            self.labels_before = labels
            self.before_number = number
        else:
            self.labels_now = labels
            self.now_number = number
        return labels


# --- Buckets ----------------------------------------------------------------------------------------------------------


cdef FieldBucket new_bucket(Path path, int64_t capacity, int64_t since):
    cdef FieldBucket bucket = FieldBucket.__new__(FieldBucket)
    cdef int64_t chain
    bucket.path = path
    bucket.watched = -1
    bucket.since = since
    bucket.asked = {}
    bucket.newest = <int64_t *>PyMem_Malloc(CHAINS * sizeof(int64_t))
    if bucket.newest == NULL:
        raise MemoryError
    for chain in range(CHAINS):
        bucket.newest[chain] = NONE
    bucket.resize(capacity, since, since)
    return bucket


@cython.final
@cython.no_gc_clear
cdef class Asked:
    pass


@cython.final
@cython.no_gc_clear
cdef class FieldBucket:
    def __dealloc__(self):
        PyMem_Free(self.filed)
        PyMem_Free(self.newest)

    cdef int resize(self, int64_t capacity, int64_t first, int64_t end) except -1:
        """To a power of two that has room for the records from `first` up to `end`."""
        cdef Filed *filed = <Filed *>PyMem_Malloc(capacity * sizeof(Filed))
        cdef int64_t number
        if filed == NULL:
            raise MemoryError
        for number in range(first, end):
            filed[number & (capacity - 1)] = self.filed[number & self.mask]
        PyMem_Free(self.filed)
        self.filed = filed
        self.mask = capacity - 1
        return 0

    cdef uint32_t mark_in(self, Probe probe, Record *record) except? 0:
        """The mark of what the record has at the path, EXACT when that is what readers ask for; they are `met` then."""
        cdef Slice text = probe.text_at(self.path, self.watched, record)
        cdef uint32_t mark = mark_of(text)
        cdef Asked asked = <Asked>self.asked.get(mark)
        self.met = asked
        if asked is not None and not asked.mixed and is_text(text, asked.text):
            mark |= EXACT
        return mark

    cdef int file(self, int64_t number, int64_t oldest, uint32_t mark, uint32_t before) noexcept:
        """The next record, behind all others. `oldest` is the first that is filed and still there. O(1)"""
        cdef Filed *filed = &self.filed[number & self.mask]
        cdef uint32_t[2] chains
        cdef int64_t newest
        cdef int i
        filed.mark = mark
        filed.before = before
        filed.ahead = filed.ahead_before = 0
        chains[0] = chain_of(mark)
        chains[1] = chain_of(before)
        for i in range(1 if chains[0] == chains[1] else 2):
            newest = self.newest[chains[i]]
            if newest >= oldest:
                link_of(&self.filed[newest & self.mask], chains[i])[0] = <uint32_t>(number - newest)
            self.newest[chains[i]] = number
        return 0

    cdef int64_t find(self, uint32_t mark, int64_t start, int64_t link, int64_t oldest) noexcept:
        """The first record from `start` on that bears the mark; NONE when there is none. `link` is one in its chain and
        not behind `start`, or NONE. O(records of the chain from there); where the ring has lost `link`, O(records from
        `start`)."""
        cdef uint32_t chain = chain_of(mark)
        cdef int64_t at = link
        cdef Filed *filed
        cdef uint32_t ahead
        if self.newest[chain] < start:
            return NONE
        if at < oldest:
            at = start  # the chain's newest record ends this search
            while chain_of(self.filed[at & self.mask].mark) != chain and (
                chain_of(self.filed[at & self.mask].before) != chain
            ):
                at += 1
        while True:
            filed = &self.filed[at & self.mask]
            if at >= start and has_mark(filed, mark):
                return at
            ahead = link_of(filed, chain)[0]
            if ahead == 0:
                return NONE
            at += ahead

    cdef long long nbytes(self) noexcept:
        return (self.mask + 1) * sizeof(Filed) + CHAINS * sizeof(int64_t)


# --- Selections -------------------------------------------------------------------------------------------------------


cdef Selection new_selection(tuple key):
    """`key` is (namespace or None, LabelSelector or None, FieldSelector or None)."""
    cdef Selection made = Selection.__new__(Selection)
    cdef FieldSelector fields = <FieldSelector>key[2]
    cdef Condition condition
    made.key = key
    made.namespace = key[0]
    made.labels = <LabelSelector>key[1]
    made.conditions = []
    made.everything = made.namespace is None and made.labels is None and fields is None
    made.parked = {}
    if fields is not None:
        for item in fields.terms:
            condition = Condition.__new__(Condition)
            condition.path = (<Term>item).path
            condition.watched = -1
            condition.value = (<Term>item).value.encode("utf-8", "surrogatepass")
            condition.equal = (<Term>item).equal
            made.conditions.append(condition)
    return made


@cython.final
cdef class Condition:
    pass


@cython.final
@cython.no_gc_clear
cdef class Selection:
    def __dealloc__(self):
        PyMem_Free(self.memo)

    cdef int watch(self, Probe probe) except -1:
        """Has the store find the selection's paths as it encodes."""
        cdef Condition condition
        if self.labels is not None:
            probe.labels_path = probe.watch(LABELS)
        for item in self.conditions:
            condition = <Condition>item
            condition.watched = probe.watch(condition.path)
        return 0

    cdef Condition exact_condition(self):
        """One that asks for a single value; None when there is none."""
        for condition in self.conditions:
            if (<Condition>condition).equal:
                return <Condition>condition
        return None

    cdef int join(self, FieldBucket bucket, Condition condition, int64_t since) except -1:
        """Only the records of the bucket that have the condition's value concern the selection."""
        cdef uint32_t mark = mark_of(slice_of(condition.value))
        cdef Asked asked = <Asked>bucket.asked.get(mark)
        if asked is None:
            asked = Asked.__new__(Asked)
            asked.text = condition.value
            asked.since = since
            asked.waiting = {}
            bucket.asked[mark] = asked
        elif asked.text != condition.value:
            asked.mixed = True
        asked.readers += 1
        condition.filed = True
        self.bucket = bucket
        self.mark = mark
        self.asked = asked
        return 0

    cdef int leave(self) except -1:
        """Nobody asks any more."""
        self.asked.readers -= 1
        if self.asked.readers == 0:
            self.bucket.asked.pop(self.mark, None)  # nothing is there when the collector came first
        return 0

    cdef int remember(self) except -1:
        """Verdicts are worth keeping from now on."""
        if self.memo == NULL and not self.everything:
            self.memo = <int64_t *>PyMem_Calloc(MEMO, sizeof(int64_t))
            if self.memo == NULL:
                raise MemoryError
        return 0

    cdef Verdict judge(self, Probe probe, int64_t number, Slot *slot) except *:
        cdef Verdict verdict
        cdef int64_t known
        if self.everything:
            return AS_IS
        if self.memo == NULL:
            return self.judged(probe, number, slot)
        # Counted from 1: no number's entry is 0, which stands for nothing.
        known = self.memo[number % MEMO]
        if known // VERDICTS == number + 1:
            return <Verdict>(known % VERDICTS)
        verdict = self.judged(probe, number, slot)
        self.memo[number % MEMO] = (number + 1) * VERDICTS + verdict
        return verdict

    cdef Verdict judged(self, Probe probe, int64_t number, Slot *slot) except *:
        cdef bint now, before
        if self.namespace is not None and probe.store.namespace(slot.object) != self.namespace:
            return IGNORED
        if self.labels is None and not self.conditions:
            return AS_IS
        if slot.change == DELETED:
            return AS_IS if self.selects(probe, number, slot, slot.old != NULL) else IGNORED
        now = self.selects(probe, number, slot, False)
        before = slot.old != NULL and self.selects(probe, number, slot, True)
        if now:
            return AS_IS if before or slot.change == ADDED else ENTERED
        return LEFT if before else IGNORED

    cdef bint selects(self, Probe probe, int64_t number, Slot *slot, bint old) except -1:
        cdef dict labels
        for item in self.conditions:
            if not self.holds(<Condition>item, probe, number, slot, old):
                return False
        if self.labels is not None:
            labels = probe.labels_at(number, slot, old)
            for item in self.labels.terms:
                if not (<Requirement>item).holds(labels):
                    return False
        return True

    cdef bint holds(self, Condition condition, Probe probe, int64_t number, Slot *slot, bint old) except -1:
        cdef Filed *filed
        cdef uint32_t mark
        if condition.filed and number >= self.asked.since and not self.asked.mixed:
            filed = &self.bucket.filed[number & self.bucket.mask]
            mark = filed.before if old else filed.mark
            if mark == self.mark | EXACT:
                return True
            if mark != self.mark:
                return False
        text = probe.text_at(condition.path, condition.watched, slot.old if old else slot.object)
        return is_text(text, condition.value) == condition.equal
