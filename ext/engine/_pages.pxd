cdef enum:
    MAPPED = 131072  # bytes; arrays from here on have pages of their own


# Arrays that grow without a copy and, when they shrink or go, leave no hole behind: what the system counts is what they
# hold. The caller remembers the size; 0 bytes are a pointer of NULL.
cdef void *resized(void *old, size_t old_bytes, size_t new_bytes) noexcept  # NULL: no memory, `old` is as it was
cdef int released(void *old, size_t bytes) noexcept
