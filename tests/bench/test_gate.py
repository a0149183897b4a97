"""The regression gate: it fails for a core that takes more instructions, passes for one that does not, and says when it
cannot tell."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.bench.gate import base, baseline, callgrind, check, counting
from engine.bench.gate.baseline import Cost, Entry
from engine.bench.gate.callgrind import CannotCount
from engine.bench.gate.check import Row
from engine.bench.gate.counting import CASES
from engine.bench.gate.fingerprint import fingerprint
from engine.cli.main import run

ROOT = Path(__file__).parents[2]
GET = CASES["get"]
SLOWDOWN = 0.05
NOISE = 0.005
FULL = bool(os.environ.get("ENGINE_FULL"))
MARK = {"python": "3.11", "valgrind": "3.19"}

needs_valgrind = pytest.mark.skipif(not callgrind.available(), reason=callgrind.MISSING)

CALLGRIND = """\
version: 1
positions: line
events: Ir
summary: 170

fl=(1) loop.c
fn=(1) main
10 20
cfn=(2) work
calls=2 30
11 100
+1 5
cfn=(2)
calls=1 30
* 40

fn=(2)
30 105
"""


def test_a_profile_tells_own_and_inclusive_instructions_and_calls(tmp_path: Path) -> None:
    file = tmp_path / "callgrind.out"
    file.write_text(CALLGRIND)
    profile = callgrind.read(file)
    assert profile.total == 170
    assert profile.own == {"main": 25, "work": 105}
    assert profile.inclusive == {"work": 140}
    assert profile.calls == {"work": 3}


@pytest.mark.parametrize(
    ("measure", "head", "verdict"),
    [
        ("body", 102.0, "ok"),
        ("body", 102.1, "slower"),
        ("body", 97.9, "faster"),
        ("python", 103.0, "ok"),
        ("python", 103.1, "slower"),
        ("python", 96.9, "faster"),
    ],
)
def test_two_percent_more_in_the_body_and_three_from_python_are_the_limits(
    measure: check.Measure, head: float, verdict: str
) -> None:
    assert Row("get", measure, 100.0, head).verdict == verdict


def test_faster_than_the_committed_counts_fails_until_they_follow_but_not_beside_a_base_that_was_built() -> None:
    rows = [Row("get", "body", 100.0, 90.0)]
    assert check.Result("the file", True, rows, {}).stale == rows
    assert check.Result("a base", False, rows, {}).stale == []


def test_the_symbol_of_a_method_is_its_wrapper_whatever_stands_before_it_in_the_file() -> None:
    assert GET.symbol.match("__pyx_pw_6engine_6_cache_5Cache_15get")
    assert GET.symbol.match("__pyx_pw_6engine_6_cache_5Cache_3get.isra.0")
    assert not GET.symbol.match("__pyx_pw_6engine_6_cache_5Cache_17get_many")
    assert not GET.symbol.match("__pyx_pw_6engine_6_cache_8Snapshot_3get")


def test_recording_keeps_other_toolchains_counts_of_the_same_sources_only(tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    old = Entry(MARK | {"python": "3.10"}, "older sources", {"get": Cost(1.0, 2.0)})
    other = Entry(MARK | {"python": "3.12"}, "sources", {"get": Cost(1.0, 2.0)})
    before = Entry(MARK, "sources", {"get": Cost(1.0, 2.0)})
    now = Entry(MARK, "sources", {"get": Cost(1.5, 2.5)})
    baseline.record(file, old)
    for entry in (other, before, now):
        baseline.record(file, entry)
    assert baseline.load(file) == [now, other]
    assert file.read_text() == json.dumps(json.loads(file.read_text()), indent=2, sort_keys=True) + "\n"


def test_the_committed_baseline_holds_every_case() -> None:
    entries = baseline.load(ROOT / baseline.FILE)
    assert entries
    assert all(entry.cases.keys() == CASES.keys() for entry in entries)


# --- What cannot be compared ------------------------------------------------------------------------------------------


def test_without_history_nothing_is_compared_and_the_gate_does_not_pass(tmp_path: Path) -> None:
    with pytest.raises(CannotCount, match="no older core to compare with"):
        base.accepted(tmp_path, tmp_path / "baseline.json")


def test_a_baseline_that_was_never_committed_has_no_revision(tmp_path: Path) -> None:
    _git(tmp_path, "init", "-q")
    _git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    with pytest.raises(CannotCount, match="nothing to compare with"):
        base.accepted(tmp_path, tmp_path / "baseline.json")


def test_a_shallow_clone_does_not_pass_for_its_own_base(tmp_path: Path) -> None:
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    origin.mkdir()
    _git(origin, "init", "-q")
    (origin / "baseline.json").write_text("[]")
    _git(origin, "add", ".")
    _git(origin, "commit", "-q", "-m", "first")
    _git(origin, "commit", "-q", "--allow-empty", "-m", "second")
    _git(tmp_path, "clone", "-q", "--depth=1", origin.as_uri(), str(clone))
    with pytest.raises(CannotCount, match="shallow clone"):
        base.accepted(clone, clone / "baseline.json")


def test_a_revision_that_does_not_build_is_one_line(tmp_path: Path) -> None:
    _git(tmp_path, "init", "-q")
    (tmp_path / "setup.py").write_text("raise SystemExit('no compiler')")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-q", "-m", "first")
    with pytest.raises(CannotCount, match="cannot build HEAD to compare with: no compiler"):
        base.build(tmp_path, "HEAD", tmp_path / "built")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--cases", "get,teleport"], 2, "no case 'teleport'; there are get, apply, scan, next_batch"),
        (["--record", "--cases", "get"], 2, "--record takes all cases"),
        (["--record", "--base", "HEAD"], 2, "--record takes all cases"),
    ],
)
def test_wrong_usage_is_one_line(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", "gate", *arguments]) == code
    assert said in capsys.readouterr().err


def test_without_valgrind_the_command_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(["bench", "gate"]) == 1
    assert capsys.readouterr().err == f"engine: gate: {callgrind.MISSING}\n"


def test_a_file_that_is_no_baseline_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    file.write_text('{"get": 1}')
    with pytest.raises(CannotCount, match="is no baseline"):
        baseline.load(file)


# --- A core that became slower ----------------------------------------------------------------------------------------


@needs_valgrind
def test_a_core_that_is_five_percent_slower_fails_and_an_unchanged_one_passes(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    given = check.objects()
    accepted = baseline.costs(counting.count(ROOT, [GET], given, tmp_path / "accepted"))
    file, out = tmp_path / "baseline.json", tmp_path / "out"
    baseline.record(file, Entry(fingerprint(ROOT, given), "these", accepted))

    unchanged = check.check(ROOT, file, [GET], None, out, print)
    assert not unchanged.slower
    assert not unchanged.stale
    assert all(abs(row.change) < NOISE for row in unchanged.rows)
    assert not out.exists()

    slowed = _slowed(tmp_path / "slowed", instructions=math.ceil(SLOWDOWN * accepted["get"].body))
    result = check.check(slowed, file, [GET], None, out, print)
    assert [(row.case, row.measure) for row in result.slower if row.measure == "body"] == [("get", "body")]
    assert (out / "head" / f"callgrind.get.{GET.operations}.out").exists()
    assert result.slower[0].change < 3 * SLOWDOWN  # the compiler arranges registers around it
    figure(f"gate: unchanged {unchanged.rows[0].change:+.2%}, slowed {result.slower[0].change:+.2%} (get, body)")


@needs_valgrind
@pytest.mark.skipif(not FULL, reason="builds the core twice; with ENGINE_FULL=1")
def test_on_an_unknown_toolchain_the_accepted_revision_is_built_and_a_slower_core_fails(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    _sources(tree)
    (tree / baseline.FILE).write_text("[]\n")
    _git(tree, "init", "-q")
    _git(tree, "add", ".")
    _git(tree, "commit", "-q", "-m", "accepted")
    _build(tree)
    gate = [sys.executable, "-c", "from engine.cli.main import main; main()", "bench", "gate", "--cases", "get"]

    unchanged = subprocess.run(gate, cwd=tree, env=_environment(tree), capture_output=True, text=True, check=False)
    assert unchanged.returncode == 0, unchanged.stderr

    _slow_down(tree / "ext" / "engine" / "_cache.pyx", instructions=20)
    _git(tree, "commit", "-q", "-a", "-m", "slower")
    _build(tree)
    slowed = subprocess.run(gate, cwd=tree, env=_environment(tree), capture_output=True, text=True, check=False)
    assert slowed.returncode == 3, slowed.stderr
    assert "FAILED: get slower" in slowed.stdout
    assert "Cache_" in slowed.stdout.partition("what moved most")[2]


def _slowed(tree: Path, instructions: int) -> Path:
    """The core as it is built here, but for `_cache`, which is built anew."""
    _sources(tree)
    for module in (ROOT / "engine").glob("_*.so"):
        shutil.copy2(module, tree / "engine")
    for source in (tree / "ext" / "engine").glob("*.pyx"):
        if source.stem != "_cache":
            source.unlink()
    _slow_down(tree / "ext" / "engine" / "_cache.pyx", instructions)
    _build(tree)
    return tree


def _slow_down(source: Path, instructions: int) -> None:
    """Puts so many instructions that do nothing into Cache.get."""
    before, head, after = source.read_text().partition("cdef class Cache:")
    start = after.index("    def get(")
    body = after.index(":\n", start) + 2
    nothing = "; ".join(["nop"] * instructions)
    source.write_text(
        f"{before}{head}{after[:body]}        LOSE_TIME()\n{after[body:]}\n\n"
        f'cdef extern from *:\n    """\n    #define LOSE_TIME() __asm__ __inline__ volatile ("{nothing}")\n    """\n'
        "    void LOSE_TIME()\n"
    )


def _sources(tree: Path) -> None:
    for name in ("engine", "ext", "bench"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("*.so", "__pycache__", "out"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, tree / name)


def _build(tree: Path) -> None:
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    built = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr


def _environment(tree: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(tree)}


def _git(tree: Path, *arguments: str) -> None:
    who = {f"GIT_{role}_{part}": "gate@example.com" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    subprocess.run(["git", *arguments], cwd=tree, check=True, env=os.environ | who)
