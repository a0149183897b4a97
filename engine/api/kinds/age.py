"""How long ago, as kubectl's tables say it."""

from __future__ import annotations

import time
from datetime import datetime

UNKNOWN = "<unknown>"

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 86400 * 365


def since(timestamp: str | None) -> str:
    """The time since an RFC 3339 timestamp, `<unknown>` for none."""
    return human(time.time() - seconds(timestamp)) if timestamp else UNKNOWN


def seconds(timestamp: str) -> float:
    """Seconds since the epoch."""
    return datetime.fromisoformat(timestamp).timestamp()


def human(elapsed: float) -> str:
    """A span of seconds in at most two units, coarser the longer it is: 0s, 119s, 2m5s, 118m, 3h5m, 2d4h, 3y."""
    whole = int(elapsed)
    if whole < 0:
        return "0s" if whole >= -1 else "<invalid>"
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    if whole < 10 * _MINUTE:
        return _two(whole, _MINUTE, "m", 1, "s")
    if whole < 3 * _HOUR:
        return f"{whole // _MINUTE}m"
    if whole < 8 * _HOUR:
        return _two(whole, _HOUR, "h", _MINUTE, "m")
    if whole < 2 * _DAY:
        return f"{whole // _HOUR}h"
    if whole < 8 * _DAY:
        return _two(whole, _DAY, "d", _HOUR, "h")
    if whole < 2 * _YEAR:
        return f"{whole // _DAY}d"
    if whole < 8 * _YEAR:
        return _two(whole, _YEAR, "y", _DAY, "d")
    return f"{whole // _YEAR}y"


def _two(whole: int, major: int, major_unit: str, minor: int, minor_unit: str) -> str:
    rest = whole % major // minor
    return f"{whole // major}{major_unit}{rest}{minor_unit}" if rest else f"{whole // major}{major_unit}"
