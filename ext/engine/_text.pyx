"""Texts in about half their bytes, by a prefix code that is the same for all of them.

Symbols are printable characters and frequent words; the code is canonical. Its longest codes come first, so no code but
one of the longest is all zeros: the zeros that fill the last byte are no symbol.
"""

from engine._json cimport Slice
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

cdef extern from "text_code.h" nogil:
    # The code's table in the source: see tools/text_code.py.
    enum:
        ENGINE_TEXT_BITS  # of the longest code
        ENGINE_TEXT_WORDS
    struct TextWord:
        uint8_t bits
        uint8_t size  # characters, from MIN_WORD on; the longest words come first
        const char *text
    const uint8_t *engine_text_lengths  # bits of each byte's code, 0: it has none
    const TextWord *engine_text_words

cdef extern from *:
    """
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    #define engine_big_endian(word) (word)
    #else
    #define engine_big_endian(word) __builtin_bswap64(word)
    #endif
    """
    uint64_t engine_big_endian(uint64_t word) noexcept nogil

cdef enum:
    WIDTH = ENGINE_TEXT_BITS
    TABLE = 1 << WIDTH
    SYMBOLS = 256 + ENGINE_TEXT_WORDS  # bytes, then words
    MIN_WORD = 3
    HEADS = 1024
    HEAD_SHIFT = 22  # from 32 bits to the number of a head
    NO_WORD = 255
    TWO = 2  # characters that an entry can hold itself
    PADDING = 7  # bits at most


cdef struct Code:
    uint16_t code
    uint8_t bits


cdef struct Entry:
    # What the next WIDTH bits begin with: as many bits, which mean one or two characters, or a word (its number).
    uint8_t bits
    uint8_t size
    uint8_t[TWO] text


cdef Code[SYMBOLS] codes
cdef Entry[TABLE] entries
cdef uint8_t[HEADS] heads  # the first word by its first characters
cdef uint8_t[ENGINE_TEXT_WORDS] others  # the next one, no longer


cdef inline uint32_t head_of(const char *p) noexcept nogil:
    """By the first MIN_WORD characters."""
    return ((<uint8_t>p[0] | <uint32_t><uint8_t>p[1] << 8 | <uint32_t><uint8_t>p[2] << 16) * <uint32_t>0x9E3779B1) >> (
        HEAD_SHIFT
    )


# --- Tables -----------------------------------------------------------------------------------------------------------


cdef uint8_t bits_of(int symbol) noexcept:
    return engine_text_lengths[symbol] if symbol < 256 else engine_text_words[symbol - 256].bits


cdef int number_codes() except -1:
    cdef int bits, symbol
    cdef uint32_t code = 0
    for bits in range(WIDTH, 0, -1):
        for symbol in range(SYMBOLS):
            codes[symbol].bits = bits_of(symbol)
            if codes[symbol].bits == bits:
                codes[symbol].code = <uint16_t>(code >> (WIDTH - bits))
                code += 1 << (WIDTH - bits)
    if code != TABLE:
        raise AssertionError("text_code.h holds no complete code")
    return 0


cdef int fill_entries() noexcept:
    cdef int symbol, second, i, first
    cdef Entry *entry
    for symbol in range(SYMBOLS):
        if codes[symbol].bits == 0:
            continue
        first = codes[symbol].code << (WIDTH - codes[symbol].bits)
        for i in range(1 << (WIDTH - codes[symbol].bits)):
            entry = &entries[first + i]
            entry.bits = codes[symbol].bits
            entry.size = 1 if symbol < 256 else engine_text_words[symbol - 256].size
            entry.text[0] = <uint8_t>(symbol if symbol < 256 else symbol - 256)
            if symbol >= 256:
                continue
            for second in range(256):
                if codes[second].bits and codes[second].bits <= WIDTH - entry.bits and (
                    i >> (WIDTH - codes[symbol].bits - codes[second].bits) == codes[second].code
                ):
                    entry.bits += codes[second].bits
                    entry.size = TWO
                    entry.text[1] = <uint8_t>second
                    break
    return 0


cdef int link_words() noexcept:
    cdef int word
    cdef uint32_t head
    memset(heads, NO_WORD, sizeof(heads))
    for word in range(ENGINE_TEXT_WORDS - 1, -1, -1):
        head = head_of(engine_text_words[word].text)
        others[word] = heads[head]
        heads[head] = <uint8_t>word
    return 0


number_codes()
fill_entries()
link_words()


# --- Writing and reading ----------------------------------------------------------------------------------------------


cdef inline uint32_t symbol_at(const char *p, Py_ssize_t size) noexcept nogil:
    """The longest symbol that the text begins with."""
    cdef uint8_t word
    if size >= MIN_WORD:
        word = heads[head_of(p)]
        while word != NO_WORD:
            if engine_text_words[word].size <= size and (
                memcmp(p, engine_text_words[word].text, engine_text_words[word].size) == 0
            ):
                return 256 + word
            word = others[word]
    return <uint8_t>p[0]


cdef Py_ssize_t code_text(uint8_t *out, Slice text) noexcept nogil:
    """Writes fewer bytes than the text has and returns how many; 0 when it takes as many or cannot be coded. `out` has
    room for the plain text."""
    cdef const char *p = text.start
    cdef const char *end = p + text.size
    cdef uint64_t pending = 0
    cdef uint32_t count = 0, symbol  # of pending bits
    cdef Py_ssize_t size = 0
    while p < end:
        symbol = symbol_at(p, end - p)
        if codes[symbol].bits == 0:
            return 0
        pending = pending << codes[symbol].bits | codes[symbol].code
        count += codes[symbol].bits
        p += 1 if symbol < 256 else engine_text_words[symbol - 256].size
        while count >= 8:
            if size + 1 >= text.size:
                return 0
            count -= 8
            out[size] = <uint8_t>(pending >> count)
            size += 1
    if count:
        if size + 1 >= text.size:
            return 0
        out[size] = <uint8_t>(pending << (8 - count))
        size += 1
    return size


cdef char *decode_text(const uint8_t *p, Py_ssize_t size, char *out) noexcept nogil:
    """Writes the text that was coded in so many bytes; returns the place behind it."""
    cdef const uint8_t *end = p + size
    cdef uint64_t bits = 0, word  # what comes next stands in the high bits; zeros behind it
    cdef int count = 0
    cdef const Entry *entry
    while True:
        if end - p >= 8:
            memcpy(&word, p, 8)
            bits |= engine_big_endian(word) >> count
            p += (63 - count) >> 3
            count |= 56
        else:
            while count <= 56 and p < end:
                bits |= <uint64_t>p[0] << (56 - count)
                count += 8
                p += 1
        # While another symbol follows, both characters may be written whatever there is.
        while count > WIDTH + PADDING:
            entry = &entries[bits >> (64 - WIDTH)]
            bits <<= entry.bits
            count -= entry.bits
            if entry.size > TWO:
                memcpy(out, engine_text_words[entry.text[0]].text, entry.size)
            else:
                memcpy(out, entry.text, TWO)
            out += entry.size
        if p == end:
            break
    while True:
        entry = &entries[bits >> (64 - WIDTH)]
        if entry.bits > count:
            return out
        bits <<= entry.bits
        count -= entry.bits
        memcpy(out, engine_text_words[entry.text[0]].text if entry.size > TWO else <const char *>entry.text, entry.size)
        out += entry.size
