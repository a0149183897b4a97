"""What becomes of a batch: its changes are made in rows and columns, and told to the log."""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from engine._ahead cimport prefetch
from engine._batch cimport Batch, Pending, new_batch
from engine._json cimport Slice
from engine._keytable cimport hash_of
from engine._record cimport CURRENT, HEADER, rest_of
from engine._ring cimport ADDED, DELETED, MODIFIED, Change
from engine._rows cimport (
    PAGE_BITS,
    PAGE_ROWS,
    Place,
    Rows,
    first_place,
    is_before,
    last_place,
    next_place,
    record_at,
    record_of,
)
from engine._store cimport MAX_KEY, NO_ROW, Record, Store, hold
from engine._watchlog cimport WatchLog
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp

cdef enum:
    PLACES_AHEAD = 16  # changes before one is made, from which on the places of its row are read from memory
    VALUES_AHEAD = 8  # and from which on what stands there is


cdef int change_rows(Batch batch) except -1:
    """Makes the changes one by one. Those for which there is no memory are taken off the batch."""
    cdef Py_ssize_t made = 0
    try:
        while made < batch.count:
            expect_row(batch, made)
            change_row(batch, made)
            made += 1
    finally:
        batch.shorten(made)
    return 0


cdef int expect_row(Batch batch, Py_ssize_t number) noexcept:
    """Has read from memory what the changes after this one need."""
    cdef Pending *change
    if number + PLACES_AHEAD < batch.count:
        change = &batch.changes[number + PLACES_AHEAD]
        prefetch(change.record)
        batch.rows.keys.expect(change.hash)
        if change.row != NO_ROW:
            batch.rows.expect(change.row)
            batch.indexes.expect(change.row, batch.texts_of(number + PLACES_AHEAD))
    if number + VALUES_AHEAD < batch.count:
        change = &batch.changes[number + VALUES_AHEAD]
        if change.row != NO_ROW and change.row >> PAGE_BITS < batch.rows.now.page_count:
            prefetch(record_of(batch.rows.now, change.row))
            batch.indexes.expect_values(change.row, batch.texts_of(number + VALUES_AHEAD))
    return 0


cdef int change_row(Batch batch, Py_ssize_t number) except -1:
    cdef Pending *change = &batch.changes[number]
    cdef Record *record = change.record
    cdef Record *old
    cdef char[MAX_KEY] key
    if record == NULL:
        return 0
    if change.deletion:
        old = batch.rows.keys.find(key, batch.store.copy_key(record, key), change.hash)
        if old == NULL:
            return 0
        batch.rows.stage_removal(old, change.hash)
        stage_columns(batch, old.row, NULL, NULL, NULL)
    else:
        stage_columns(
            batch,
            batch.rows.stage(record, change.hash, change.row),
            &batch.texts[number * batch.width],
            record,
            change.base,
        )
        hold(record)  # for the rows, beside the batch's
    change.old = batch.rows.commit()
    if change.old != NULL:
        change.old.marks &= ~CURRENT
    batch.indexes.commit()
    if not change.deletion:
        record.marks |= CURRENT
        if change.old == NULL:
            batch.indexes.unscoped += not batch.store.namespace(record)
    else:
        batch.indexes.unscoped -= not batch.store.namespace(change.old)
    return 0


cdef int stage_columns(Batch batch, uint32_t row, const Slice *texts, Record *record, const Record *base) except -1:
    """Of a row that is staged itself. `texts` is NULL for a removal."""
    try:
        if texts == NULL:
            batch.indexes.stage_removal(row)
        else:
            batch.indexes.stage(row, texts, record, base)
    except BaseException:
        batch.rows.cancel()
        raise
    return 0


cdef int tell(WatchLog log, Batch batch, long long replaced) except -1:
    """Adds the changes to the log. `replaced`: the revision of all of a replacement; 0: each has its own."""
    cdef Pending *change
    cdef long long revision
    cdef uint32_t now
    cdef Change kind
    cdef Py_ssize_t i
    if log is None:
        return 0
    try:
        now = log.ticks()
        for i in range(batch.count):
            change = &batch.changes[i]
            if change.record == NULL:
                continue
            revision = replaced or change.record.revision
            if not change.deletion or change.old != NULL:
                kind = DELETED if change.deletion else MODIFIED if change.old != NULL else ADDED
                log.record(kind, change.record, change.old, revision, now)
            elif revision > log.resource_version:
                log.resource_version = revision
    except BaseException:
        # A reader must not miss what the log has no memory for: it lists again.
        log.expire()
        raise
    return 0


cdef Batch compare(Batch wanted):
    """The deletions of what is not wanted any more. What is as it was is taken off `wanted`."""
    cdef Store store = wanted.store
    cdef Rows rows = wanted.rows
    cdef Batch gone = new_batch(store, rows, wanted.indexes)
    cdef Place place = first_place()
    cdef Record *old
    cdef Record *record
    cdef char[MAX_KEY] key
    cdef Py_ssize_t i, size
    cdef uint8_t *kept = <uint8_t *>PyMem_Calloc(rows.now.page_count * PAGE_ROWS, 1)  # by row
    if kept == NULL:
        raise MemoryError
    gone.width = 0  # deletions bring nothing
    try:
        for i in range(wanted.count):
            record = wanted.changes[i].record
            old = rows.keys.find(key, store.copy_key(record, key), wanted.changes[i].hash)
            if old == NULL:
                continue
            kept[old.row] = True
            if is_same(store, old, record):
                wanted.changes[i].record = NULL
                store.drop(record)
        while is_before(place, last_place(rows.now)):
            old = record_at(rows.now, place)
            place = next_place(rows.now, place)
            if not kept[old.row]:
                size = store.copy_key(old, key)
                gone.add_removal(old, hash_of(key, size))
    finally:
        PyMem_Free(kept)
    return gone


cdef bint is_same(Store store, Record *old, Record *new) except -1:
    """Whether they are the same bytes. A revision alone does not tell: a server that lost its data counts anew."""
    if old.revision != new.revision:
        return False
    if old.prefix == new.prefix and old.size == new.size and (
        memcmp(rest_of(old), rest_of(new), old.size - HEADER) == 0
    ):
        return True  # packed alike
    return store.raw_size(old) == store.raw_size(new) and store.raw(old) == store.raw(new)
