/* Blocks of text looked at in one step: SSE2 where it always is (x86-64), eight bytes of a register elsewhere. */
#ifndef ENGINE_BLOCKS_H
#define ENGINE_BLOCKS_H

#include <stdint.h>
#include <string.h>

static inline uint64_t engine_load64(const char *p) {
    uint64_t word;
    memcpy(&word, p, 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static inline int engine_lowest_bit(uint64_t bits) { return __builtin_ctzll(bits); }

/* engine_special: a bit (the lowest of 1 << ENGINE_BLOCK_SHIFT, or the only one) for each byte of a block that ends plain
   text: a quote, a backslash, a control character, a byte of more than 7 bits. */
#if defined(__SSE2__)
#include <emmintrin.h>
#define ENGINE_BLOCK 16
#define ENGINE_BLOCK_SHIFT 0

static inline uint64_t engine_special(const char *p) {
    __m128i text = _mm_loadu_si128((const __m128i *)p);
    __m128i quote = _mm_cmpeq_epi8(text, _mm_set1_epi8('"'));
    __m128i backslash = _mm_cmpeq_epi8(text, _mm_set1_epi8('\\'));
    __m128i outside = _mm_cmplt_epi8(text, _mm_set1_epi8(32)); /* signed: from 0x80 on they are below zero */
    return (uint64_t)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), outside));
}
#else
#define ENGINE_BLOCK 8
#define ENGINE_BLOCK_SHIFT 3

static inline uint64_t engine_zero_bytes(uint64_t x) { /* the high bit of each byte that is zero, exactly */
    const uint64_t low = 0x7f7f7f7f7f7f7f7fULL;
    return ~(((x & low) + low) | x | low);
}

static inline uint64_t engine_special(const char *p) {
    const uint64_t ones = 0x0101010101010101ULL;
    uint64_t text = engine_load64(p);
    return engine_zero_bytes(text ^ (ones * '"')) | engine_zero_bytes(text ^ (ones * '\\')) |
           engine_zero_bytes(text & (ones * 0xe0)) | (text & (ones * 0x80));
}
#endif

#endif
