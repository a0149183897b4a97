"""Times are RFC 3339 in UTC."""

from __future__ import annotations

import pytest

from engine.api import timestamps


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2026-11-23T01:59:11Z", "2026-11-23T01:59:11Z"),
        ("2026-11-23T01:59:11.987Z", "2026-11-23T01:59:11Z"),
        ("2026-11-23T01:59:11+02:00", "2026-11-22T23:59:11Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
    ],
)
def test_a_time_is_written_in_whole_seconds_of_utc(text: str, canonical: str) -> None:
    assert timestamps.canonical(text) == canonical


def test_a_micro_time_always_has_six_digits() -> None:
    assert timestamps.canonical_micro("2026-11-23T00:00:00.123456Z") == "2026-11-23T00:00:00.123456Z"
    assert timestamps.canonical_micro("2026-11-23T00:00:00Z") == "2026-11-23T00:00:00.000000Z"
    assert timestamps.canonical_micro("2026-11-23T00:00:00.1234567Z") == "2026-11-23T00:00:00.123456Z"


@pytest.mark.parametrize(
    "text", ["", "now", "2026-11-23", "2026-02-30T00:00:00Z", "2026-11-23T25:00:00Z", "2026-11-23 01:59:11Z"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="parsing time"):
        timestamps.canonical(text)


def test_the_age_counts_from_the_timestamp() -> None:
    then = timestamps.parse("2026-11-23T00:00:00Z").timestamp()
    assert timestamps.age_seconds("2026-11-23T00:00:00Z", then + 90) == 90
