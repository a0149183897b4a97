"""Memory of arrays that become large."""

from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from libc.string cimport memcpy

cdef extern from *:
    """
    #ifdef __linux__
    #include "maps.h"
    /* Only what begins where a huge page does, and moves to where one does, keeps huge pages. */
    static size_t engine_alignment(size_t bytes) {
        return bytes >= ENGINE_HUGE_PAGE ? ENGINE_HUGE_PAGE : (size_t)sysconf(_SC_PAGESIZE);
    }
    static char *engine_map(size_t bytes) { return engine_map_aligned(bytes, engine_alignment(bytes)); }
    static char *engine_remap(char *old, size_t old_bytes, size_t new_bytes) {
        char *made, *there;
        if (new_bytes <= old_bytes || engine_alignment(old_bytes) == engine_alignment(new_bytes)) {
            made = mremap(old, old_bytes, new_bytes, 0);
            if (made != MAP_FAILED) {
                return made;
            }
        }
        there = engine_map(new_bytes);
        if (there == NULL) {
            return NULL;
        }
        made = mremap(old, old_bytes, new_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, there);
        if (made == MAP_FAILED) {
            munmap(there, new_bytes);
            return NULL;
        }
        engine_ask_huge(made, new_bytes);
        return made;
    }
    #define engine_unmap munmap
    #define ENGINE_MAPS 1
    #else
    #define engine_map(bytes) NULL
    #define engine_remap(old, old_bytes, new_bytes) NULL
    #define engine_unmap(old, bytes) 0
    #define ENGINE_MAPS 0
    #endif
    """
    const bint ENGINE_MAPS
    void *engine_map(size_t bytes) noexcept nogil
    void *engine_remap(void *old, size_t old_bytes, size_t new_bytes) noexcept nogil
    int engine_unmap(void *old, size_t bytes) noexcept nogil


cdef inline bint is_mapped(size_t bytes) noexcept nogil:
    return ENGINE_MAPS and bytes >= MAPPED


cdef void *resized(void *old, size_t old_bytes, size_t new_bytes) noexcept:
    cdef void *made
    if is_mapped(old_bytes) and is_mapped(new_bytes):
        return engine_remap(old, old_bytes, new_bytes)
    if not is_mapped(old_bytes) and not is_mapped(new_bytes):
        return PyMem_Realloc(old, new_bytes)
    made = engine_map(new_bytes) if is_mapped(new_bytes) else PyMem_Malloc(new_bytes)
    if made != NULL and old_bytes:
        memcpy(made, old, min(old_bytes, new_bytes))
        released(old, old_bytes)
    return made


cdef int released(void *old, size_t bytes) noexcept:
    if is_mapped(bytes):
        engine_unmap(old, bytes)
    else:
        PyMem_Free(old)
    return 0
