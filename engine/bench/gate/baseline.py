"""The committed counts: `bench/gate/baseline.json`, one entry for each toolchain that recorded the same sources.

A change of this file is the acceptance of a cost, reviewed as any other change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.bench.gate.callgrind import CannotCount
from engine.bench.gate.counting import Count
from engine.bench.gate.fingerprint import Fingerprint

FILE = Path("bench") / "gate" / "baseline.json"


@dataclass(frozen=True)
class Cost:
    """Instructions per operation, as `counting.Count` defines them."""

    body: float
    python: float


@dataclass(frozen=True)
class Entry:
    """What the sources whose digest is `source` cost, built and run by the toolchain of this fingerprint."""

    fingerprint: Fingerprint
    source: str
    cases: dict[str, Cost]


def costs(counts: Mapping[str, Count]) -> dict[str, Cost]:
    return {name: Cost(round(count.body, 2), round(count.python, 2)) for name, count in counts.items()}


def source_digest(tree: Path) -> str:
    """Of what the compiled core is made from."""
    digest = hashlib.sha256()
    for path in [tree / "setup.py", *sorted((tree / "ext" / "engine").glob("*.*"))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def load(file: Path) -> list[Entry]:
    """[] when there is no such file. CannotCount when it does not hold entries."""
    try:
        return [
            Entry(entry["fingerprint"], entry["source"], {name: Cost(**cost) for name, cost in entry["cases"].items()})
            for entry in json.loads(file.read_bytes())
        ]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CannotCount(f"{file} is no baseline ({error}); --record writes a new one") from error


def record(file: Path, entry: Entry) -> None:
    """Other toolchains' entries stay when they tell of the same sources; older ones would fail their machines."""
    try:
        known = load(file)
    except CannotCount:
        known = []
    kept = [old for old in known if old.source == entry.source and old.fingerprint != entry.fingerprint]
    entries = sorted(map(asdict, [*kept, entry]), key=lambda entry: json.dumps(entry["fingerprint"], sort_keys=True))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n")
