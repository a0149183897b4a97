cimport cython
from engine._columns cimport Column
from engine._hits cimport Hits
from engine._indexes cimport Indexes
from engine._object cimport Object
from engine._rows cimport Fork, Moment, Place, Rows
from engine._selection cimport Selection
from engine._selectors cimport FieldSelector, LabelSelector
from engine._store cimport Record, Store


@cython.final
cdef class Query:
    """One list: a range of keys, what an object must match, and how many are wanted."""

    cdef str namespace  # None: all
    cdef LabelSelector labels
    cdef FieldSelector fields
    cdef str after
    cdef Py_ssize_t limit  # 0: all
    cdef Column column  # an index that has a `value`; None: no index is asked for by name
    cdef str value
    # Once planned: what columns answer and to what (a label selector, a field's path), the field terms that they do
    # not answer, and the one key that can match when only one can.
    cdef list selections
    cdef list selectors
    cdef list terms
    cdef str key

    cdef Place start(self, Rows rows, Moment *moment) except *
    cdef Place end(self, Rows rows, Moment *moment) except *
    cdef Place stop(self, Rows rows, Moment *moment, Place place) except *
    cdef Py_ssize_t width(self, Rows rows) except -1
    cdef bint selects(self, Object obj) except -1
    # Objects in key order: among the current rows, or in any moment, where every object of the range is looked at.
    cdef list find(self, Indexes indexes, bint unscoped)
    cdef list scan(self, Store store, Fork fork)
    cdef Hits hits(self, Indexes indexes, bint unscoped)
    cdef str explained(self, Indexes indexes, bint unscoped)

    # Inside.
    cdef int plan(self, Indexes indexes, bint unscoped) except -1
    cdef Hits found(self, Rows rows)
    cdef int plan_field(self, Indexes indexes, object term, bint unscoped) except -1
    cdef int select(self, Selection selection, object what) except -1
    cdef long long steps(self, Rows rows) except -1
    cdef Hits one(self, Rows rows)
    cdef Hits ranged(self, Rows rows)
    cdef Hits posted(self, Rows rows)
    cdef Hits walked(self, Rows rows)
    cdef bint covers(self, Store store, Record *record, bytes after) except -1
    cdef list chosen(self, Hits hits)


cdef Query query_of(str namespace, object label_selector, object field_selector, Py_ssize_t limit, str after)
cdef Query query_for(Column column, str value)
cdef list namespaces_of(Rows rows)
cdef list keys_of(Rows rows, Moment *moment, Place start, Place end)
