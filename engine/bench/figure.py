"""What a benchmark reports: figures with their spread, bars and aims."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Verdict = Literal["aim", "bar", "missed", ""]
Settings = TypeVar("Settings")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. `low` and `high` are its quartiles over the rounds. `bar` is what must hold and `aim` what is
    hoped for, both as limits in the value's unit; None when the figure only stands beside another."""

    measure: str
    name: str
    value: float
    unit: str  # "B", "x", "us", "ns", "ms", "1/s", "%", "GB"
    count: int  # objects, events or calls, as the name says
    rounds: int = 1
    low: float | None = None
    high: float | None = None
    bar: float | None = None
    aim: float | None = None
    more_is_better: bool = False
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        if self.bar is None:
            return ""
        if self.aim is not None and self._reaches(self.aim):
            return "aim"
        return "bar" if self._reaches(self.bar) else "missed"

    def _reaches(self, limit: float) -> bool:
        return self.value >= limit if self.more_is_better else self.value <= limit


@dataclass(frozen=True, slots=True)
class Spread:
    """The median and the quartiles of what the rounds gave."""

    median: float
    low: float
    high: float
    rounds: int


def spread(values: Iterable[float]) -> Spread:
    """Of one value or more."""
    found = sorted(values)
    if len(found) == 1:
        return Spread(found[0], found[0], found[0], 1)
    low, _, high = statistics.quantiles(found, n=4, method="inclusive")
    return Spread(statistics.median(found), low, high, len(found))


@dataclass(frozen=True, slots=True)
class Measure(Generic[Settings]):
    """One thing that a suite measures: its name on the command line, what it says, and the function that does it."""

    name: str
    summary: str
    run: Callable[[Settings], Iterator[Figure]]
    by_default: bool = True


def table(figures: Sequence[Figure]) -> str:
    """Aligned columns for a terminal."""
    rows = [("measure", "figure", "value", "quartiles", "bar", "aim", "verdict", "count", "rounds", "")]
    measure = ""
    for figure in figures:
        between = "" if figure.low is None or figure.high is None else f"{_short(figure.low)} .. {_short(figure.high)}"
        relation = ">= " if figure.more_is_better else "<= "
        rows.append(
            (
                figure.measure if figure.measure != measure else "",
                figure.name,
                f"{_short(figure.value)} {figure.unit}",
                between,
                "" if figure.bar is None else relation + _short(figure.bar),
                "" if figure.aim is None else _short(figure.aim),
                figure.verdict,
                f"{figure.count:,}",
                str(figure.rounds),
                figure.note,
            )
        )
        measure = figure.measure
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numbers = {2, 3, 4, 5, 7, 8}
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place in numbers else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _short(value: float) -> str:
    """Three digits that count, no exponent."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
