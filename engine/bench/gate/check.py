"""The gate's decision: what was counted here beside what was accepted."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.bench.gate import base, baseline, counting
from engine.bench.gate.baseline import Cost, Entry
from engine.bench.gate.counting import CASES, Case, Count
from engine.bench.gate.driver import PODS
from engine.bench.gate.fingerprint import fingerprint
from engine.bench.objects import pods, status_changed

Measure = Literal["body", "python"]
Verdict = Literal["ok", "slower", "faster"]

LIMITS: dict[Measure, float] = {"body": 0.02, "python": 0.03}
BIGGEST_MOVES = 5  # functions that are told for a slower case
UPDATES_PER_POD = 3


@dataclass(frozen=True)
class Row:
    """One measure of one case, in instructions per operation."""

    case: str
    measure: Measure
    base: float
    head: float

    @property
    def change(self) -> float:
        return round(self.head / self.base - 1, 6)

    @property
    def verdict(self) -> Verdict:
        if abs(self.change) <= LIMITS[self.measure]:
            return "ok"
        return "slower" if self.change > 0 else "faster"


@dataclass(frozen=True)
class Result:
    """`moves`: by slower case, the functions whose own instructions changed most, when the base was counted, too."""

    against: str
    recorded: bool
    rows: Sequence[Row]
    moves: Mapping[str, Sequence[tuple[str, float]]]

    @property
    def slower(self) -> list[Row]:
        return [row for row in self.rows if row.verdict == "slower"]

    @property
    def stale(self) -> list[Row]:
        """Where the committed baseline asks for more than is needed, so that it would let a regression through."""
        return [row for row in self.rows if row.verdict == "faster"] if self.recorded else []


def objects() -> list[bytes]:
    """What the driver is given: pods, then their status changes in the order in which a watch brings them."""
    first = list(pods(PODS, seed=1))
    newest, found = first, list(first)
    for step in range(UPDATES_PER_POD):
        newest = [
            status_changed(pod, step, version=2_000_000_000 + step * PODS + place) for place, pod in enumerate(newest)
        ]
        found += newest
    return found


def check(
    tree: Path,
    file: Path,
    cases: Sequence[Case],
    revision: str | None,
    out: Path,
    say: Callable[[str], None],
) -> Result:
    """Counts `cases` in `tree` and compares them with the entry of this toolchain in `file`; without one, or with a
    `revision`, with an older core that is built and counted now: where HEAD left `revision`, or where `file` was
    committed last. callgrind's files of slower cases are left in `out`. CannotCount when nothing can be compared."""
    given = objects()
    mark = fingerprint(tree, given)
    known = None if revision else _entry(file, mark, cases)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        older: dict[str, Count] = {}
        if known is None:
            accepted = base.merge_base(tree, revision) if revision else base.accepted(tree, file)
            against = f"revision {accepted[:12]}, built here"
            say(f"building {accepted[:12]} to count it beside this tree")
            base.build(tree, accepted, work / "tree")
            older = counting.count(work / "tree", cases, given, work / "base")
            costs = baseline.costs(older)
        else:
            against, costs = str(file), known.cases
        head = counting.count(tree, cases, given, work / "head")
        rows = list(_rows(cases, costs, baseline.costs(head)))
        slower = dict.fromkeys(row.case for row in rows if row.verdict == "slower")
        shutil.rmtree(out, ignore_errors=True)
        for kept in (file for case in slower for file in work.glob(f"*/callgrind.{case}.*.out")):
            to = out / kept.parent.name
            to.mkdir(parents=True, exist_ok=True)
            shutil.copy(kept, to)
    return Result(
        against=against,
        recorded=known is not None,
        rows=rows,
        moves={case: _moves(older[case], head[case]) for case in slower if case in older},
    )


def record(tree: Path, file: Path) -> dict[str, Cost]:
    """Counts all cases and writes them to `file` as accepted."""
    given = objects()
    mark = fingerprint(tree, given)
    with tempfile.TemporaryDirectory() as name:
        costs = baseline.costs(counting.count(tree, list(CASES.values()), given, Path(name)))
    baseline.record(file, Entry(mark, baseline.source_digest(tree), costs))
    return costs


def _entry(file: Path, mark: Mapping[str, str], cases: Sequence[Case]) -> Entry | None:
    return next(
        (
            entry
            for entry in baseline.load(file)
            if entry.fingerprint == mark and all(case.name in entry.cases for case in cases)
        ),
        None,
    )


def _rows(cases: Sequence[Case], older: Mapping[str, Cost], newer: Mapping[str, Cost]) -> Iterator[Row]:
    for case in cases:
        before, now = older[case.name], newer[case.name]
        yield Row(case.name, "body", before.body, now.body)
        yield Row(case.name, "python", before.python, now.python)


def _moves(older: Count, newer: Count) -> list[tuple[str, float]]:
    names = older.own.keys() | newer.own.keys()
    changes = [(name, newer.own.get(name, 0.0) - older.own.get(name, 0.0)) for name in names]
    return sorted(changes, key=lambda change: (-abs(change[1]), change[0]))[:BIGGEST_MOVES]
