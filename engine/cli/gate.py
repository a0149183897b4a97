"""`engine bench gate`: instruction counts of the core's hot operations, compared with what was accepted."""

from __future__ import annotations

import json
from pathlib import Path

import click

import engine as package
from engine.bench.gate import baseline, check
from engine.bench.gate.callgrind import CannotCount
from engine.bench.gate.check import LIMITS, Result
from engine.bench.gate.counting import CASES, Case
from engine.cli.exits import DONE, LIMIT_BREACHED, Failure

TREE = Path(package.__file__).parents[1]
RECORD = "engine bench gate --record, and commit the file with a line that says why"


def _cases(context: click.Context, option: click.Parameter, value: str) -> list[Case]:
    if unknown := [name for name in value.split(",") if name not in CASES]:
        raise click.BadParameter(f"no case {', '.join(map(repr, unknown))}; there are {', '.join(CASES)}")
    return [CASES[name] for name in dict.fromkeys(value.split(","))]


@click.command()
@click.option(
    "--cases",
    metavar="NAMES",
    default=",".join(CASES),
    show_default=True,
    callback=_cases,
    help="What to count, separated by commas.",
)
@click.option(
    "--base",
    metavar="REV",
    help="Build the revision where HEAD left REV and count it, too.  [default: the committed counts; when this "
    "toolchain has none, the revision that committed them]",
)
@click.option("--record", is_flag=True, help="Write the counts to the baseline as accepted, and compare nothing.")
@click.option(
    "--baseline",
    "file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    default=TREE / baseline.FILE,
    help=f"The committed counts.  [default: {baseline.FILE} of the source tree]",
)
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def gate(cases: list[Case], base: str | None, record: bool, file: Path, output: str) -> int:
    """Count the instructions of the core's hot operations under valgrind, and fail when they became more.

    Exit code 3: an operation takes more than 2 % more instructions in its compiled method (body) or 3 % more with
    Python's call of it (python) than accepted; or so much less that the committed counts no longer guard it and must be
    recorded anew. Exit code 1: nothing could be compared. Takes about 20 seconds; a minute more to build a base.
    """
    try:
        if record:
            if base or len(cases) < len(CASES):
                raise click.UsageError("--record takes all cases as they are now: no --base, no --cases")
            for name, cost in check.record(TREE, file).items():
                click.echo(f"{name:12} {cost.body:12,.1f} {cost.python:12,.1f}")
            return DONE
        out = TREE / "bench" / "out" / "gate"
        result = check.check(TREE, file, cases, base, out, lambda line: click.echo(line, err=True))
    except CannotCount as error:
        raise Failure(f"gate: {error}") from error
    click.echo(json.dumps(_document(result), indent=2) if output == "json" else _text(result, out))
    return LIMIT_BREACHED if result.slower or result.stale else DONE


def _document(result: Result) -> dict[str, object]:
    return {
        "against": result.against,
        "limits": LIMITS,
        "passed": not (result.slower or result.stale),
        "rows": [
            {
                "case": row.case,
                "measure": row.measure,
                "base": row.base,
                "head": row.head,
                "change": round(row.change, 5),
                "verdict": row.verdict,
            }
            for row in result.rows
        ],
        "moves": result.moves,
    }


def _text(result: Result, out: Path) -> str:
    lines = [f"instructions per operation, against {result.against}"]
    lines.append(f"{'case':12} {'measure':8} {'base':>12} {'here':>12} {'change':>9} {'limit':>7}")
    for row in sorted(result.rows, key=lambda row: -row.change):
        verdict = "" if row.verdict == "ok" else f"  {row.verdict.upper()}"
        numbers = f"{row.base:12,.1f} {row.head:12,.1f} {row.change:+9.2%} {LIMITS[row.measure]:+7.0%}"
        lines.append(f"{row.case:12} {row.measure:8} {numbers}{verdict}")
    for case, moves in result.moves.items():
        lines.append(f"{case}: what moved most, in its own instructions per operation")
        lines += [f"    {change:+10.1f}  {name}" for name, change in moves]
    if result.slower:
        lines.append(f"FAILED: {_names(result.slower)} slower; callgrind's files are in {out}")
        if not result.moves:
            lines.append("Which functions: engine bench gate --base REV; when the cost is wanted: " + RECORD)
    elif result.stale:
        lines.append(f"FAILED: {_names(result.stale)} faster than the committed counts, which must follow: {RECORD}")
    else:
        lines.append("passed")
    return "\n".join(lines)


def _names(rows: list[check.Row]) -> str:
    return ", ".join(dict.fromkeys(row.case for row in rows))
