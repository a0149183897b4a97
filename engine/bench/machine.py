"""The machine that figures are from, and what a process takes of it."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
VERSIONS_SAID = ("reconcile-engine", "orjson", "zstandard")


def machine() -> dict[str, str | int]:
    """Processor, cores, memory, system and versions."""
    said: dict[str, str | int] = {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_bytes": PAGE_BYTES * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }
    for name in VERSIONS_SAID:
        try:
            said[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            said[name] = "not installed"
    return said


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def resident_bytes() -> int:
    """What this process holds of the machine's memory, after giving back what it freed. Linux."""
    gc.collect()
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim"):  # glibc keeps freed pages otherwise
            libc.malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES
