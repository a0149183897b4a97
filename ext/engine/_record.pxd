"""One version of one object, packed."""

from engine._packing cimport read_varint
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy


cdef enum:
    NO_ROW = 0xFFFFFFFF  # of a record that stands in no row
    HEADER = 27  # bytes of a record before what varies in length
    NUMBER_BYTES = 3  # of a template's number


cdef enum:
    # Marks.
    VIEWED = 1  # a view is kept for it (see _object)
    # What columns lent to views hold at its row was read from this record. The cache sets it once they do and clears
    # it before they change; nobody else's code may run between that and the change.
    CURRENT = 2
    LEAVING = 4  # the last state of an object that is deleted


cdef struct Record:
    # Written once. Behind the header: the rest of its key, the numbers of its sections' templates, the size of its JSON
    # (varint), and its sections one by one: packed, or as they are behind their length (varint).
    int64_t revision  # metadata.resourceVersion; 0 when absent or no number
    uint32_t refs  # holders: rows, views, logs. Freed at 0.
    uint32_t row  # its place in Rows, the same for every version of an object; NO_ROW before it has one
    uint32_t prefix  # number of the prefix of its key
    uint32_t size  # bytes in all
    uint8_t rest  # bytes of the key behind the prefix
    uint8_t sections
    uint8_t marks  # VIEWED, CURRENT, LEAVING


cdef inline Record *hold(Record *record) noexcept nogil:
    record.refs += 1
    return record


cdef inline const char *rest_of(const Record *record) noexcept nogil:
    return <const char *>record + HEADER


cdef inline uint32_t template_number(const Record *record, uint32_t section) noexcept nogil:
    cdef const uint8_t *p = <const uint8_t *>record + HEADER + record.rest + NUMBER_BYTES * section
    return p[0] | <uint32_t>p[1] << 8 | <uint32_t>p[2] << 16


cdef inline void set_template_number(Record *record, uint32_t section, uint32_t number) noexcept nogil:
    cdef uint8_t *p = <uint8_t *>record + HEADER + record.rest + NUMBER_BYTES * section
    p[0] = <uint8_t>number
    p[1] = <uint8_t>(number >> 8)
    p[2] = <uint8_t>(number >> 16)


cdef inline const uint8_t *payload_of(const Record *record, unsigned long long *raw_size) noexcept nogil:
    """The first section; `raw_size` is that of the JSON."""
    return read_varint(<const uint8_t *>record + HEADER + record.rest + NUMBER_BYTES * record.sections, raw_size)
