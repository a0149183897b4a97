"""From packed sections back to JSON bytes."""

from engine._catalog cimport NO_TEMPLATE, Catalog
from engine._json cimport Slice
from engine._keys cimport MAX_KEY, Keys, Prefix
from engine._packing cimport Memory, begin_reading, read_varint, remember_for_reading
from engine._record cimport Record, payload_of, rest_of, template_number
from engine._sections cimport unpack_section
from engine._shape cimport NOWHERE, Place
from engine._template cimport Known, Template
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy

cdef enum:
    MAX_IDLE = 4 << 20  # bytes of scratch that are kept from one object to the next

cdef char *text = NULL  # scratch of text_size bytes
cdef Py_ssize_t text_size = 0


cdef int set_key(Known *known, char *digits, const char *key, Py_ssize_t size, Py_ssize_t namespace_size,
                 int64_t revision) noexcept nogil:
    """What templates expect of an object with this key; writer and reader must see the same."""
    cdef Py_ssize_t before = namespace_size + 1 if namespace_size else 0
    cdef int at = DIGITS
    known.namespace.start = key
    known.namespace.size = namespace_size
    known.name.start = key + before
    known.name.size = size - before
    if revision:
        while revision:
            at -= 1
            digits[at] = <char>(c"0" + revision % 10)
            revision //= 10
    known.revision.start = digits + at
    known.revision.size = DIGITS - at
    return 0


cdef Slice unpack_object(const Record *record, Catalog catalog, Keys keys, uint32_t sections, int path,
                         char *out) noexcept:
    """Writes the first sections to `out`, which has room for the whole object. Returns where the last of them stands,
    or in it the value at a watched path (-1: none wanted), which the section's shape must have a place for."""
    cdef Memory memory
    cdef Known known
    cdef char[DIGITS] digits
    cdef char[MAX_KEY] key
    cdef Prefix *prefix = keys.prefixes[record.prefix]
    cdef Template *template
    cdef unsigned long long size
    cdef const uint8_t *p = payload_of(record, &size)
    cdef uint32_t i, number
    cdef Slice section, found
    cdef Place wanted
    section.start = out
    section.size = 0
    memcpy(key, prefix.text, prefix.size)
    memcpy(key + prefix.size, rest_of(record), record.rest)
    set_key(&known, digits, key, prefix.size + record.rest, prefix.namespace_size, record.revision)
    begin_reading(&memory)
    remember_for_reading(&memory, known.name)
    remember_for_reading(&memory, known.namespace)
    for i in range(sections):
        section.start = out
        number = template_number(record, i)
        if number == NO_TEMPLATE:
            p = read_varint(p, &size)
            memcpy(out, p, size)
            p += size
            out += size
            section.size = <Py_ssize_t>size
            continue
        template = catalog.get(number)
        wanted.start = wanted.end = NOWHERE
        if path >= 0 and i == sections - 1:
            wanted = template.shape.places[path]
        p = unpack_section(template, p, &known, &memory, &out, wanted, &found)
        if found.start != NULL:
            return found
        section.size = out - section.start
    return section


cdef char *text_room(Py_ssize_t size) except NULL:
    """Scratch, which is good until the next call."""
    global text, text_size
    cdef char *wider
    if size > text_size or text == NULL or text_size > MAX_IDLE:
        wider = <char *>realloc(text, size + 1)
        if wider == NULL:
            raise MemoryError
        text = wider
        text_size = size
    return text


cdef Slice section_text(const Record *record, uint32_t number, Catalog catalog, Keys keys) except *:
    """The bytes of one section, in scratch."""
    cdef unsigned long long size
    payload_of(record, &size)
    return unpack_object(record, catalog, keys, number + 1, -1, text_room(<Py_ssize_t>size))
