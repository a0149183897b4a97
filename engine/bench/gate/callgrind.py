"""Runs a command under valgrind's callgrind and reads what it counted."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

RUN_SECONDS = 600.0
MISSING = "valgrind is not installed here, and nothing else counts instructions: apt-get install valgrind"
NAME = re.compile(r"\((\d+)\)(?: (.*))?$")  # callgrind gives a name its number once, then only the number


class CannotCount(Exception):
    """Why there is no count, in one line."""


@dataclass(frozen=True)
class Profile:
    """Instructions of one process: all, and by function its own, those of it and its callees, and its calls."""

    total: int
    own: Mapping[str, int]
    inclusive: Mapping[str, int]
    calls: Mapping[str, int]


def available() -> bool:
    return shutil.which("valgrind") is not None


def version() -> str:
    """CannotCount where there is none."""
    if not available():
        raise CannotCount(MISSING)
    return subprocess.run(["valgrind", "--version"], check=True, capture_output=True, text=True).stdout.strip()


def profile(command: Sequence[str], environment: Mapping[str, str], out: Path) -> Profile:
    """What `command` executes from its start to its end; callgrind's own file stays at `out`. 30 to 50 times as slow as
    without. CannotCount with the last line that it said when it fails."""
    if not available():
        raise CannotCount(MISSING)
    counted = [*_fixed_addresses(), "valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *command]
    try:
        done = subprocess.run(
            counted, env=dict(environment), capture_output=True, text=True, timeout=RUN_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise CannotCount(f"{' '.join(command)} took more than {RUN_SECONDS:g} s") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("==")]
        raise CannotCount(f"{' '.join(command)} failed: {said[-1] if said else f'exit code {done.returncode}'}")
    return read(out)


def _fixed_addresses() -> list[str]:
    """setarch -R, where it is allowed: containers often forbid it. Valgrind places nearly everything itself, so that
    counts are the same without it as far as we have seen."""
    prefix = ["setarch", platform.machine(), "-R"]
    try:
        allowed = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        allowed = False
    return prefix if allowed else []


def read(file: Path) -> Profile:
    """callgrind's file, format version 1 with one event (Ir)."""
    own: Counter[str] = Counter()
    inclusive: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    names: dict[str, str] = {}
    total, function, callee = 0, "", ""
    with file.open() as lines:
        for line in lines:
            key, _, value = line.rstrip("\n").partition("=")
            if key == "fn":
                function = _name(value, names)
            elif key == "cfn":
                callee = _name(value, names)
            elif key == "calls":
                calls[callee] += int(value.split()[0])
                inclusive[callee] += int(next(lines).split()[1])
            elif line[0] in "+-*0123456789":
                own[function] += int(line.split()[1])
            elif line.startswith("summary:"):
                total = int(line.split()[1])
    return Profile(total, own, inclusive, calls)


def _name(value: str, names: dict[str, str]) -> str:
    found = NAME.match(value)
    if found is None:
        return value
    number, name = found.groups()
    return names.setdefault(number, name or "?")
