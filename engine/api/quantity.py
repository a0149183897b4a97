"""Kubernetes' quantities: `100m`, `1Gi`, `1.5e3`. Exact, and written in one canonical form.

The rule is that of the API documentation (`resource.Quantity`): no precision is lost, no fraction is written, the
suffix is as large as possible, in the family (decimal, binary, exponent) that the text used; what is below a nano-unit
is rounded up.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

GRAMMAR = re.compile(r"([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)")
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)")
BAD_GRAMMAR = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
BAD_NUMBER = "unable to parse numeric part of quantity"
BAD_SUFFIX = "unable to parse quantity's suffix"

_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_NAMES = {power: suffix for suffix, power in _DECIMAL.items()}
_BINARY_NAMES = {power: suffix for suffix, power in _BINARY.items()}
_NANO = Fraction(1, 10**9)
_MOST = (1 << 63) - 1  # larger numbers are cut to this


def parse(text: str | int | float) -> Fraction:
    """The exact value. ValueError with Kubernetes' wording when it cannot be parsed."""
    if type(text) is int:
        return Fraction(text)
    return _parsed(str(text))[0]


def canonical(text: str | int | float) -> str:
    """The form in which Kubernetes writes it: `0.5` is `500m`, `1000m` is `1`, `1024Ki` is `1Mi`."""
    return _canonical(str(text) if type(text) is not float else format(Decimal(repr(text)), "f"))


def milli(text: str | int | float) -> int:
    """In thousandths, rounded up (away from zero)."""
    return _milli(str(text))


def whole(text: str | int | float) -> int:
    """In units, rounded up (away from zero)."""
    return _round_up(parse(text))


def compare(one: str | int | float, other: str | int | float) -> int:
    """Negative, zero or positive, as `one` is less than, equal to or more than `other`."""
    a, b = parse(one), parse(other)
    return (a > b) - (a < b)


@lru_cache(maxsize=4096)
def _canonical(text: str) -> str:
    return _format(*_parsed(text))


@lru_cache(maxsize=4096)
def _milli(text: str) -> int:
    return _round_up(_parsed(text)[0] * 1000)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> tuple[Fraction, str]:
    """The value, and its family: "binary", "exponent" or "decimal"."""
    if not text:
        raise ValueError("quantity must not be the empty string")
    match = GRAMMAR.fullmatch(text)
    if match is None or len(text) > 1024:
        raise ValueError(BAD_GRAMMAR)
    number, suffix = match.groups()
    if not NUMBER.fullmatch(number):
        raise ValueError(BAD_NUMBER if number.count(".") < 2 else BAD_GRAMMAR)
    value = Fraction(number if number[-1] != "." else number[:-1])
    if suffix in _BINARY:
        value *= 1024 ** _BINARY[suffix]
        family = "binary"
    elif suffix in _DECIMAL:
        value *= Fraction(10) ** _DECIMAL[suffix]
        family = "decimal"
    elif (exponent := EXPONENT.fullmatch(suffix)) and abs(int(exponent[1])) <= 1000:
        value *= Fraction(10) ** int(exponent[1])
        family = "exponent"
    else:
        raise ValueError(BAD_SUFFIX if suffix else BAD_GRAMMAR)
    if (value / _NANO).denominator != 1:
        value = _round_up(value / _NANO) * _NANO
    return min(max(value, Fraction(-_MOST)), Fraction(_MOST)), family


def _round_up(value: Fraction) -> int:
    return -(-value.numerator // value.denominator) if value >= 0 else value.numerator // value.denominator


def _format(value: Fraction, family: str) -> str:
    if not value:
        return "0"
    if family == "binary" and value.denominator == 1 and abs(value) >= 1024:
        number, power = value.numerator, 0
        while power < 6 and number % 1024 == 0:
            number, power = number // 1024, power + 1
        return f"{number}{_BINARY_NAMES.get(power, '')}"
    nanos, power = (value / _NANO).numerator, -9
    while power < 18 and nanos % 1000 == 0:
        nanos, power = nanos // 1000, power + 3
    if family == "exponent":
        return f"{nanos}e{power}" if power else str(nanos)
    return f"{nanos}{_DECIMAL_NAMES[power]}"
