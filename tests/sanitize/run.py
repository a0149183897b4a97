"""Runs the core's tests under the address and undefined-behaviour sanitizers, in a copy of the tree.

    python tests/sanitize/run.py [PYTEST ARGUMENT ...]

The copy stays under build/sanitize, so that the next run compiles what has changed. Any finding ends the run: a read or
write outside of what is allocated, of what was freed, a null pointer, a shift or an overflow without meaning. Leaks are
left to tests/core/test_leaks.py, since CPython itself leaks at its end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPY = ROOT / "build" / "sanitize"
COPIED = ["engine/**/*.py", "engine/**/*.pyi", "engine/**/*.json", "engine/py.typed", "ext/**/*.p??", "ext/**/*.h"]
COPIED += ["tests/core/**/*.py", "tests/conftest.py", "setup.py", "pyproject.toml", "README.md", "LICENSE"]
CHECK = b"__asan_report_load"  # what an instrumented module calls
USE_AFTER_FREE = """
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
block = libc.malloc(64)
libc.free(block)
ctypes.string_at(block, 64)
"""


def copy() -> None:
    """Brings the copy up to date; what did not change keeps its time, and so what was compiled from it stands."""
    wanted = {path.relative_to(ROOT) for pattern in COPIED for path in ROOT.glob(pattern)}
    for path in [*COPY.glob("ext/**/*.p??"), *COPY.glob("tests/**/*.py"), *COPY.glob("engine/**/*.py")]:
        if path.relative_to(COPY) not in wanted:
            path.unlink()
    for path in sorted(wanted):
        there = COPY / path
        if there.exists() and there.stat().st_mtime == (ROOT / path).stat().st_mtime:
            continue
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, there)


def build() -> None:
    log = COPY / "build.log"
    with log.open("wb") as out:
        done = subprocess.run(
            [sys.executable, "setup.py", "build_ext", "--inplace", f"--parallel={os.cpu_count()}"],
            cwd=COPY, env=os.environ | {"ENGINE_SANITIZE": "1"}, stdout=out, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    if done.returncode:
        sys.exit(log.read_text()[-5_000:])


def environment() -> dict[str, str]:
    compiler = os.environ.get("CC", "gcc")
    libraries = [
        subprocess.run(
            [compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    return os.environ | {
        "LD_PRELOAD": " ".join(libraries),
        "PYTHONMALLOC": "malloc",  # Python's own allocator would hide what is freed
        "PYTHONPATH": str(COPY),
        # Into files, since pytest keeps what is printed.
        "ASAN_OPTIONS": f"detect_leaks=0:allocator_may_return_null=1:log_path={COPY}/finding",
        "UBSAN_OPTIONS": f"halt_on_error=1:print_stacktrace=1:log_path={COPY}/finding",
    }


def findings() -> str:
    """What the sanitizers told, taken away."""
    told = ""
    for path in sorted(COPY.glob("finding.*")):
        told += path.read_text(errors="replace")
        path.unlink()
    return told


def check(settings: dict[str, str]) -> None:
    """What does not see a use of freed memory here would see none in the core."""
    findings()
    subprocess.run([sys.executable, "-c", USE_AFTER_FREE], env=settings, capture_output=True, check=False)
    if "heap-use-after-free" not in findings():
        sys.exit("the sanitizers are not at work")
    for module in (COPY / "engine").glob("_*.so"):
        if CHECK not in module.read_bytes():
            sys.exit(f"{module.name} was built without sanitizers")


def main(arguments: list[str]) -> int:
    copy()
    build()
    settings = environment()
    check(settings)
    # Not faulthandler's: the sanitizer tells more of a crash.
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:faulthandler"]
    done = subprocess.run([*command, *(arguments or ["tests/core"])], cwd=COPY, env=settings, check=False)
    print(findings(), end="", file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
