cimport cython
from engine._json cimport Slice
from engine._path cimport Path
from engine._ring cimport Slot, Verdict
from engine._selectors cimport FieldSelector, LabelSelector
from engine._store cimport Record, Store
from libc.stdint cimport int64_t, uint32_t


cdef enum:
    NONE = -1  # no record
    EXACT = 1  # in a filed mark: the text is just that which readers ask for under this mark


cdef struct Filed:
    # One record in a bucket: marks (hashes, the lowest bit free for EXACT) of its value and of the value before, and
    # how many records ahead the next one stands in the chain of either; 0: nothing is ahead.
    uint32_t mark
    uint32_t before
    uint32_t ahead
    uint32_t ahead_before


@cython.final
cdef class Probe:
    """Reads what selectors ask for from the records of one log."""

    cdef Store store  # None before the first record
    cdef int labels_path  # its number in the store
    # Labels decoded last, of an object and of an older state, with the numbers of their records: many selections judge
    # one record in a row.
    cdef dict labels_now
    cdef dict labels_before
    cdef int64_t now_number
    cdef int64_t before_number
    cdef bytes scratch  # what `text_at` points into

    cdef int watch(self, Path path) except -2
    cdef Slice text_at(self, Path path, int watched, Record *record) except *
    cdef dict labels_at(self, int64_t number, Slot *slot, bint old)


@cython.final
@cython.no_gc_clear  # as FieldBucket; `waiting` can be cleared
cdef class Asked:
    """A value that selections ask for in a bucket."""

    cdef bytes text
    cdef int64_t since  # number of the first record that is filed as EXACT if it has this value
    cdef bint mixed  # another value with the same mark is asked for: nothing is filed as EXACT, nor read as such
    cdef dict waiting  # ordered set of Selections with parked cursors
    cdef Py_ssize_t readers  # Selections alive


@cython.final
@cython.no_gc_clear  # readers look at it when they go; `asked` can be cleared
cdef class FieldBucket:
    """The log by the value of one path, as long as cursors want it: each reads its own value's records only.

    Records whose value, or value before, has the same chain are linked in the order of their numbers. Different values
    may share a chain and even a mark: readers judge what is not EXACT. Evicting a record costs nothing here.
    """

    cdef Path path
    cdef int watched  # the path's number in the store; -1: the store does not watch it
    cdef int64_t since  # number of the first record that is filed here
    cdef Filed *filed  # record number n stands in filed[n & mask]
    cdef int64_t mask
    cdef int64_t *newest  # by chain; NONE: nothing was filed
    cdef dict asked  # mark -> Asked
    cdef Asked met  # by what `mark_in` saw last; None: nobody asks for it

    cdef int resize(self, int64_t capacity, int64_t first, int64_t end) except -1
    cdef uint32_t mark_in(self, Probe probe, Record *record) except? 0
    cdef int file(self, int64_t number, int64_t oldest, uint32_t mark, uint32_t before) noexcept
    cdef int64_t find(self, uint32_t mark, int64_t start, int64_t link, int64_t oldest) noexcept
    cdef long long nbytes(self) noexcept


@cython.final
cdef class Condition:
    """One term of a field selector."""

    cdef Path path
    cdef int watched  # as in FieldBucket
    cdef bytes value
    cdef bint equal
    cdef bint filed  # the one by which the selection is served from a bucket


@cython.final
@cython.no_gc_clear  # as FieldBucket; `parked` can be cleared
cdef class Selection:
    """What some cursors select, judged once for all of them."""

    cdef tuple key  # in the log's `selections`
    cdef str namespace  # None: all
    cdef LabelSelector labels  # None: all
    cdef list conditions
    cdef bint everything
    # Where the records are filed that alone can concern it, and under what; or None.
    cdef FieldBucket bucket
    cdef uint32_t mark
    cdef Asked asked
    cdef dict parked  # ordered set of Cursors
    cdef Py_ssize_t readers  # cursors alive
    cdef int64_t *memo  # verdicts on the last records, once there are two readers: number * VERDICTS + verdict

    cdef int watch(self, Probe probe) except -1
    cdef Condition exact_condition(self)
    cdef int join(self, FieldBucket bucket, Condition condition, int64_t since) except -1
    cdef int leave(self) except -1
    cdef int remember(self) except -1
    cdef Verdict judge(self, Probe probe, int64_t number, Slot *slot) except *
    cdef Verdict judged(self, Probe probe, int64_t number, Slot *slot) except *
    cdef bint selects(self, Probe probe, int64_t number, Slot *slot, bint old) except -1
    cdef bint holds(self, Condition condition, Probe probe, int64_t number, Slot *slot, bint old) except -1


cdef Selection new_selection(tuple key)
cdef FieldBucket new_bucket(Path path, int64_t capacity, int64_t since)
