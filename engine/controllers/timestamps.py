"""Seconds since the epoch, as controllers compute with them, from and to the times in objects."""

from __future__ import annotations

from datetime import UTC, datetime

from engine.api import timestamps


def rfc3339(seconds: float) -> str:
    """`2026-11-23T10:00:00Z` for seconds since the epoch; fractions are cut off, as in metav1.Time."""
    return timestamps.format_seconds(datetime.fromtimestamp(int(seconds), UTC))


def epoch_seconds(text: str | None) -> float:
    """Seconds since the epoch; 0.0 when there is none or it cannot be read, which is before everything."""
    if not text:
        return 0.0
    try:
        return timestamps.parse(text).timestamp()
    except ValueError:
        return 0.0
