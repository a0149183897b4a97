"""Memory that changes leave behind: records move together in it, the last rows to the numbers of those that went."""

from engine._ahead cimport prefetch_two
from engine._indexes cimport Indexes
from engine._keytable cimport hash_of
from engine._record cimport VIEWED, Record
from engine._rows cimport PAGE_BITS, PAGE_ROWS, PAGE_WORDS, Moment, Place, Rows, first_free, record_of, record_slot
from engine._slab cimport Slab, Span, block_at
from engine._store cimport MAX_KEY
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    int leading_zeros "__builtin_clzll" (unsigned long long bits) noexcept nogil

cdef enum:
    MOVES = 2  # records that are moved for each change, when many blocks are free
    MAX_CREDIT = 4096
    WINDOW = 16  # blocks of a span that are moved together
    LOOKS = 8  # blocks that are looked at cost as much as a move
    SHIFTS = 2  # rows that may get another number for each change
    MIN_PAGES = 4  # from which on
    GAPS = 2  # times the rows there are in numbers are too many


cdef int compact_records(Rows rows, Py_ssize_t changes) noexcept:
    """Empties sparse spans of the store's memory when many blocks are free."""
    cdef Slab slab = rows.store.slab
    cdef Span *span
    cdef uint32_t first
    rows.credit = min(rows.credit + MOVES * changes, <Py_ssize_t>MAX_CREDIT)
    while rows.credit > 0 and rows.epochs.fork_count == 0:
        span = slab.take_sparse()
        if span == NULL:
            break
        rows.credit -= span.fresh // LOOKS + span.used  # though some of them may be held by others
        for first in range(0, span.fresh, <uint32_t>WINDOW):
            move_some(rows, span, first, min(first + <uint32_t>WINDOW, <uint32_t>span.fresh))
        slab.put_back(span)
    return 0


cdef int move_some(Rows rows, Span *span, uint32_t first, uint32_t behind) noexcept:
    """Each step for all blocks, so that memory is waited for once."""
    cdef char[MAX_KEY] key
    cdef Record *moving[WINDOW]
    cdef Py_hash_t[WINDOW] hashes
    cdef Record *record
    cdef uint32_t i, count = 0
    for i in range(first, behind):
        record = <Record *>block_at(span, i)
        if may_move(record):
            rows.expect(record.row)
            prefetch_two(rows.store.keys.prefixes[record.prefix])
    for i in range(first, behind):
        record = <Record *>block_at(span, i)
        if may_move(record) and holds(rows, record):
            moving[count] = record
            hashes[count] = hash_of(key, rows.store.copy_key(record, key))
            rows.keys.expect(hashes[count])
            count += 1
    for i in range(count):
        move(rows, moving[i], hashes[i])
    return 0


cdef inline bint may_move(const Record *record) noexcept:
    """Nobody but rows may hold it. (A free block is a record without holders.)"""
    return record.refs == 1 and not record.marks & VIEWED


cdef bint holds(Rows rows, const Record *record) noexcept:
    return record.row >> PAGE_BITS < rows.now.page_count and record_of(rows.now, record.row) == record


cdef bint move(Rows rows, Record *record, Py_hash_t hash) noexcept:
    """To another block of its size; nobody else holds it."""
    cdef Record *moved = <Record *>rows.store.slab.allocate(record.size)
    if moved == NULL:
        return False
    memcpy(moved, record, record.size)
    record_slot(rows.now, record.row)[0] = moved
    rows.keys.exchange(record, moved, hash)
    record.refs = 0
    rows.store.slab.release(record, record.size)
    return True


cdef int close_gaps(Rows rows, Indexes indexes, Py_ssize_t changes) noexcept:
    """Gives the last rows free numbers when many are free, as mass deletes leave them: columns take memory up to the
    highest one."""
    cdef uint32_t row, to
    try:
        for _change in range(SHIFTS * changes):
            if not find_shift(rows, &row, &to):
                break
            indexes.stage_shift(row, to)
            indexes.commit()
            shift(rows, row, to)
    except MemoryError:
        pass  # the next write tries again
    return 0


cdef bint find_shift(Rows rows, uint32_t *row, uint32_t *to) noexcept:
    """The last row, and the lowest free number."""
    cdef Moment *now = rows.now
    cdef uint32_t last, word = PAGE_WORDS - 1
    if rows.epochs.fork_count:
        return False
    rows.shed_pages()  # that a snapshot kept
    if now.page_count < MIN_PAGES or <uint64_t>now.page_count * PAGE_ROWS < GAPS * <uint64_t>now.count:
        return False
    last = now.page_count - 1
    while rows.full < last and rows.uses[rows.full].count == PAGE_ROWS:
        rows.full += 1
    if rows.full >= last:
        return False
    while rows.uses[last].used[word] == 0:
        word -= 1
    row[0] = (last << PAGE_BITS) + word * 64 + 63 - leading_zeros(rows.uses[last].used[word])
    to[0] = first_free(&rows.uses[rows.full], rows.full)
    return True


cdef int shift(Rows rows, uint32_t row, uint32_t to) noexcept:
    cdef char[MAX_KEY] key
    cdef Record *record = record_of(rows.now, row)
    cdef Place place = rows.seek(rows.now, key, rows.store.copy_key(record, key), False)
    rows.now.chunks[place.chunk].rows[place.at] = to
    rows.displaces(to, record)
    rows.displaces(row, NULL)
    record.row = to
    rows.shed_pages()
    return 0
