"""How a list is answered: from columns, from key order, or by looking at every object."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.ref cimport Py_INCREF
from engine._columns cimport Column
from engine._hits cimport Hits, new_hits
from engine._indexes cimport Index, Indexes
from engine._object cimport Object, value_in, view_of
from engine._rows cimport (
    Chunk,
    Fork,
    Moment,
    Place,
    Rows,
    first_place,
    is_before,
    last_place,
    next_place,
    record_at,
    rows_between,
)
from engine._selection cimport RowBuffer, Selection, gather, select_field, select_labels, select_value, smallest
from engine._selectors cimport Term, field_selector_of, label_selector_of, text_of_field
from engine._store cimport Record, Store
from libc.stdint cimport uint32_t

cdef extern from "Python.h":
    int PyGC_Disable()  # whether it was enabled
    int PyGC_Enable()

cdef enum:
    SORTING = 5  # what a hit costs that must be put in order, in steps through rows that are
    FEW = 16  # that are never worth a walk

cdef str NAME = "metadata.name"
cdef str NAMESPACE = "metadata.namespace"


cdef Query query_of(str namespace, object label_selector, object field_selector, Py_ssize_t limit, str after):
    cdef Query query = Query.__new__(Query)
    if limit < 0:
        raise ValueError("limit must not be negative")
    query.namespace = namespace or None
    query.labels = label_selector_of(label_selector)
    query.fields = field_selector_of(field_selector)
    query.limit = limit
    query.after = after
    return query


cdef Query query_for(Column column, str value):
    """For the rows of one value of an index."""
    cdef Query query = query_of(None, None, None, 0, "")
    query.column = column
    query.value = value
    return query


cdef Place place_of(Rows rows, Moment *moment, str key, bint behind) except *:
    cdef bytes text = key.encode(errors="surrogatepass")
    return rows.seek(moment, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), behind)


cdef long long rows_about(Moment *moment, Place start, Place end) noexcept:
    """How many rows stand between, chunks being about alike. O(1)."""
    cdef long long rows = <long long>end.at - start.at
    if moment.chunk_count:
        rows += (<long long>end.chunk - start.chunk) * moment.count // moment.chunk_count
    return rows if rows > 0 else 0


# --- Queries ----------------------------------------------------------------------------------------------------------


@cython.final
cdef class Query:
    cdef Place start(self, Rows rows, Moment *moment) except *:
        """Keys of a namespace stand together, behind "namespace/" and before "namespace0" ('0' follows '/')."""
        if self.namespace is not None and self.after < self.namespace + "/":
            return place_of(rows, moment, self.namespace + "/", False)
        return place_of(rows, moment, self.after, self.after != "")

    cdef Place end(self, Rows rows, Moment *moment) except *:
        if self.namespace is None:
            return last_place(moment)
        return place_of(rows, moment, self.namespace + "0", False)

    cdef Place stop(self, Rows rows, Moment *moment, Place place) except *:
        """The end of the range, or of what the limit takes of it from `place` on: to look at one row there is quicker
        than to seek."""
        cdef Py_ssize_t left = self.limit, there
        if self.namespace is None or not left:
            return self.end(rows, moment)
        while place.chunk < moment.chunk_count:
            there = moment.chunks[place.chunk].count - place.at
            if left < there:
                place.at += <uint32_t>left
                if rows.store.namespace(record_at(moment, place)) == self.namespace:
                    return place
                break
            left -= there
            place.chunk += 1
            place.at = 0
        return self.end(rows, moment)

    cdef Py_ssize_t width(self, Rows rows) except -1:
        """How many rows the range has."""
        return rows_between(rows.now, self.start(rows, rows.now), self.end(rows, rows.now))

    cdef bint selects(self, Object obj) except -1:
        """Whether an object of the range meets what columns have not answered."""
        cdef Term term
        if self.terms is None:
            if self.labels is not None and not self.labels.selects(obj):
                return False
            return self.fields is None or self.fields.selects(obj)
        for item in self.terms:
            term = <Term>item
            if (text_of_field(value_in(obj, term.path)) == term.value) != term.equal:
                return False
        return True

    cdef list find(self, Indexes indexes, bint unscoped):
        cdef Hits hits = self.hits(indexes, unscoped)
        if hits is None:
            return self.scan(indexes.store, indexes.rows.fork())
        return self.chosen(hits)

    cdef Hits hits(self, Indexes indexes, bint unscoped):
        """None when objects themselves must be looked at, all of the range."""
        # What columns answer lasts until the next write: so no garbage may be collected in between, which can run
        # anything.
        cdef bint collecting = PyGC_Disable()
        try:
            self.plan(indexes, unscoped)
            return self.found(indexes.rows)
        finally:
            if collecting:
                PyGC_Enable()

    cdef str explained(self, Indexes indexes, bint unscoped):
        cdef Rows rows = indexes.rows
        cdef long long looked_at
        cdef list how = []
        self.plan(indexes, unscoped)
        looked_at = self.width(rows)
        if self.key is not None:
            looked_at = self.one(rows).count
            how.append(f"field {NAME} ({looked_at} rows)")
        for what, selection in zip(self.selectors, self.selections):
            rows_there = (<Selection>selection).rows
            looked_at = min(looked_at, rows_there)
            how.append(f"{'field' if type(what) is str else 'labels'} {what} ({rows_there} rows)")
        if not how:
            how.append("no index" if self.namespace is None else f"namespace {self.namespace}")
        return f"{', '.join(how)}: {looked_at} objects looked at"

    cdef list scan(self, Store store, Fork fork):
        cdef list found = []
        cdef Place place = self.start(fork.rows, fork.moment)
        cdef Place end = self.end(fork.rows, fork.moment)
        cdef Object obj
        while is_before(place, end):
            obj = view_of(store, record_at(fork.moment, place))
            place = next_place(fork.moment, place)
            if self.selects(obj):
                found.append(obj)
                if len(found) == self.limit:
                    break
        return found

    cdef list chosen(self, Hits hits):
        cdef list found
        cdef Py_ssize_t i
        if not self.terms:
            return hits.views(self.limit)
        found = []
        for i in range(hits.count):
            obj = view_of(hits.store, hits.records[i])
            if self.selects(<Object>obj):
                found.append(obj)
                if len(found) == self.limit:
                    break
        return found

    # --- Planning ---

    cdef int plan(self, Indexes indexes, bint unscoped) except -1:
        """`unscoped`: no row has a namespace."""
        self.selections = []
        self.selectors = []
        self.terms = []
        if self.column is not None:
            self.select(select_value(self.column, self.value), self.value)
        if self.fields is not None:
            for term in self.fields.terms:
                self.plan_field(indexes, term, unscoped)
        if self.labels is not None:
            self.select(select_labels(indexes.labels.column, self.labels), self.labels)
        return 0

    cdef int plan_field(self, Indexes indexes, object item, bint unscoped) except -1:
        cdef Term term = <Term>item
        cdef str path = term.path.text
        cdef Index index = <Index>indexes.by_path.get(path)
        if term.equal and term.value:
            if path == NAMESPACE and self.namespace is None:
                self.namespace = term.value
                return 0
            if path == NAME and self.key is None and (self.namespace is not None or unscoped):
                self.key = term.value if self.namespace is None else f"{self.namespace}/{term.value}"
                return 0
        if index is None:
            self.terms.append(term)
            return 0
        return self.select(select_field(index.column, term.value, term.equal), path)

    cdef int select(self, Selection selection, object what) except -1:
        self.selections.append(selection)
        self.selectors.append(what)
        return 0

    cdef long long steps(self, Rows rows) except -1:
        """About how many rows a walk through the range would pass."""
        cdef long long steps = rows_about(rows.now, self.start(rows, rows.now), self.end(rows, rows.now))
        cdef long long hits
        if self.limit and self.selections and not self.terms:
            hits = (<Selection>self.selections[smallest(self.selections)]).rows
            steps = min(steps, 2 * (self.limit * rows.now.count // max(hits, 1) + self.limit))
        return steps

    # --- Finding ---

    cdef Hits found(self, Rows rows):
        cdef long long candidates
        if self.key is not None:
            return self.one(rows)
        if not self.selections:
            return None if self.terms else self.ranged(rows)
        candidates = (<Selection>self.selections[smallest(self.selections)]).rows
        if candidates > FEW and self.steps(rows) < SORTING * candidates:
            return self.walked(rows)
        return self.posted(rows)

    cdef Hits one(self, Rows rows):
        cdef Hits hits = new_hits(rows.store)
        cdef bytes key = self.key.encode(errors="surrogatepass")
        cdef Record *record = rows.find(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
        cdef uint32_t row
        if record == NULL or not self.covers(rows.store, record, self.after.encode(errors="surrogatepass")):
            return hits
        row = record.row
        for selection in self.selections:
            if not (<Selection>selection).holds(row):
                return hits
        hits.add_rows(rows.now, &row, 1)
        return hits

    cdef Hits ranged(self, Rows rows):
        cdef Hits hits = new_hits(rows.store)
        cdef Moment *now = rows.now
        cdef Place place = self.start(rows, now)
        cdef Place end = self.stop(rows, now, place)
        cdef Chunk *chunk
        cdef Py_ssize_t count
        while is_before(place, end):
            chunk = now.chunks[place.chunk]
            count = (end.at if place.chunk == end.chunk else chunk.count) - place.at
            if self.limit and count >= self.limit - hits.count:
                hits.add_rows(now, &chunk.rows[place.at], self.limit - hits.count)
                break
            hits.add_rows(now, &chunk.rows[place.at], count)
            place.chunk += 1
            place.at = 0
        return hits

    cdef Hits posted(self, Rows rows):
        """Rows of the smallest selection that meet the others too, put in order."""
        cdef Hits hits = new_hits(rows.store)
        cdef RowBuffer buffer = RowBuffer()
        cdef bytes after = self.after.encode(errors="surrogatepass")
        cdef Py_ssize_t i, kept = 0
        gather(self.selections, buffer)
        hits.add_rows(rows.now, buffer.rows, buffer.size)
        if self.namespace is not None or after:
            for i in range(hits.count):
                if self.covers(rows.store, hits.records[i], after):
                    hits.records[i], hits.records[kept] = hits.records[kept], hits.records[i]
                    kept += 1
            hits.shrink(kept)
        hits.sort()
        return hits

    cdef Hits walked(self, Rows rows):
        """The same, from rows that stand in order."""
        cdef Hits hits = new_hits(rows.store)
        cdef Moment *now = rows.now
        cdef Place place = self.start(rows, now)
        cdef Place end = self.end(rows, now)
        cdef Py_ssize_t limit = 0 if self.terms else self.limit
        cdef uint32_t row
        while is_before(place, end):
            row = now.chunks[place.chunk].rows[place.at]
            place = next_place(now, place)
            for selection in self.selections:
                if not (<Selection>selection).holds(row):
                    break
            else:
                hits.add_rows(now, &row, 1)
                if hits.count == limit:
                    break
        return hits

    cdef bint covers(self, Store store, Record *record, bytes after) except -1:
        if self.namespace is not None and store.namespace(record) != self.namespace:
            return False
        return not after or store.compare_key(record, PyBytes_AS_STRING(after), PyBytes_GET_SIZE(after)) > 0


# --- Namespaces and keys ----------------------------------------------------------------------------------------------


cdef list namespaces_of(Rows rows):
    """All that rows have, sorted. O(namespaces), and rows without one."""
    cdef Moment *now = rows.now
    cdef Place place = first_place()
    cdef set found = set()
    cdef str namespace
    while is_before(place, last_place(now)):
        namespace = rows.store.namespace(record_at(now, place))
        found.add(namespace)
        place = place_of(rows, now, namespace + "0", False) if namespace else next_place(now, place)
    return sorted(found)


cdef list keys_of(Rows rows, Moment *moment, Place start, Place end):
    # The list is there before the walk begins: from then on only str are made, so that no garbage is collected.
    cdef list keys = PyList_New(rows_between(moment, start, end))
    cdef Py_ssize_t i
    cdef str key
    for i in range(len(keys)):
        key = rows.store.key(record_at(moment, start))
        Py_INCREF(key)
        PyList_SET_ITEM(keys, i, key)
        start = next_place(moment, start)
    return keys
