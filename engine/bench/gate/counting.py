"""Counts the cases of `driver.py`: instructions per operation of the core that a source tree holds."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from engine.bench.gate import callgrind, driver
from engine.bench.gate.callgrind import CannotCount, Profile

DRIVER = Path(driver.__file__)


@dataclass(frozen=True)
class Case:
    """`operations` are counted as the difference of a run with twice as many and a run with as many. `method` is the
    compiled method in which they happen, `together` at a call."""

    name: str
    method: str
    together: int
    operations: int

    @property
    def symbol(self) -> re.Pattern[str]:
        """What Cython calls the method's wrapper; the number in it counts the definitions before it."""
        *scope, method = self.method.split(".")
        mangled = "_".join(f"{len(part)}{part}" for part in scope)
        return re.compile(rf"__pyx_pw_{mangled}_\d+{method}(\.\w+)*$")


CASES = {
    case.name: case
    for case in (
        Case("get", "engine._cache.Cache.get", 1, 20_000),
        Case("apply", "engine._cache.Cache.apply_batch", driver.BATCH, 750),
        Case("scan", "engine._cache.Cache.replace", driver.PODS, 500),
        Case("next_batch", "engine._watchlog.Cursor.next_batch", driver.READ, 20_000),
    )
}


@dataclass(frozen=True)
class Count:
    """Instructions per operation: in the compiled method with its callees (body), and of the whole process (python: the
    interpreter's call, the loop around it and letting go of the result, too). `own` tells them by function."""

    body: float
    python: float
    own: Mapping[str, float]


def count(tree: Path, cases: Iterable[Case], objects: Sequence[bytes], keep: Path) -> dict[str, Count]:
    """The counts of the built core in `tree`, by case; callgrind's files stay in `keep`. As many runs at once as there
    are processors: that changes no count. CannotCount when a case cannot be counted."""
    keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(os.cpu_count()) as threads:
        folder = Path(name)
        (folder / "objects").write_bytes(b"\n".join(objects))
        _only_the_core(tree, folder / "engine")
        runs = {
            case: [threads.submit(_run, folder, case, times * case.operations, keep) for times in (1, 2)]
            for case in cases
        }
        return {case.name: _per_operation(case, *(run.result() for run in both)) for case, both in runs.items()}


def _only_the_core(tree: Path, package: Path) -> None:
    """The compiled modules alone: what else lies in a package, and how long its path is, moves memory and so counts."""
    package.mkdir()
    (package / "__init__.py").touch()
    modules = list(tree.glob(f"engine/_*{EXTENSION_SUFFIXES[0]}"))
    if not modules:
        raise CannotCount(f"{tree} holds no compiled modules: make setup builds them")
    for path in modules:
        (package / path.name).symlink_to(path.resolve())


def _run(folder: Path, case: Case, operations: int, keep: Path) -> Profile:
    packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join([str(folder), *packages]),
    }
    # Without site, to start quickly; -I and -E would ignore the seed.
    command = [sys.executable, "-S", "-P", str(DRIVER), case.name, str(operations), str(folder / "objects")]
    return callgrind.profile(command, environment, keep / f"callgrind.{case.name}.{operations}.out")


def _per_operation(case: Case, once: Profile, twice: Profile) -> Count:
    found = [name for name in twice.calls if case.symbol.match(name)]
    if len(found) != 1:
        raise CannotCount(f"{case.name}: no call of {case.method} is seen; is it built without symbols, or renamed?")
    body = found[0]
    done = (twice.calls[body] - once.calls[body]) * case.together
    if done != case.operations:
        raise CannotCount(f"{case.name}: the driver did {done} operations in {case.method}, not {case.operations}")
    names = twice.own.keys() | once.own.keys()
    return Count(
        body=(twice.inclusive[body] - once.inclusive[body]) / case.operations,
        python=(twice.total - once.total) / case.operations,
        own={name: (twice.own.get(name, 0) - once.own.get(name, 0)) / case.operations for name in names},
    )
