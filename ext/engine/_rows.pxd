cimport cython
from engine._arena cimport Arena
from engine._epochs cimport Epochs, Kind
from engine._keytable cimport SEGMENT_BITS, KeyTable
from engine._slab cimport Slab
from engine._store cimport Record, Store
from libc.stdint cimport uint32_t, uint64_t


cdef extern from *:
    int trailing_zeros "__builtin_ctzll" (unsigned long long bits) noexcept nogil


cdef enum:
    PAGE_BITS = SEGMENT_BITS  # pages and segments of `KeyTable` are blocks of one arena
    PAGE_ROWS = 1 << PAGE_BITS
    PAGE_WORDS = PAGE_ROWS >> 6
    CHUNK_ROWS = 512  # a chunk is split when it gets longer
    NO_PAGE = 0xFFFFFFFF


# Pages, chunks and moments are written in place only while no snapshot can see them: when they were born after the
# newest snapshot. Otherwise the writer puts a copy in their place, once, and retires them.

cdef struct Page:
    # The current version of each of PAGE_ROWS rows; NULL where no row is.
    Record *records[PAGE_ROWS]


cdef struct Chunk:
    # A run of row numbers in key order. `low` <= the key of each, > those of the chunks before; it never changes, and
    # that of the first chunk means nothing.
    uint64_t born  # the epoch in which it was allocated
    uint32_t *rows  # behind `low`
    uint32_t count  # never 0
    uint32_t room
    uint32_t low_size
    char low[1]


cdef struct Moment:
    # All rows as they stood at one time: what readers walk.
    uint64_t born
    uint32_t count  # of rows
    uint32_t page_count
    uint32_t chunk_count
    uint32_t page_room
    uint32_t chunk_room
    Page **pages  # row number r stands in pages[r >> PAGE_BITS]
    Chunk **chunks  # in key order


cdef struct Place:
    uint32_t chunk
    uint32_t at  # of the chunk's rows; at the very end: {chunk_count, 0}


cdef struct PageUse:
    # What only the writer asks about a page. Pages with free rows are linked.
    uint64_t born  # the epoch in which the page was allocated
    uint64_t[PAGE_WORDS] used
    uint64_t[PAGE_WORDS] fresh  # written since the page was born: no snapshot sees that record
    uint32_t count  # used rows
    uint32_t before
    uint32_t after


@cython.final
@cython.no_gc
cdef class Rows:
    """The rows of one cache: records by key, by row number and in key order, and snapshots of them.

    Nothing here runs Python code. It holds one count of each current record, and of each that only snapshots see.
    """

    cdef Store store
    cdef KeyTable keys
    cdef Arena arena  # for pages and the slots of keys
    cdef Slab slab  # for chunks
    cdef Moment *now
    # Row numbers: the use of each of `now.pages`, and the first of a list of those with free rows.
    cdef PageUse *uses
    cdef uint32_t open
    cdef uint32_t full  # the pages before this one have no free row
    # What is staged: the row, the record that comes (NULL: a removal) and the one that goes (NULL: the key is new), the
    # hash of their key, and its place in key order unless one replaces the other.
    cdef uint32_t row
    cdef Record *coming
    cdef Record *going
    cdef Py_hash_t hash
    cdef Place place
    cdef Epochs epochs
    cdef long long held  # bytes of moments, retired ones too
    cdef Py_ssize_t credit  # records that may be moved

    # Reading
    cdef Record *find(self, const char *key, Py_ssize_t size) noexcept
    cdef Record *neighbour(self, const char *key, Py_ssize_t size) noexcept
    cdef Place seek(self, Moment *moment, const char *key, Py_ssize_t size, bint behind) noexcept nogil
    # Writing: a change is staged, which can fail, then committed or cancelled, which
    # cannot. Nothing else may happen between; readers see nothing of it before the commit.
    cdef uint32_t stage(self, Record *record, Py_hash_t hash, uint32_t row) except? 0xFFFFFFFF
    cdef Record *older(self, Record *record, Py_hash_t hash, uint32_t row) noexcept
    cdef void expect(self, uint32_t row) noexcept
    cdef int stage_removal(self, Record *record, Py_hash_t hash) except -1
    cdef Record *commit(self) noexcept
    cdef void cancel(self) noexcept
    # Snapshots
    cdef Fork fork(self)
    cdef void release(self, uint64_t epoch) noexcept
    cdef long long nbytes(self) noexcept

    # Inside
    cdef int own(self) except -1
    cdef int own_page(self, uint32_t number) except -1
    cdef int own_chunk(self, uint32_t number, uint32_t room) except -1
    cdef int add_page(self) except -1
    cdef void shed_pages(self) noexcept
    cdef uint32_t free_row(self) except? 0xFFFFFFFF
    cdef void link(self, uint32_t number) noexcept
    cdef void unlink(self, uint32_t number) noexcept
    cdef bint displaces(self, uint32_t row, Record *record) noexcept
    cdef Chunk *new_chunk(self, const char *low, uint32_t low_size, uint32_t room) noexcept
    cdef Chunk *copy_chunk(self, const Chunk *seen, uint32_t room) noexcept
    cdef Chunk *refit(self, uint32_t number, uint32_t room) noexcept
    cdef int insert_chunk(self, uint32_t number, Chunk *chunk) except -1
    cdef void remove_chunk(self, uint32_t number) noexcept
    cdef Place room_for(self, Record *record, const char *key, Py_ssize_t size) except *
    cdef int split(self, uint32_t number) except -1
    cdef void merge(self, uint32_t number) noexcept
    cdef void free_unseen(self) noexcept
    cdef void free(self, Kind kind, void *what) noexcept


@cython.final
@cython.no_gc
cdef class Fork:
    """One moment of the rows, unchanged as long as this lives."""

    cdef Rows rows
    cdef Moment *moment
    cdef uint64_t epoch


cdef inline uint32_t first_free(const PageUse *use, uint32_t page) noexcept nogil:
    """The number of a free row; the page has one."""
    cdef uint32_t word = 0
    while use.used[word] == ~<uint64_t>0:
        word += 1
    return (page << PAGE_BITS) + word * 64 + trailing_zeros(~use.used[word])


cdef inline Record **record_slot(Moment *moment, uint32_t row) noexcept nogil:
    return &moment.pages[row >> PAGE_BITS].records[row & (PAGE_ROWS - 1)]


cdef inline Record *record_of(Moment *moment, uint32_t row) noexcept nogil:
    return record_slot(moment, row)[0]


cdef inline Record *record_at(Moment *moment, Place place) noexcept nogil:
    return record_of(moment, moment.chunks[place.chunk].rows[place.at])


cdef inline Place next_place(Moment *moment, Place place) noexcept nogil:
    place.at += 1
    if place.at == moment.chunks[place.chunk].count:
        place.chunk += 1
        place.at = 0
    return place


cdef inline bint is_before(Place left, Place right) noexcept nogil:
    return left.chunk < right.chunk or (left.chunk == right.chunk and left.at < right.at)


cdef inline Place first_place() noexcept nogil:
    cdef Place place
    place.chunk = place.at = 0
    return place


cdef inline Place last_place(Moment *moment) noexcept nogil:
    """Behind the last row."""
    cdef Place place
    place.chunk = moment.chunk_count
    place.at = 0
    return place


cdef Py_ssize_t rows_between(Moment *moment, Place start, Place end) noexcept nogil
