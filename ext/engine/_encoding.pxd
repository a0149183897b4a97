from engine._catalog cimport Catalog
from engine._json cimport Slice
from engine._keys cimport MAX_KEY, Keys
from engine._matching cimport Walk
from engine._packing cimport Memory
from engine._record cimport Record
from engine._scan cimport Tape
from engine._shape cimport MAX_SECTIONS, Shape
from engine._template cimport Known, Template
from libc.stdint cimport int64_t, uint8_t, uint32_t


cdef enum:
    # The first watched paths are the store's own.
    NAME_PATH
    NAMESPACE_PATH
    REVISION_PATH


cdef struct Part:
    # One section of the object that is being encoded.
    const char *start
    const char *end
    Template *template  # counted once as long as the encoding lasts; NULL: the section stays as it is
    Walk walk  # unless it is taken
    bint taken  # as it is packed in the hint: nobody walked over it
    bint kept  # but for the revision it says the same as that of the hint, an older version
    Py_ssize_t packed_end  # in `out`


cdef struct Encoding:
    # The object that is being encoded. There is one, made once: it is used without a break, holding the GIL.
    const char *data
    Py_ssize_t size
    Part[MAX_SECTIONS] parts
    uint32_t count
    Tape tape
    bint followed  # its templates are those of the hint or followed them; else it was scanned
    Slice *values  # by number of watched path: the raw JSON in `data`; when it was followed, those of the store's own
    Memory memory  # of what was packed
    uint32_t fixed  # the first so many values of it were the same in the hint, an older version
    # Its key, and what templates may expect of it.
    Known known
    int64_t revision
    Py_ssize_t key_size
    Py_ssize_t namespace_size
    Py_ssize_t stem  # bytes of the key that its siblings share, or 0
    bint same  # the hint is an older version of it
    bint sibling  # the hint is of another object with the same stem
    bint founded  # a template was made of what it and the hint have in common
    char[MAX_KEY] key
    char[24] digits
    Walk other  # the sibling's
    # Scratch.
    uint8_t *out  # the sections, packed: so many bytes
    Py_ssize_t packed
    uint8_t *varying
    uint8_t *missed
    Py_ssize_t capacity


cdef Encoding *encoding

cdef Py_ssize_t pack_object(const char *data, Py_ssize_t size, Record *hint, bint is_older, Catalog catalog, Keys keys,
                            list paths, Slice *values, long long record_bytes) except -1
cdef int let_go(Catalog catalog) noexcept
cdef Slice span_of(const Tape *tape, const char *data, Py_ssize_t token) noexcept
