"""Kubernetes' timestamps: RFC 3339 in UTC, whole seconds in conditions, microseconds in leases."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(seconds: float) -> str:
    """`2026-11-23T10:00:00Z` for seconds since the epoch; fractions are cut off, as in metav1.Time."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch_seconds(text: str | None) -> float:
    """Seconds since the epoch; 0.0 when there is none or it cannot be read, which is before everything."""
    if not text:
        return 0.0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return moment.timestamp() if moment.tzinfo else moment.replace(tzinfo=UTC).timestamp()
