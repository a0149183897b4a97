"""Quantities are exact, and written in one form."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.api import quantity


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0.5", "500m"), ("1000m", "1"), (1, "1"), (0.5, "500m"), ("1.5Gi", "1536Mi"), ("1024Ki", "1Mi"),
        ("1Gi", "1Gi"), ("1073741824", "1073741824"), ("1000", "1k"), ("1e3", "1e3"), ("1500e3", "1500e3"),
        ("1E", "1E"), ("-1", "-1"),
        ("0", "0"), ("0Gi", "0"), ("+1", "1"), (".5", "500m"), ("1.", "1"), ("12e6", "12e6"), ("0.1Ki", "102400m"),
        ("1n", "1n"), ("0.1n", "1n"), ("-0.1n", "-1n"), ("0.001", "1m"), ("1u", "1u"), ("123456789", "123456789"),
        (1e21, "9223372036854775807"), ("512", "512"), ("0.5Mi", "512Ki"),
    ],
)  # fmt: skip
def test_the_canonical_form_is_that_of_kubernetes(text: str | float, canonical: str) -> None:
    assert quantity.canonical(text) == canonical


@pytest.mark.parametrize(
    "text", ["", "x", "1x", "1 ", " 1", "1KiB", "--1", "1Zi", "0x10", "e3", "1.2.3", "1e1.5", "NaN", "."]
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quantit"):
        quantity.parse(text)


def test_bad_suffixes_are_refused_in_kubernetes_wording() -> None:
    with pytest.raises(ValueError, match=r"quantities must match the regular expression '\^\(\[\+-\]\?\[0-9.\]\+\)"):
        quantity.parse("1x")


def test_milli_rounds_up_away_from_zero() -> None:
    assert [quantity.milli(text) for text in ("100m", "1", "1n", "-1n", "0.0005", "1Ki")] == [
        100,
        1000,
        1,
        -1,
        1,
        1024000,
    ]


def test_compare_ignores_how_a_quantity_is_written() -> None:
    assert quantity.compare("1Ki", "1024") == 0
    assert quantity.compare("999m", "1") < 0 < quantity.compare("1", "999m")


@given(st.integers(-(10**15), 10**15), st.sampled_from(["", "m", "u", "k", "M", "Ki", "Mi", "e2", "e-3"]))
def test_the_canonical_form_has_the_same_value_and_is_a_fixed_point(number: int, suffix: str) -> None:
    text = f"{number}{suffix}"
    canonical = quantity.canonical(text)
    exact = quantity.parse(text)
    assert quantity.parse(canonical) == exact
    assert quantity.canonical(canonical) == canonical
    assert quantity.milli(text) == -(-exact * 1000 // 1) if exact >= 0 else exact * 1000 // 1
    assert isinstance(exact, Fraction)
