"""The core of an older revision, built here, for machines whose toolchain has no committed counts."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from engine.bench.gate.callgrind import CannotCount

RECORD = "--record accepts what is here"


def accepted(tree: Path, file: Path) -> str:
    """The revision at which the counts in `file` were accepted. CannotCount when the history doesn't tell."""
    if _git(tree, "rev-parse", "--is-shallow-repository") == "true":
        raise CannotCount(f"a shallow clone doesn't tell when {file.name} was accepted: fetch all, or say --base REV")
    revision = _git(tree, "log", "-1", "--format=%H", "--", str(file))
    if not revision:
        raise CannotCount(f"no revision holds {file}: nothing to compare with ({RECORD})")
    return revision


def merge_base(tree: Path, revision: str) -> str:
    """Where HEAD left `revision`'s history."""
    return _git(tree, "merge-base", revision, "HEAD")


def build(tree: Path, revision: str, into: Path) -> None:
    """Takes `revision` out of the history into `into` and builds the core there with the tools of this environment.
    Costs as much as the first build: half a minute."""
    archive = subprocess.run(["git", "archive", revision], cwd=tree, capture_output=True, check=False)
    if archive.returncode:
        raise CannotCount(f"cannot read {revision}: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(into, filter="data")
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace", f"--parallel={os.cpu_count()}"]
    built = subprocess.run(command, cwd=into, capture_output=True, text=True, check=False)
    if built.returncode:
        said = built.stderr.strip().splitlines() or [f"exit code {built.returncode}"]
        raise CannotCount(f"cannot build {revision[:12]} to compare with: {said[-1]}")


def _git(tree: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=tree, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CannotCount(f"no counts of this toolchain, and no git to build an older core with ({RECORD})") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["nothing found"]
        raise CannotCount(f"no counts of this toolchain, and no older core to compare with: {said[0]} ({RECORD})")
    return done.stdout.strip()
