"""`engine bench`: the benchmark suite."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import orjson

from engine.bench.alone import FailedAlone
from engine.bench.core import CoreSettings
from engine.bench.figure import Figure, table
from engine.bench.machine import machine
from engine.bench.suites import SUITES, run
from engine.cli.exits import DONE, LIMIT_BREACHED, Failure
from engine.cli.gate import gate


class Numbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers above 0, separated by commas."""

    name = "n,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        words = [word.strip() for word in str(value).split(",")]
        if not all(word.isdecimal() and int(word) for word in words):
            self.fail(f"{value!r} is not a list of numbers above 0, such as 120,10,1", param, ctx)
        return tuple(int(word) for word in words)


@click.group()
def bench() -> None:
    """Measure the engine on this machine, against its alternatives in the same run."""


bench.add_command(gate)


@bench.command("list")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def list_(output: str) -> None:
    """Print the suites and what each measures."""
    if output == "json":
        found = [
            {"suite": suite, "measure": one.name, "summary": one.summary, "by_default": one.by_default}
            for suite, measures in SUITES.items()
            for one in measures
        ]
        click.echo(orjson.dumps(found))
        return
    for suite, measures in SUITES.items():
        click.echo(suite)
        for one in measures:
            click.echo(f"  {one.name:10}  {one.summary}{'' if one.by_default else ' (only when named)'}")


@bench.command("run")
@click.argument("suite", type=click.Choice(sorted(SUITES)))
@click.option("--measures", metavar="NAME,…", default="", help="Only these; `engine bench list` names them.")
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=20_000,
    show_default=True,
    help="Pods of about 7 KB. The bars are about 1000000; that takes an hour, this less than a minute.",
)
@click.option(
    "--per-owner",
    type=Numbers(),
    default="120,10,1",
    show_default=True,
    help="Pods per ReplicaSet for which memory is measured; the first is used for everything else.",
)
@click.option("--rounds", type=click.IntRange(min=3), default=7, show_default=True, help="Of each short measurement.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the objects.")
@click.option(
    "--churn-seconds",
    type=click.FloatRange(min=0),
    help="How long the measure `churn` churns.  [default: 600 from 1000000 pods up, else 1]",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("bench/out"),
    show_default=True,
    help="Where plots go.",
)
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def run_(suite: str, measures: str, output: str, **options: Any) -> int:
    """Run a suite and print its figures: medians with quartiles, the bar that must hold, the aim, the verdict.

    Ratios come from interleaved runs in one process with Python's garbage collector off. Exit code 3 when a bar is
    missed.
    """
    settings = CoreSettings(**options)
    wanted = [name.strip() for name in measures.split(",") if name.strip()]
    try:
        coming = run(suite, wanted, settings, _say_begun)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    figures: list[Figure] = []
    try:
        for figure in coming:
            figures.append(figure)  # noqa: PERF402 (what was measured before an interruption is printed)
    except KeyboardInterrupt:
        _print(suite, settings, figures, output, complete=False)
        raise
    except FailedAlone as error:
        _print(suite, settings, figures, output, complete=False)
        raise Failure(str(error)) from error
    _print(suite, settings, figures, output, complete=True)
    return LIMIT_BREACHED if any(figure.verdict == "missed" for figure in figures) else DONE


def _say_begun(measure: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"measuring {measure}", err=True)


def _print(suite: str, settings: CoreSettings, figures: list[Figure], output: str, *, complete: bool) -> None:
    if output == "json":
        result = {
            "suite": suite,
            "complete": complete,
            "machine": machine(),
            "settings": asdict(settings) | {"out": str(settings.out), "churn_seconds": settings.churn},
            "figures": [asdict(figure) | {"verdict": figure.verdict} for figure in figures],
        }
        click.echo(orjson.dumps(result))
        return
    click.echo(table(figures))
    said = machine()
    click.echo("\n" + ", ".join(f"{name} {value}" for name, value in said.items()))
    if not complete:
        click.echo("incomplete")
