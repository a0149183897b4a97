from engine._catalog cimport Catalog
from engine._json cimport Slice
from engine._keys cimport MAX_KEY, Keys
from engine._matching cimport Walk
from engine._packing cimport Memory
from engine._record cimport Record
from engine._scan cimport Tape
from engine._shape cimport MAX_SECTIONS
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
    Template *template  # counted once as long as the draft lasts; NULL: the section stays as it is
    Walk walk  # unless it is taken
    bint taken  # as it is packed in the hint: nobody walked over it
    bint kept  # but for the revision it says the same as that of the hint, an older version
    Py_ssize_t packed_end  # in `out`


cdef struct Draft:
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


cdef Draft draft


cdef inline int choose(Catalog catalog, uint32_t number, Template *template) noexcept:
    template.refs += 1
    if draft.parts[number].template != NULL:
        catalog.drop(draft.parts[number].template)
    draft.parts[number].template = template
    return 0


# Key and revision: from the values of the store's own paths, without a Python object where none is needed.
cdef int take_key(Slice *values) except -1
cdef bint take_plain_key(Slice *values) noexcept
cdef int relate(Record *hint, Keys keys) noexcept
cdef int know_key() noexcept
# Templates of its sections.
cdef bint walk_along(Template *template, uint32_t number, const char *start) noexcept
cdef int let_go(Catalog catalog) noexcept
# What is packed.
cdef int begin_packing() noexcept
cdef int make_room(Py_ssize_t size) except -1
cdef int pack_part(uint32_t number, Catalog catalog) except -1
