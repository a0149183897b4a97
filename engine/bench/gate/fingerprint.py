"""What a count depends on besides the core's sources: the tools that built it, what runs it, and what it is given."""

from __future__ import annotations

import hashlib
import platform
import re
import sys
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import version
from pathlib import Path

from engine.bench.gate import callgrind
from engine.bench.gate.callgrind import CannotCount
from engine.bench.gate.counting import CASES, DRIVER

Fingerprint = dict[str, str]

MODULE = f"engine/_cache{EXTENSION_SUFFIXES[0]}"
COMPILER = re.compile(rb"\0((?:GNU C|clang version )[^\0]+)\0")  # as debug information has it: version and flags
CYTHON = re.compile(rb"_cython_(\d+(?:_\d+)+\w*)")
VECTORS = ("avx2", "avx", "sse4_2")  # libc chooses its memcpy by these; valgrind knows no wider ones


def fingerprint(tree: Path, objects: Sequence[bytes]) -> Fingerprint:
    """Of the core that is built in `tree` and counted with `objects`. Compiler and Cython are read from a module: those
    installed may be newer. CannotCount when there is none, or one without debug information."""
    module = tree / MODULE
    if not module.exists():
        raise CannotCount(f"{tree} holds no compiled core: make setup builds it")
    built = module.read_bytes()
    compiler, cython = COMPILER.search(built), CYTHON.search(built)
    if compiler is None or cython is None:
        raise CannotCount(f"{module} tells no compiler: it is stripped, or built without -g")
    return {
        "arch": f"{platform.machine()} {_vectors()}",
        "compiler": compiler[1].decode(),
        "cython": cython[1].decode().replace("_", "."),
        "libc": " ".join(platform.libc_ver()),
        "orjson": version("orjson"),
        "python": sys.version,
        "valgrind": callgrind.version().removeprefix("valgrind-"),
        "workload": _workload(objects),
    }


def _workload(objects: Sequence[bytes]) -> str:
    """The driver, how often it does what, and what it is given."""
    digest = hashlib.sha256(DRIVER.read_bytes())
    digest.update(repr(sorted(CASES.items())).encode())
    for item in objects:
        digest.update(item)
    return digest.hexdigest()[:16]


def _vectors() -> str:
    flags = Path("/proc/cpuinfo").read_text().split()
    return next((name for name in VECTORS if name in flags), "")
