from engine._json cimport Slice


cdef enum Plainness:
    UNKNOWN
    PLAIN
    ODD  # a key occurs twice, or is written with escapes it could do without


cdef struct Header:
    # What every table asks of an object. Strings with their quotes, in the bytes read; a start of NULL: there is none.
    Slice name
    Slice namespace
    Slice uid
    Slice version
    Plainness plain
    bint repeats  # a key occurs twice: only a parser knows the rest, which is not filled in


# ValueError for bytes that are no JSON object, but for repeated keys. One strict pass, no Python objects.
cdef int read_header(bytes raw, Header *header) except -1
# Whether the same key spells the same everywhere: then a search through the bytes finds what a parser finds. Bytes of a
# record are known to be JSON without repeated keys, and are rarely scanned for it.
cdef Plainness plainness_of(bytes raw, bint of_record) noexcept
