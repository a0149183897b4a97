"""Names, identifiers and times as Kubernetes writes them."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from random import Random

SAFE = "bcdfghjklmnpqrstvwxz2456789"  # what Kubernetes makes random names of
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
SECOND_PATTERN = re.compile(rb"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_MINUTES = [f"T{minute // 60:02}:{minute % 60:02}:".encode() for minute in range(24 * 60)]
_SECONDS = [f"{second:02}Z".encode() for second in range(60)]
_DAYS = [(EPOCH + timedelta(days=day)).strftime("%Y-%m-%d").encode() for day in range(2000)]
_DAY_NUMBERS = {day: number for number, day in enumerate(_DAYS)}


def timestamp(seconds: int) -> bytes:
    """RFC 3339 in UTC; `seconds` after the beginning of 2026, for five years."""
    day, second = divmod(seconds, 86_400)
    return _DAYS[day] + _MINUTES[second // 60] + _SECONDS[second % 60]


def seconds_of(text: bytes) -> int:
    """The inverse of `timestamp`."""
    return _DAY_NUMBERS[text[:10]] * 86_400 + int(text[11:13]) * 3_600 + int(text[14:16]) * 60 + int(text[17:19])


def uid(digits: bytes) -> bytes:
    """A random UUID (version 4) from 32 hexadecimal digits."""
    return b"%b-%b-4%b-%c%b-%b" % (
        digits[:8],
        digits[8:12],
        digits[13:16],
        b"89ab"[digits[16] & 3],
        digits[17:20],
        digits[20:32],
    )


def hex_digits(random: Random, count: int) -> bytes:
    return random.randbytes(count // 2).hex().encode()


def safe_name(random: Random, length: int) -> str:
    return "".join(random.choices(SAFE, k=length))


def digest(*parts: str) -> str:
    """64 hexadecimal digits that are a function of the parts, as an image's are of its content."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()


def apportion(total: int, parts: int, random: Random, spread: float) -> list[int]:
    """`total` cut into `parts` sizes of at least one; log-normal, `spread` 0 makes them equal."""
    weights = [random.lognormvariate(0.0, spread) for _ in range(parts)]
    scale = (total - parts) / sum(weights)
    sizes = []
    reached, given = 0.0, 0
    for weight in weights:
        reached += weight * scale
        size = round(reached) - given
        given += size
        sizes.append(size + 1)
    sizes[-1] += total - parts - given
    return sizes


_DOMAINS = """
account address alert analytics audit auth basket billing booking campaign cart catalog chat checkout claims consent
content coupon crm currency customer delivery device discount document email event export feature feed fraud
fulfilment geo identity import inbox insights inventory invoice ledger loyalty mail map media menu metering mobile
notification offer onboarding order partner payment payroll permission photo pricing product profile promo quota
rating recommendation refund report reservation returns review reward risk routing schedule search session
settlement shipping stock storefront subscription support survey tax ticket tracking transfer upload user video
voucher wallet warehouse webhook wishlist
"""
_ROLES = """
adapter api archiver backend bff bridge broker cache collector connector console consumer controller cron dispatcher
engine exporter frontend gateway gc grpc importer indexer ingest job listener loader manager migrator monitor
notifier orchestrator poller processor producer projector proxy publisher query reader reconciler relay renderer
replicator resolver router scheduler sender server service sink stream sweeper sync updater validator watcher web
worker writer
"""
_TEAMS = """
aurora basalt cobalt delta ember falcon garnet harbor indigo juniper kestrel lagoon meridian nimbus onyx pelican
quartz raven saffron tundra umber vertex willow xenon yarrow zephyr
"""
DOMAINS = _DOMAINS.split()
ROLES = _ROLES.split()
TEAMS = _TEAMS.split()
STAGES = ("prod", "prod", "prod", "staging", "dev", "qa", "perf", "sandbox")
TIERS = ("frontend", "backend", "backend", "data", "batch", "edge")
REGISTRIES = (
    "registry.example.com",
    "ghcr.io/example",
    "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
    "europe-docker.pkg.dev/example-prod",
    "quay.io/example",
)
