/* 64 or 16 bytes of text looked at in one step: with SSE2 where it always is (x86-64), in registers of eight bytes
   elsewhere. */
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

/* engine_special, engine_special16: a bit for each of 64 or 16 bytes that ends plain text: a quote, a backslash, a
   control character, a byte of more than 7 bits. */
#if defined(__SSE2__)
#include <emmintrin.h>

static inline uint64_t engine_special16(const char *p) {
    __m128i text = _mm_loadu_si128((const __m128i *)p);
    __m128i quote = _mm_cmpeq_epi8(text, _mm_set1_epi8('"'));
    __m128i backslash = _mm_cmpeq_epi8(text, _mm_set1_epi8('\\'));
    __m128i outside = _mm_cmplt_epi8(text, _mm_set1_epi8(32)); /* signed: from 0x80 on they are below zero */
    return (uint64_t)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), outside));
}

static inline uint64_t engine_special(const char *p) {
    return engine_special16(p) | engine_special16(p + 16) << 16 | engine_special16(p + 32) << 32 |
           engine_special16(p + 48) << 48;
}
#else
static inline uint64_t engine_zero_bytes(uint64_t x) { /* the high bit of each byte that is zero, exactly */
    const uint64_t low = 0x7f7f7f7f7f7f7f7fULL;
    return ~(((x & low) + low) | x | low);
}

static inline uint64_t engine_special8(const char *p) {
    const uint64_t ones = 0x0101010101010101ULL;
    uint64_t text = engine_load64(p);
    uint64_t found = engine_zero_bytes(text ^ (ones * '"')) | engine_zero_bytes(text ^ (ones * '\\')) |
                     engine_zero_bytes(text & (ones * 0xe0)) | (text & (ones * 0x80));
    return ((found >> 7) * 0x0102040810204080ULL) >> 56; /* the eight high bits side by side */
}

static inline uint64_t engine_special16(const char *p) { return engine_special8(p) | engine_special8(p + 8) << 8; }

static inline uint64_t engine_special(const char *p) {
    uint64_t bits = 0;
    int i;
    for (i = 0; i < 8; i++) {
        bits |= engine_special8(p + 8 * i) << (8 * i);
    }
    return bits;
}
#endif

/* engine_special of fewer than 64 bytes, of a copy: nothing behind them is read. Not inline: it ends a text and would
   weigh upon all that comes before. */
static __attribute__((noinline)) uint64_t engine_last_special(const char *p, size_t size) {
    char staged[64] = {0};
    memcpy(staged, p, size);
    return engine_special(staged) & (((uint64_t)1 << size) - 1);
}

#endif
