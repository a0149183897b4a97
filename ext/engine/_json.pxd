cdef struct Slice:
    const char *start
    Py_ssize_t size


cdef object loads_exact(bytes data)
cdef bytes spliced(bytes data, long long resource_version)
cdef bint is_plain(bytes data) except -1
cdef Slice locate(bytes data, tuple steps) noexcept
cdef object value_at(Slice place)
cdef const char *skip_space(const char *p, const char *end) noexcept nogil
cdef const char *skip_value(const char *p, const char *end) noexcept nogil
cdef const char *find_member(const char *p, const char *end, const char *name, Py_ssize_t size) noexcept nogil
cdef int find_two(const char *p, const char *end, const char *one, Slice *first, const char *other,
                  Slice *second) noexcept nogil
