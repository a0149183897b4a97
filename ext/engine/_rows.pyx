"""The rows of a cache: by key, by number and in key order, shared with snapshots until they change."""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc, PyMem_Realloc
from engine._ahead cimport prefetch
from engine._arena cimport new_arena
from engine._epochs cimport CHUNK, MOMENT, PAGE, RECORD, Epochs, Kind, Retired
from engine._keytable cimport KeyTable, hash_of
from engine._slab cimport Slab
from engine._store cimport MAX_KEY, Record, Store, hold
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memmove, memset

cdef enum:
    FIRST_ROOM = 8  # of arrays that double
    PROBES = 8  # places that a search looks at together, so that memory is waited for once
    SPARSE_ROWS = CHUNK_ROWS >> 2  # a chunk with fewer joins a neighbour
    MERGED_ROWS = CHUNK_ROWS - SPARSE_ROWS  # if they are no more than this together
    CHUNK_STEP = 256  # bytes by which chunks differ
    SPARE_ROWS = 128  # a chunk with room for more is made smaller


cdef inline bint is_set(uint64_t *bits, uint32_t at) noexcept nogil:
    return bits[at >> 6] >> (at & 63) & 1


cdef inline void set_bit(uint64_t *bits, uint32_t at) noexcept nogil:
    bits[at >> 6] |= <uint64_t>1 << (at & 63)


cdef inline void clear_bit(uint64_t *bits, uint32_t at) noexcept nogil:
    bits[at >> 6] &= ~(<uint64_t>1 << (at & 63))


cdef inline size_t head_bytes(size_t low_size) noexcept nogil:
    """Of a chunk: its header and `low`, up to where row numbers may stand."""
    return (sizeof(Chunk) + low_size + 7) & ~<size_t>7


cdef inline size_t chunk_bytes(const Chunk *chunk) noexcept nogil:
    return head_bytes(chunk.low_size) + chunk.room * sizeof(uint32_t)


cdef inline Py_ssize_t moment_bytes(Moment *moment) noexcept nogil:
    return sizeof(Moment) + (<Py_ssize_t>moment.page_room + moment.chunk_room) * sizeof(void *)


cdef void *grown(void *array, uint32_t *room, uint32_t count, Py_ssize_t size) except NULL:
    """An array that has room for one more than `count`."""
    cdef uint32_t wider = room[0]
    cdef void *made = array
    if count == room[0]:
        wider = 2 * room[0] if room[0] else FIRST_ROOM
        made = PyMem_Realloc(array, wider * size)
        if made == NULL:
            raise MemoryError
    room[0] = wider
    return made


cdef Py_ssize_t shared_bytes(const char *left, const char *right, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t at = 0
    while at < size and left[at] == right[at]:
        at += 1
    return at


cdef int compare_keys(const char *left, Py_ssize_t left_size, const char *right, Py_ssize_t size) noexcept nogil:
    cdef int order = memcmp(left, right, min(left_size, size))
    return order if order else (left_size > size) - (left_size < size)


cdef uint32_t chunk_for(Moment *moment, const char *key, Py_ssize_t size) noexcept nogil:
    """The last chunk whose `low` is no more than the key; there must be chunks."""
    cdef uint32_t low = 1, high = moment.chunk_count, step, at, i
    cdef Chunk *chunk
    while low < high:
        step = (high - low - 1) // PROBES + 1
        for i in range((high - low - 1) // step + 1):
            prefetch(moment.chunks[low + i * step])
        at = low
        while at < high:
            chunk = moment.chunks[at]
            if compare_keys(chunk.low, chunk.low_size, key, size) > 0:
                break
            low = at + 1
            at += step
        high = min(high, at)
    return low - 1


cdef inline void open_gap(Chunk *chunk, uint32_t at) noexcept nogil:
    memmove(&chunk.rows[at + 1], &chunk.rows[at], (chunk.count - at) * sizeof(uint32_t))
    chunk.count += 1


cdef inline void close_gap(Chunk *chunk, uint32_t at) noexcept nogil:
    chunk.count -= 1
    memmove(&chunk.rows[at], &chunk.rows[at + 1], (chunk.count - at) * sizeof(uint32_t))


cdef Py_ssize_t rows_between(Moment *moment, Place start, Place end) noexcept nogil:
    cdef Py_ssize_t rows = <Py_ssize_t>end.at - start.at
    cdef uint32_t chunk
    for chunk in range(start.chunk, end.chunk):
        rows += moment.chunks[chunk].count
    return rows if rows > 0 else 0


@cython.final
@cython.no_gc
cdef class Rows:
    def __cinit__(self, Store store not None):
        self.store = store
        self.keys = KeyTable.__new__(KeyTable)
        self.keys.store = store
        self.arena = self.keys.arena = new_arena(sizeof(Page))
        self.slab = Slab.__new__(Slab)
        self.open = NO_PAGE
        self.epochs = Epochs.__new__(Epochs)
        self.now = <Moment *>PyMem_Calloc(1, sizeof(Moment))
        if self.now == NULL:
            raise MemoryError
        self.now.born = self.epochs.now
        self.held = moment_bytes(self.now)

    def __dealloc__(self):
        cdef uint32_t number, at
        cdef Record *record
        # No fork is left: each holds these rows.
        self.free_unseen()
        if self.now != NULL:
            for number in range(self.now.page_count):
                for at in range(PAGE_ROWS):
                    record = self.now.pages[number].records[at]
                    if record != NULL:
                        self.store.drop(record)
                self.free(PAGE, self.now.pages[number])
            for number in range(self.now.chunk_count):
                self.free(CHUNK, self.now.chunks[number])
            self.free(MOMENT, self.now)
        PyMem_Free(self.uses)

    # --- Reading ---

    cdef Record *find(self, const char *key, Py_ssize_t size) noexcept:
        """Borrowed; NULL when there is none. Only of the current rows: in a snapshot, `seek`."""
        return self.keys.find(key, size, hash_of(key, size))

    cdef Place seek(self, Moment *moment, const char *key, Py_ssize_t size, bint behind) noexcept nogil:
        """Where the first key >= `key` stands, or > `key` when `behind`."""
        cdef uint32_t low = 0, high, step, count, at, i
        cdef int order
        cdef Chunk *chunk
        cdef Place place
        place.chunk = place.at = 0
        if moment.chunk_count == 0:
            return place
        place.chunk = chunk_for(moment, key, size)
        chunk = moment.chunks[place.chunk]
        high = chunk.count
        while low < high:
            step = (high - low - 1) // PROBES + 1
            count = (high - low - 1) // step + 1
            for i in range(count):
                prefetch(record_slot(moment, chunk.rows[low + i * step]))
            for i in range(count):
                prefetch(record_slot(moment, chunk.rows[low + i * step])[0])
            at = low
            while at < high:
                order = self.store.compare_key(record_of(moment, chunk.rows[at]), key, size)
                if order > 0 or (order == 0 and not behind):
                    break
                low = at + 1
                at += step
            high = min(high, at)
        place.at = low
        if place.at == chunk.count:
            place.chunk += 1
            place.at = 0
        return place

    cdef Record *neighbour(self, const char *key, Py_ssize_t size) noexcept:
        """Of the two records between which `key` would stand, the one whose key begins more like it; borrowed. NULL
        when there are no rows."""
        cdef Moment *now = self.now
        cdef Place place
        cdef Record *after = NULL
        cdef Record *before = NULL
        cdef char[MAX_KEY] text
        cdef Py_ssize_t shared
        place = self.seek(now, key, size, False)
        if place.chunk < now.chunk_count:
            after = record_at(now, place)
        if place.at > 0:
            before = record_of(now, now.chunks[place.chunk].rows[place.at - 1])
        elif place.chunk > 0:
            before = record_of(now, now.chunks[place.chunk - 1].rows[now.chunks[place.chunk - 1].count - 1])
        if before == NULL or after == NULL:
            return after if before == NULL else before
        shared = shared_bytes(text, key, min(self.store.copy_key(before, text), size))
        return before if shared >= shared_bytes(text, key, min(self.store.copy_key(after, text), size)) else after

    # --- Writing ---

    cdef void expect(self, uint32_t row) noexcept:
        """The row will be staged: has its record's address read."""
        if row >> PAGE_BITS < self.now.page_count:
            prefetch(&self.uses[row >> PAGE_BITS].fresh[(row & (PAGE_ROWS - 1)) >> 6])
            prefetch(record_slot(self.now, row))

    cdef Record *older(self, Record *record, Py_hash_t hash, uint32_t row) noexcept:
        """The current version of what `record` is a version of, borrowed; NULL when there is none. It is in `row`,
        unless rows changed since that was found out."""
        cdef char[MAX_KEY] key
        cdef Record *found = NULL
        if row >> PAGE_BITS < self.now.page_count:
            found = record_of(self.now, row)
            if found != NULL and self.store.compare(found, record) == 0:
                return found
        return self.keys.find(key, self.store.copy_key(record, key), hash)

    cdef uint32_t stage(self, Record *record, Py_hash_t hash, uint32_t row) except? 0xFFFFFFFF:
        """Readies the rows for `record`, whose key has this hash and whose older version is perhaps in `row`, and
        returns the number of its row."""
        cdef char[MAX_KEY] key
        cdef Py_ssize_t size
        self.own()
        self.epochs.expect(1)
        self.coming = record
        self.going = self.older(record, hash, row)
        self.hash = hash
        if self.going != NULL:
            self.own_page(self.going.row >> PAGE_BITS)
            self.row = self.going.row
        else:
            self.keys.reserve(hash)
            self.row = self.free_row()
            size = self.store.copy_key(record, key)
            self.place = self.room_for(record, key, size)
        return self.row

    cdef int stage_removal(self, Record *record, Py_hash_t hash) except -1:
        """Likewise for taking a current record away."""
        cdef char[MAX_KEY] key
        cdef Py_ssize_t size = self.store.copy_key(record, key)
        self.own()
        self.epochs.expect(1)
        self.coming = NULL
        self.going = record
        self.hash = hash
        self.row = record.row
        self.place = self.seek(self.now, key, size, False)
        self.own_page(self.row >> PAGE_BITS)
        self.own_chunk(self.place.chunk, 0)
        return 0

    cdef Record *commit(self) noexcept:
        """Does what was staged, and takes over the hold on the record that comes. The one that goes is the caller's."""
        cdef Record *coming = self.coming
        cdef Record *going = self.going
        cdef Chunk *chunk
        if self.displaces(self.row, coming):
            self.epochs.retire(RECORD, hold(going))
        if coming != NULL:
            coming.row = self.row
        if going == NULL:
            chunk = self.now.chunks[self.place.chunk]
            open_gap(chunk, self.place.at)
            chunk.rows[self.place.at] = self.row
            self.keys.add(coming, self.hash)
            self.now.count += 1
        elif coming != NULL:
            self.keys.exchange(going, coming, self.hash)
        else:
            self.keys.remove(going, self.hash)
            chunk = self.now.chunks[self.place.chunk]
            close_gap(chunk, self.place.at)
            self.now.count -= 1
            if chunk.count < SPARSE_ROWS:
                self.merge(self.place.chunk)
            elif chunk.room - chunk.count > SPARE_ROWS:
                self.refit(self.place.chunk, chunk.count)  # without memory for it, it stays as it is
            self.shed_pages()
        return going

    cdef void cancel(self) noexcept:
        """Forgets what was staged."""
        if self.going == NULL and self.now.chunks[self.place.chunk].count == 0:
            self.remove_chunk(self.place.chunk)

    cdef bint displaces(self, uint32_t row, Record *record) noexcept:
        """Writes a row (NULL: frees it) in a page that may change. Whether a snapshot may see what stood there."""
        cdef uint32_t number = row >> PAGE_BITS
        cdef uint32_t at = row & (PAGE_ROWS - 1)
        cdef PageUse *use = &self.uses[number]
        cdef bint seen = self.epochs.fork_count > 0 and is_set(use.used, at) and not is_set(use.fresh, at)
        self.now.pages[number].records[at] = record
        set_bit(use.fresh, at)
        if record == NULL:
            clear_bit(use.used, at)
            if use.count == PAGE_ROWS:
                self.link(number)
            use.count -= 1
        elif not is_set(use.used, at):
            set_bit(use.used, at)
            use.count += 1
            if use.count == PAGE_ROWS:
                self.unlink(number)
        return seen

    # --- What may be written in place ---

    cdef int own(self) except -1:
        cdef Moment *seen = self.now
        cdef Moment *made
        if self.epochs.may_change(seen.born):
            return 0
        self.epochs.expect(1)
        made = <Moment *>PyMem_Malloc(sizeof(Moment))
        if made == NULL:
            raise MemoryError
        made[0] = seen[0]
        made.born = self.epochs.now
        made.pages = <Page **>PyMem_Malloc(seen.page_room * sizeof(void *))
        made.chunks = <Chunk **>PyMem_Malloc(seen.chunk_room * sizeof(void *))
        if made.pages == NULL or made.chunks == NULL:
            PyMem_Free(made.pages)
            PyMem_Free(made.chunks)
            PyMem_Free(made)
            raise MemoryError
        if seen.page_count:
            memcpy(made.pages, seen.pages, seen.page_count * sizeof(void *))
            memcpy(made.chunks, seen.chunks, seen.chunk_count * sizeof(void *))
        self.held += moment_bytes(made)
        self.now = made
        self.epochs.retire(MOMENT, seen)
        return 0

    cdef int own_page(self, uint32_t number) except -1:
        cdef Page *seen = self.now.pages[number]
        cdef Page *made
        if self.epochs.may_change(self.uses[number].born):
            return 0
        self.epochs.expect(2)  # one is the caller's
        made = <Page *>self.arena.allocate()
        if made == NULL:
            raise MemoryError
        made[0] = seen[0]
        self.uses[number].born = self.epochs.now
        memset(self.uses[number].fresh, 0, sizeof(self.uses[number].fresh))
        self.now.pages[number] = made
        self.epochs.retire(PAGE, seen)
        return 0

    cdef int own_chunk(self, uint32_t number, uint32_t room) except -1:
        """One with room for so many rows."""
        cdef Chunk *seen = self.now.chunks[number]
        cdef Chunk *made
        if self.epochs.may_change(seen.born):
            if seen.room >= room:
                return 0
            if self.refit(number, room) == NULL:
                raise MemoryError
            return 0
        self.epochs.expect(2)  # one is the caller's
        made = self.copy_chunk(seen, room)
        if made == NULL:
            raise MemoryError
        self.now.chunks[number] = made
        self.epochs.retire(CHUNK, seen)
        return 0

    # --- Row numbers ---

    cdef uint32_t free_row(self) except? 0xFFFFFFFF:
        """The number of a row that is free, in a page that may change."""
        if self.open == NO_PAGE:
            self.add_page()
        self.own_page(self.open)
        return first_free(&self.uses[self.open], self.open)

    cdef int add_page(self) except -1:
        cdef Moment *now = self.now
        cdef uint32_t room = now.page_room
        cdef PageUse *uses
        cdef Page *page
        if now.page_count == NO_PAGE >> PAGE_BITS:
            raise MemoryError("a cache has no more than 2**32 rows")
        now.pages = <Page **>grown(now.pages, &now.page_room, now.page_count, sizeof(void *))
        self.held += (now.page_room - room) * sizeof(void *)
        uses = <PageUse *>PyMem_Realloc(self.uses, now.page_room * sizeof(PageUse))
        if uses == NULL:
            raise MemoryError
        self.uses = uses
        page = <Page *>self.arena.allocate()
        if page == NULL:
            raise MemoryError
        memset(page, 0, sizeof(Page))
        memset(&uses[now.page_count], 0, sizeof(PageUse))
        uses[now.page_count].born = self.epochs.now
        now.pages[now.page_count] = page
        now.page_count += 1
        self.link(now.page_count - 1)
        return 0

    cdef void shed_pages(self) noexcept:
        """Empty pages at the end go. (One that a snapshot sees stays until a later call.)"""
        cdef Moment *now = self.now
        while now.page_count and self.uses[now.page_count - 1].count == 0:
            if not self.epochs.may_change(self.uses[now.page_count - 1].born):
                return
            now.page_count -= 1
            self.unlink(now.page_count)
            self.free(PAGE, now.pages[now.page_count])

    cdef void link(self, uint32_t number) noexcept:
        self.full = min(self.full, number)
        self.uses[number].before = NO_PAGE
        self.uses[number].after = self.open
        if self.open != NO_PAGE:
            self.uses[self.open].before = number
        self.open = number

    cdef void unlink(self, uint32_t number) noexcept:
        cdef PageUse *use = &self.uses[number]
        if use.before == NO_PAGE:
            self.open = use.after
        else:
            self.uses[use.before].after = use.after
        if use.after != NO_PAGE:
            self.uses[use.after].before = use.before

    # --- Key order ---

    cdef Chunk *new_chunk(self, const char *low, uint32_t low_size, uint32_t room) noexcept:
        """With room for so many rows, and what more its memory has. NULL: no memory."""
        cdef size_t head = head_bytes(low_size)
        cdef size_t bytes = (head + room * sizeof(uint32_t) + CHUNK_STEP - 1) & ~<size_t>(CHUNK_STEP - 1)
        cdef Chunk *chunk = <Chunk *>self.slab.allocate(bytes)
        if chunk == NULL:
            return NULL
        chunk.born = self.epochs.now
        chunk.rows = <uint32_t *>(<char *>chunk + head)
        chunk.room = <uint32_t>((bytes - head) // sizeof(uint32_t))
        chunk.count = 0
        chunk.low_size = low_size
        memcpy(chunk.low, low, low_size)
        return chunk

    cdef Chunk *copy_chunk(self, const Chunk *seen, uint32_t room) noexcept:
        """Likewise, with its rows."""
        cdef Chunk *made = self.new_chunk(seen.low, seen.low_size, max(room, seen.count))
        if made != NULL:
            made.count = seen.count
            memcpy(made.rows, seen.rows, seen.count * sizeof(uint32_t))
        return made

    cdef Chunk *refit(self, uint32_t number, uint32_t room) noexcept:
        """Puts a copy in the place of a chunk that may change."""
        cdef Chunk *seen = self.now.chunks[number]
        cdef Chunk *made = self.copy_chunk(seen, room)
        if made != NULL:
            self.now.chunks[number] = made
            self.free(CHUNK, seen)
        return made

    cdef int insert_chunk(self, uint32_t number, Chunk *chunk) except -1:
        cdef Moment *now = self.now
        cdef uint32_t room = now.chunk_room
        now.chunks = <Chunk **>grown(now.chunks, &now.chunk_room, now.chunk_count, sizeof(void *))
        self.held += (now.chunk_room - room) * sizeof(void *)
        memmove(&now.chunks[number + 1], &now.chunks[number], (now.chunk_count - number) * sizeof(void *))
        now.chunks[number] = chunk
        now.chunk_count += 1
        return 0

    cdef void remove_chunk(self, uint32_t number) noexcept:
        """Takes out a chunk that may change."""
        cdef Moment *now = self.now
        self.free(CHUNK, now.chunks[number])
        now.chunk_count -= 1
        memmove(&now.chunks[number], &now.chunks[number + 1], (now.chunk_count - number) * sizeof(void *))

    cdef Place room_for(self, Record *record, const char *key, Py_ssize_t size) except *:
        """Where a new key belongs, in a chunk that may change and has room for it."""
        cdef Moment *now = self.now
        cdef Chunk *last = now.chunks[now.chunk_count - 1] if now.chunk_count else NULL
        cdef Chunk *made
        cdef Place place
        if last == NULL or self.store.compare(record_of(now, last.rows[last.count - 1]), record) < 0:
            # Rows that come in order fill their chunks.
            if last == NULL or last.count == CHUNK_ROWS:
                made = self.new_chunk(key, <uint32_t>size, 1)
                if made == NULL:
                    raise MemoryError
                try:
                    self.insert_chunk(now.chunk_count, made)
                except MemoryError:
                    self.free(CHUNK, made)
                    raise
            place.chunk = now.chunk_count - 1
            place.at = now.chunks[place.chunk].count
        else:
            place = self.seek(now, key, size, False)
            if place.at == 0 and place.chunk > 0:
                made = now.chunks[place.chunk]
                if compare_keys(made.low, made.low_size, key, size) > 0:
                    place.chunk -= 1
                    place.at = now.chunks[place.chunk].count
            if now.chunks[place.chunk].count == CHUNK_ROWS:
                self.split(place.chunk)
                if place.at > CHUNK_ROWS // 2:
                    place.chunk += 1
                    place.at -= CHUNK_ROWS // 2
        self.own_chunk(place.chunk, now.chunks[place.chunk].count + 1)
        return place

    cdef int split(self, uint32_t number) except -1:
        cdef char[MAX_KEY] key
        cdef uint32_t half = CHUNK_ROWS // 2, size
        cdef Chunk *lower
        cdef Chunk *upper
        self.own_chunk(number, 0)
        lower = self.now.chunks[number]
        size = <uint32_t>self.store.copy_key(record_of(self.now, lower.rows[half]), key)
        upper = self.new_chunk(key, size, CHUNK_ROWS - half + 1)
        if upper == NULL:
            raise MemoryError
        try:
            self.insert_chunk(number + 1, upper)
        except MemoryError:
            self.free(CHUNK, upper)
            raise
        upper.count = CHUNK_ROWS - half
        memcpy(upper.rows, &lower.rows[half], upper.count * sizeof(uint32_t))
        lower.count = half
        self.refit(number, half + 1)  # without memory for it, it stays as it is
        return 0

    cdef void merge(self, uint32_t number) noexcept:
        """A chunk that may change goes when it is empty, and takes up or joins a neighbour when both are small."""
        cdef Moment *now = self.now
        cdef Chunk *lower
        cdef Chunk *upper
        if now.chunks[number].count == 0:
            self.remove_chunk(number)
            return
        if number + 1 == now.chunk_count:
            if number == 0:
                return
            number -= 1
        lower = now.chunks[number]
        upper = now.chunks[number + 1]
        if lower.count + upper.count > MERGED_ROWS:
            return
        if not (self.epochs.may_change(lower.born) and self.epochs.may_change(upper.born)):
            return  # after the snapshot, perhaps
        if lower.room < lower.count + upper.count:
            lower = self.refit(number, lower.count + upper.count)
            if lower == NULL:
                return
        memcpy(&lower.rows[lower.count], upper.rows, upper.count * sizeof(uint32_t))
        lower.count += upper.count
        self.remove_chunk(number + 1)

    # --- Snapshots ---

    cdef Fork fork(self):
        """The rows of now. O(1)."""
        cdef Fork made = Fork.__new__(Fork)
        made.epoch = self.epochs.fork()
        made.moment = self.now
        made.rows = self
        return made

    cdef void release(self, uint64_t epoch) noexcept:
        """A fork ends."""
        self.epochs.release(epoch)
        self.free_unseen()

    cdef void free_unseen(self) noexcept:
        cdef Retired unseen
        while self.epochs.take_unseen(&unseen):
            self.free(unseen.kind, unseen.what)

    cdef void free(self, Kind kind, void *what) noexcept:
        if kind == RECORD:
            self.store.drop(<Record *>what)
        elif kind == PAGE:
            self.arena.release(what)
        elif kind == CHUNK:
            self.slab.release(what, chunk_bytes(<Chunk *>what))
        else:
            self.held -= moment_bytes(<Moment *>what)
            PyMem_Free((<Moment *>what).pages)
            PyMem_Free((<Moment *>what).chunks)
            PyMem_Free(what)

    cdef long long nbytes(self) noexcept:
        return (
            self.held
            + self.arena.held
            + self.slab.held
            + self.keys.nbytes()
            + self.now.page_room * sizeof(PageUse)
            + self.epochs.nbytes()
        )


@cython.final
@cython.no_gc
cdef class Fork:
    def __dealloc__(self):
        if self.rows is not None:
            self.rows.release(self.epoch)
