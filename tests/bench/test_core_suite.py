"""`engine bench`: figures with verdicts, right exit codes, one line for wrong usage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.bench.core import MEASURES
from engine.bench.core.filled import empty
from engine.bench.core.ingest import as_dicts
from engine.bench.core.memory import OtherBytes, _check
from engine.bench.figure import Figure, spread, table
from engine.bench.objects import pods
from engine.bench.plot import Curve, drawn
from engine.bench.timing import ratio
from engine.cli.main import run

TINY = ["--count", "150", "--per-owner", "10", "--rounds", "3", "--churn-seconds", "0.1"]


def figure(value: float, bar: float | None = None, aim: float | None = None, *, more: bool = False) -> Figure:
    return Figure("measure", "name", value, "x", 1, bar=bar, aim=aim, more_is_better=more)


def test_a_verdict_says_which_limit_was_reached() -> None:
    assert [figure(value, 10, 5).verdict for value in (5, 10, 11)] == ["aim", "bar", "missed"]
    assert [figure(value, 5, 10, more=True).verdict for value in (10, 5, 4)] == ["aim", "bar", "missed"]
    assert (figure(1).verdict, figure(1, 2).verdict) == ("", "bar")


def test_a_spread_is_the_median_between_the_quartiles() -> None:
    found = spread([5.0, 1.0, 4.0, 2.0, 3.0])
    assert (found.low, found.median, found.high, found.rounds) == (2.0, 3.0, 4.0, 5)
    assert spread([7.0]).low == 7.0


def test_the_tables_columns_are_aligned() -> None:
    lines = table([figure(1.5, 2, 1), figure(123_456, 2, 1)]).splitlines()
    assert len({line.index(word) for line, word in zip(lines, ("verdict", "bar", "missed"), strict=True)}) == 1


def test_a_ratio_gives_each_side_its_own_preparation_and_alternates() -> None:
    calls: list[str] = []
    made = iter(range(100))
    ratio(lambda it: calls.append(f"a{it}"), lambda it: calls.append(f"b{it}"), lambda: next(made), 2)
    assert [call[0] for call in calls] == ["a", "b", "a", "b", "b", "a"]
    assert len({call[1:] for call in calls}) == 6


def test_other_bytes_than_were_put_in_are_noticed() -> None:
    one, other = pods(2)
    cache = empty()
    cache.replace([one], 1)
    _check(cache, [one])
    with pytest.raises(OtherBytes, match="did not come back"):
        _check(cache, [other])


def test_the_other_side_keeps_every_object_by_its_key() -> None:
    made = list(pods(20))
    cache = empty()
    cache.replace(made, 1)
    assert sorted(as_dicts(made)) == cache.keys()


def test_a_plot_has_a_line_for_each_curve() -> None:
    svg = drawn("title", "x", "y & z", [Curve("one", [(10, 1), (1000, 2)]), Curve("two", [(10, 1), (1000, 1)])])
    assert svg.count("<polyline") == 2
    assert "y &amp; z" in svg


def test_all_measures_give_figures_at_a_tiny_count(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code = run(["bench", "run", "core", *TINY, "--out", str(tmp_path), "--output", "json"])
    result = json.loads(capsys.readouterr().out)
    figures = result["figures"]
    assert {one["measure"] for one in figures} == {measure.name for measure in MEASURES if measure.by_default}
    assert code == (3 if any(one["verdict"] == "missed" for one in figures) else 0)
    assert result["complete"]
    assert result["machine"]["cores"] >= 1
    assert result["settings"]["count"] == 150
    assert all(one["value"] > 0 for one in figures if one["unit"] in ("1/s", "ns", "us"))
    assert (tmp_path / "core-growth.svg").read_text().startswith("<svg")


def test_one_measure_alone_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["bench", "run", "core", *TINY, "--measures", "paths"])
    out = capsys.readouterr().out
    assert code in (0, 3)
    assert [line.split()[0] for line in out.splitlines()[:2]] == ["measure", "paths"]
    assert "python" in out.splitlines()[-1]


def test_twenty_times_the_pods_fit_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    run(["bench", "run", "core", *TINY, "--measures", "fit", "--output", "json"])
    assert [one["count"] for one in json.loads(capsys.readouterr().out)["figures"]] == [3_000]


@pytest.mark.parametrize("output", ["text", "json"])
def test_the_list_names_every_measure(capsys: pytest.CaptureFixture[str], output: str) -> None:
    assert run(["bench", "list", "--output", output]) == 0
    out = capsys.readouterr().out
    assert all(measure.name in out for measure in MEASURES)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "core", "--measures", "memory,speed"],
        ["run", "core", "--count", "-5"],
        ["run", "core", "--count", "0"],
        ["run", "core", "--per-owner", "10,x"],
        ["run", "core", "--per-owner", "0"],
        ["run", "nothing"],
        ["run"],
        ["run", "core", "--rounds", "1"],
    ],
)
def test_wrong_usage_is_one_line_and_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert run(["bench", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
