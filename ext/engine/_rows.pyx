"""Rows in key order, shared with snapshots until they change."""

cimport cython
from cpython.list cimport PyList_GET_ITEM
from cpython.object cimport PyObject

cdef extern from "Python.h":
    int PyUnicode_Compare(PyObject *left, PyObject *right) noexcept  # both str: never fails

cdef enum:
    CHUNK_ROWS = 256  # a chunk is split when it gets longer

cdef long long LAST_EPOCH = 0


cdef long long next_epoch() noexcept:
    global LAST_EPOCH
    LAST_EPOCH += 1
    return LAST_EPOCH


cdef inline Py_ssize_t bisect(list keys, str key, bint behind) noexcept:
    """The first position whose key is >= `key`, or > `key` when `behind`."""
    cdef Py_ssize_t low = 0, high = len(keys), middle
    cdef int order
    while low < high:
        middle = (low + high) >> 1
        # Borrowed: the list holds it while two str are compared, which runs no code of others.
        order = PyUnicode_Compare(PyList_GET_ITEM(keys, middle), <PyObject *>key)
        if order < 0 or (behind and order == 0):
            low = middle + 1
        else:
            high = middle
    return low


cdef inline bint holds(Chunk chunk, Py_ssize_t row, str key) noexcept:
    return row < len(chunk.keys) and PyUnicode_Compare(PyList_GET_ITEM(chunk.keys, row), <PyObject *>key) == 0


cdef Chunk new_chunk(list keys, list values, long long owner):
    cdef Chunk chunk = Chunk.__new__(Chunk)
    chunk.keys = keys
    chunk.values = values
    chunk.owner = owner
    return chunk


@cython.final
cdef class Chunk:
    pass


@cython.final
cdef class Rows:
    def __cinit__(self):
        self.chunks = []
        self.lows = []
        self.epoch = next_epoch()

    cdef Rows fork(self):
        cdef Rows other = Rows.__new__(Rows)
        other.chunks = self.chunks
        other.lows = self.lows
        other.count = self.count
        other.shared = self.shared = True
        # Chunks made so far carry the old epoch: from now on neither side changes them in place.
        self.epoch = next_epoch()
        return other

    cdef int own(self) except -1:
        if self.shared:
            self.chunks = self.chunks[:]
            self.lows = self.lows[:]
            self.shared = False
        return 0

    cdef Chunk own_chunk(self, Py_ssize_t at):
        cdef Chunk chunk = <Chunk>self.chunks[at]
        if chunk.owner != self.epoch:
            chunk = new_chunk(chunk.keys[:], chunk.values[:], self.epoch)
            self.chunks[at] = chunk
        return chunk

    cdef Py_ssize_t chunk_of(self, str key) noexcept:
        cdef Py_ssize_t at = bisect(self.lows, key, True) - 1
        return at if at > 0 else 0

    cdef object find(self, str key):
        cdef Chunk chunk
        cdef Py_ssize_t row
        if not self.chunks:
            return None
        chunk = <Chunk>self.chunks[self.chunk_of(key)]
        row = bisect(chunk.keys, key, False)
        return chunk.values[row] if holds(chunk, row, key) else None

    cdef int put(self, str key, object value) except -1:
        cdef Chunk chunk
        cdef Py_ssize_t at, row
        self.own()
        if not self.chunks:
            self.chunks.append(new_chunk([key], [value], self.epoch))
            self.lows.append(key)
            self.count = 1
            return 0
        at = self.chunk_of(key)
        chunk = self.own_chunk(at)
        row = bisect(chunk.keys, key, False)
        if holds(chunk, row, key):
            chunk.values[row] = value
            return 0
        self.count += 1
        if row == 0:
            self.lows[at] = key
        if len(chunk.keys) >= CHUNK_ROWS:
            if row == len(chunk.keys) and at == len(self.chunks) - 1:
                # Rows that come in order fill their chunks.
                self.chunks.append(new_chunk([key], [value], self.epoch))
                self.lows.append(key)
                return 0
            self.split(at, chunk)
            if row > CHUNK_ROWS // 2:
                chunk = <Chunk>self.chunks[at + 1]
                row -= CHUNK_ROWS // 2
        chunk.keys.insert(row, key)
        chunk.values.insert(row, value)
        return 0

    cdef int split(self, Py_ssize_t at, Chunk chunk) except -1:
        cdef Py_ssize_t half = CHUNK_ROWS // 2
        cdef Chunk upper = new_chunk(chunk.keys[half:], chunk.values[half:], self.epoch)
        del chunk.keys[half:]
        del chunk.values[half:]
        self.chunks.insert(at + 1, upper)
        self.lows.insert(at + 1, upper.keys[0])
        return 0

    cdef int remove(self, str key) except -1:
        cdef Chunk chunk
        cdef Py_ssize_t at, row
        if not self.chunks:
            return 0
        self.own()
        at = self.chunk_of(key)
        chunk = self.own_chunk(at)
        row = bisect(chunk.keys, key, False)
        if not holds(chunk, row, key):
            return 0
        del chunk.keys[row]
        del chunk.values[row]
        self.count -= 1
        if not chunk.keys:
            del self.chunks[at]
            del self.lows[at]
        return 0

    cdef Place seek(self, str key, bint behind):
        """Where the first key >= `key` stands, or > `key` when `behind`; None means the very end."""
        cdef Place place
        place.chunk = len(self.chunks)
        place.row = 0
        if key is None or not self.chunks:
            return place
        place.chunk = self.chunk_of(key)
        place.row = bisect((<Chunk>self.chunks[place.chunk]).keys, key, behind)
        if place.row == len((<Chunk>self.chunks[place.chunk]).keys):
            place.chunk += 1
            place.row = 0
        return place

    cdef list between(self, Place start, Place end, Py_ssize_t limit, bint keys):
        """Values (or keys) of [start, end), at most `limit` (0: all)."""
        cdef list found = []
        cdef list part
        cdef Chunk chunk
        cdef Py_ssize_t stop
        while start.chunk < end.chunk or (start.chunk == end.chunk and start.row < end.row):
            chunk = <Chunk>self.chunks[start.chunk]
            part = chunk.keys if keys else chunk.values
            stop = end.row if start.chunk == end.chunk else len(part)
            if limit and stop - start.row > limit - len(found):
                stop = start.row + limit - len(found)
            found += part[start.row : stop]
            if limit and len(found) == limit:
                break
            start.chunk += 1
            start.row = 0
        return found
