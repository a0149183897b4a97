/* The end of a JSON container, 64 bytes at a step: brackets are counted where no string is. */
#ifndef ENGINE_SKIP_H
#define ENGINE_SKIP_H

#include <stdint.h>
#include <string.h>

#define ENGINE_STEP 64 /* bytes: one bit each in the masks below */

typedef struct {
    uint64_t quote, backslash, open, close;
} engine_masks;

#if defined(__SSE2__)
#include <emmintrin.h>

static inline engine_masks engine_masks_of(const char *p) {
    const __m128i lower = _mm_set1_epi8(0x20); /* makes a brace of a bracket, and of nothing else in valid JSON */
    engine_masks found = {0, 0, 0, 0};
    for (int part = 0; part < ENGINE_STEP; part += 16) {
        __m128i text = _mm_loadu_si128((const __m128i *)(p + part));
        __m128i brace = _mm_or_si128(text, lower);
        found.quote |= (uint64_t)_mm_movemask_epi8(_mm_cmpeq_epi8(text, _mm_set1_epi8('"'))) << part;
        found.backslash |= (uint64_t)_mm_movemask_epi8(_mm_cmpeq_epi8(text, _mm_set1_epi8('\\'))) << part;
        found.open |= (uint64_t)_mm_movemask_epi8(_mm_cmpeq_epi8(brace, _mm_set1_epi8('{'))) << part;
        found.close |= (uint64_t)_mm_movemask_epi8(_mm_cmpeq_epi8(brace, _mm_set1_epi8('}'))) << part;
    }
    return found;
}
#else
static inline engine_masks engine_masks_of(const char *p) {
    engine_masks found = {0, 0, 0, 0};
    for (int at = 0; at < ENGINE_STEP; at++) {
        found.quote |= (uint64_t)(p[at] == '"') << at;
        found.backslash |= (uint64_t)(p[at] == '\\') << at;
        found.open |= (uint64_t)((p[at] | 0x20) == '{') << at;
        found.close |= (uint64_t)((p[at] | 0x20) == '}') << at;
    }
    return found;
}
#endif

static inline int engine_count_bits(uint64_t bits) { /* without the instruction, which not every x86-64 has */
    bits -= (bits >> 1) & 0x5555555555555555ULL;
    bits = (bits & 0x3333333333333333ULL) + ((bits >> 2) & 0x3333333333333333ULL);
    bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
    return (int)((bits * 0x0101010101010101ULL) >> 56);
}

/* Behind the bracket that closes the one at `p`, in valid JSON; `end` when there is none. Reads nothing at or behind
   `end`. */
static const char *engine_container_end(const char *p, const char *end) {
    char last[ENGINE_STEP];
    int64_t depth = 0;
    uint64_t inside = 0; /* all ones: the step begins in a string */
    uint64_t carry = 0;  /* 1: its first byte is escaped */
    while (p < end) {
        engine_masks at;
        if (end - p >= ENGINE_STEP) {
            at = engine_masks_of(p);
        } else {
            memset(last, ' ', ENGINE_STEP);
            memcpy(last, p, (size_t)(end - p));
            at = engine_masks_of(last);
        }
        if (at.backslash | carry) {
            uint64_t escaped = carry, slashes = at.backslash & ~carry;
            carry = 0;
            while (slashes) { /* each escapes the byte behind it, another backslash too */
                uint64_t lowest = slashes & (0 - slashes);
                carry = lowest >> 63;
                escaped |= lowest << 1;
                slashes &= ~(lowest | lowest << 1);
            }
            at.quote &= ~escaped;
        }
        uint64_t strings = at.quote; /* to a bit for each byte with an odd number of quotes up to it */
        strings ^= strings << 1;
        strings ^= strings << 2;
        strings ^= strings << 4;
        strings ^= strings << 8;
        strings ^= strings << 16;
        strings ^= strings << 32;
        strings ^= inside;
        inside = 0 - (strings >> 63);
        at.open &= ~strings;
        at.close &= ~strings;
        int closing = engine_count_bits(at.close);
        if (closing >= depth) { /* the one looked for may be here */
            int64_t before = depth;
            for (uint64_t left = at.close; left; left &= left - 1) {
                uint64_t lowest = left & (0 - left);
                before--;
                if (before + engine_count_bits(at.open & (lowest - 1)) == 0)
                    return p + __builtin_ctzll(lowest) + 1;
            }
        }
        depth += engine_count_bits(at.open) - closing;
        p += ENGINE_STEP;
    }
    return end;
}

#endif
