"""RFC 3339 as Kubernetes writes it: UTC, whole seconds (Time) or microseconds (MicroTime)."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

# What is canonical already, and surely a time: days that every month has.
_MOMENT = r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"
_SECONDS = re.compile(_MOMENT + "Z", re.ASCII)
_MICROSECONDS = re.compile(_MOMENT + r"\.\d{6}Z", re.ASCII)
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def now() -> str:
    """The current time in whole seconds: `2026-11-23T01:59:11Z`."""
    return rfc3339(time.time())


def rfc3339(seconds: float) -> str:
    """The same for seconds since the epoch; fractions are cut off."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


@lru_cache(maxsize=4096)  # one second stands in many objects
def epoch_seconds(text: str | None) -> float:
    """Seconds since the epoch; 0.0 when there is none or it cannot be read, which is before everything."""
    if not text:
        return 0.0
    try:
        return parse(text).timestamp()
    except ValueError:
        return 0.0


def parse(text: str) -> datetime:
    """An aware datetime in UTC, to the microsecond. ValueError when it is no RFC 3339 time."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(_bad(text))
    base, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(base).replace(tzinfo=UTC)
        if fraction:
            moment += timedelta(microseconds=int(fraction[1:7].ljust(6, "0")))
        if zone != "Z":
            shift = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
            moment = moment - shift if zone[0] == "+" else moment + shift
    except (ValueError, OverflowError):
        raise ValueError(_bad(text)) from None
    return moment


def format_seconds(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def format_micro(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def canonical(text: str) -> str:
    """A Time as Kubernetes writes it. ValueError when it is none."""
    return text if _SECONDS.fullmatch(text) else format_seconds(parse(text))


def canonical_micro(text: str) -> str:
    """A MicroTime as Kubernetes writes it. ValueError when it is none."""
    return text if _MICROSECONDS.fullmatch(text) else format_micro(parse(text))


def age_seconds(since: str, now_seconds: float) -> float:
    """How long ago `since` was, in seconds; negative for a moment to come."""
    return now_seconds - parse(since).timestamp()


def _bad(text: str) -> str:
    return f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"'
