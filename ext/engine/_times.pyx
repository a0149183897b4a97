"""Times as Kubernetes writes them, as seconds since 1970.

Days and civil dates by Howard Hinnant's formulas, for years from 1 on; most times are of the date before.
https://howardhinnant.github.io/date_algorithms.html
"""

from engine._json cimport Slice
from engine._words cimport is_same_text, word_at
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

cdef enum:
    DATE_SIZE = 10
    SECONDS_OF_DAY = 86400

# What 00:00:00 is, and what digits become beyond nine: other characters have a bit of NO_DIGITS without it or with it.
cdef uint64_t ZEROS = word_at(b"00:00:00")
cdef uint64_t ABOVE_NINE = word_at(b"\6\6\0\6\6\0\6\6")
cdef uint64_t NO_DIGITS = word_at(b"\xF0\xF0\xFF\xF0\xF0\xFF\xF0\xF0")

cdef int64_t last_day = 0
cdef char[DATE_SIZE] last_date
memcpy(last_date, b"1970-01-01", DATE_SIZE)


cdef inline int two_digits(const char *p) noexcept nogil:
    cdef int high = digit(p[0]), low = digit(p[1])
    return -1 if high < 0 or low < 0 else 10 * high + low


cdef inline void write_two(char *out, int number) noexcept nogil:
    out[0] = <char>(c"0" + number // 10)
    out[1] = <char>(c"0" + number % 10)


cdef int64_t days_of(int year, int month, int day) noexcept nogil:
    cdef int64_t y = year - (month <= 2)
    cdef int64_t era = y // 400
    cdef int64_t year_of_era = y - era * 400
    cdef int64_t day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468


cdef void write_date(char *out, int64_t days) noexcept nogil:
    cdef int64_t z, era, day_of_era, year_of_era, day_of_year, month, year
    z = days + 719468
    era = z // 146097
    day_of_era = z - era * 146097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * day_of_year + 2) // 153
    year = year_of_era + era * 400
    write_two(out + 8, <int>(day_of_year - (153 * month + 2) // 5 + 1))
    month += 3 if month < 10 else -9
    year += month <= 2
    write_two(out, <int>(year // 100))
    write_two(out + 2, <int>(year % 100))
    out[4] = out[7] = c"-"
    write_two(out + 5, <int>month)


cdef void write_time(char *out, int64_t seconds) noexcept nogil:
    global last_day
    cdef int64_t days = seconds // SECONDS_OF_DAY
    cdef int rest
    if seconds < days * SECONDS_OF_DAY:
        days -= 1
    rest = <int>(seconds - days * SECONDS_OF_DAY)
    if days != last_day:
        write_date(last_date, days)
        last_day = days
    memcpy(out, last_date, DATE_SIZE)
    out[10] = c"T"
    write_two(out + 11, rest // 3600)
    out[13] = out[16] = c":"
    write_two(out + 14, rest // 60 % 60)
    write_two(out + 17, rest % 60)
    out[19] = c"Z"


cdef bint read_date(const char *p) noexcept nogil:
    """Makes it the last date, if it is one."""
    global last_day
    cdef char[DATE_SIZE] again
    cdef int century = two_digits(p), year = two_digits(p + 2), month = two_digits(p + 5), day = two_digits(p + 8)
    cdef int64_t days
    if century < 1 or year < 0 or month < 1 or month > 12 or day < 1:
        return False
    days = days_of(100 * century + year, month, day)
    write_date(again, days)
    if memcmp(again, p, DATE_SIZE) != 0:
        return False
    memcpy(last_date, again, DATE_SIZE)
    last_day = days
    return True


cdef bint read_time(Slice value, int64_t *seconds) noexcept nogil:
    """Whether it is a time that `write_time` writes just so."""
    cdef const char *p = value.start
    cdef uint64_t clock  # 12:34:56, a byte for each character; two of them make a number
    cdef uint32_t hour, minute, second
    if value.size != TIME_SIZE or p[10] != c"T" or p[19] != c"Z":
        return False
    clock = word_at(p + 11) ^ ZEROS
    if (clock | (clock + ABOVE_NINE)) & NO_DIGITS:
        return False
    clock = 10 * clock + (clock >> 8)
    hour = <uint8_t>clock
    minute = <uint8_t>(clock >> 24)
    second = <uint8_t>(clock >> 48)
    if hour > 23 or minute > 59 or second > 59:
        return False
    if not is_same_text(p, last_date, DATE_SIZE) and not read_date(p):
        return False
    seconds[0] = last_day * SECONDS_OF_DAY + hour * 3600 + minute * 60 + second
    return True
