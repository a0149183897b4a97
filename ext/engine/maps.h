/* Memory from the system, of huge pages where much is asked for: a read at random then waits for one address less to be
   translated. */
#ifndef ENGINE_MAPS_H
#define ENGINE_MAPS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define ENGINE_HUGE_PAGE ((size_t)2 << 20)

#ifdef __SANITIZE_ADDRESS__
#define ENGINE_BLOCKS 0 /* each block by itself, so that what reads beyond it or after its end is found */
#else
#define ENGINE_BLOCKS 1
#endif

static inline void engine_ask_huge(char *start, size_t bytes) {
#ifdef MADV_HUGEPAGE
    if (bytes >= ENGINE_HUGE_PAGE) {
        madvise(start, bytes, MADV_HUGEPAGE);
    }
#else
    (void)start;
    (void)bytes;
#endif
}

/* Addresses that begin at a multiple of `align`, a power of two. NULL: there are none. */
static inline char *engine_map_aligned(size_t bytes, size_t align) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *made, *start;
    size_t before;
    bytes = (bytes + page - 1) & ~(page - 1);
    align = align < page ? page : align;
    made = mmap(NULL, bytes + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED) {
        return NULL;
    }
    start = (char *)(((uintptr_t)made + align - 1) & ~(uintptr_t)(align - 1));
    before = (size_t)(start - made);
    if (before) {
        munmap(made, before);
    }
    munmap(start + bytes, align - before);
    engine_ask_huge(start, bytes);
    return start;
}

#endif
