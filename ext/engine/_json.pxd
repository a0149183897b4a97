cdef object loads_exact(bytes data)
cdef bytes spliced(bytes data, long long resource_version)
