"""What a column promises, against plain dicts."""

from __future__ import annotations

import itertools
import json
import random
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine import LabelSelector
from engine._arrays import column_array
from engine._columns import Column, Texts
from engine._selection import RowBuffer, distinct_values, gather, select_field, select_labels, select_value
from engine._selectors import field_text


class Rows(Texts):
    """The current text of each row, as a cache has it."""

    def __init__(self) -> None:
        self.texts: dict[int, bytes] = {}
        self.reads = 0

    def text(self, row: int) -> bytes | None:
        self.reads += 1
        return self.texts.get(row)


class Filled:
    """A column and the texts behind it, changed together."""

    def __init__(self, path: str | None = "a.b", labels: bool = False, lean: bool = True) -> None:
        self.rows = Rows()
        self.column = Column(path, self.rows if lean else None, labels=labels)

    def put(self, row: int, raw: bytes | None) -> None:
        self.column.put(row, raw)
        if raw is None:
            self.rows.texts.pop(row, None)
        else:
            self.rows.texts[row] = raw

    def remove(self, row: int) -> None:
        self.column.remove(row)
        self.rows.texts.pop(row, None)

    def shift(self, row: int, to: int) -> None:
        self.column.stage_shift(row, to)
        self.column.commit()
        if row in self.rows.texts:
            self.rows.texts[to] = self.rows.texts.pop(row)


def found(*selections: Any) -> list[int]:
    rows = RowBuffer()
    gather(list(selections), rows)
    return sorted(rows.as_list())


def filled(values: list[Any], **options: Any) -> Filled:
    made = Filled(**options)
    for row, value in enumerate(values):
        made.put(row, None if value is ... else json.dumps(value).encode())
    return made


# --- Values -----------------------------------------------------------------------------------------------------------

SCALARS = st.sampled_from([b'"x"', b'"y"', b'""', b'"\\u0078"', b"1", b"1.0", b"1e0", b'"1"', b"true", b"null", b"-0"])
ARRAYS = st.sampled_from([b"[]", b'["x"]', b'["x","y","x"]', b'[ "y" , 1 , null, {"x": [1]} ]', b'{"x":"y"}'])
LABEL_SETS = st.one_of(
    st.dictionaries(st.sampled_from(["app", "tier", "n", "é"]), st.sampled_from(["x", "y", "", "7", "-3"])).map(
        lambda labels: json.dumps(labels).encode()
    ),
    st.sampled_from([b'{ "app" : "x" , "tier" : "y" }', b'{"app":7}', b'{"\\u0061pp":"\\u0078"}', b"null", b"[]"]),
)
SELECTORS = [
    "app=x", "app in (x,y)", "app!=x", "!app", "app", "app=x,tier=y", "tier notin (x,y),app in (x,z)", "app in (q)",
    "n>3", "n<8,app", "n>1,n<7,app!=x", "!app,!tier", "app!=x,app!=y", "app=", "tier!=", "app,tier,n",
]  # fmt: skip


class Machine(RuleBasedStateMachine):
    """Puts and removals on three columns: values of a path, labels, and values of which all are copied."""

    @initialize(size=st.sampled_from([0, 0, 100]))
    def start(self, size: int) -> None:
        self.sides = [Filled(), Filled(labels=True), Filled(path=None, lean=False)]
        self.models: list[dict[int, bytes | None]] = [{}, {}, {}]
        for row in range(size):
            for side in (0, 1, 2):
                self.change(side, row, json.dumps({"app": "x", "own": f"o{row}"} if side == 1 else f"o{row}").encode())

    def change(self, side: int, row: int, raw: bytes | None) -> None:
        self.sides[side].put(row, raw)
        self.models[side][row] = raw

    @rule(side=st.sampled_from([0, 2]), row=st.integers(0, 12), raw=st.none() | SCALARS | ARRAYS)
    def put(self, side: int, row: int, raw: bytes | None) -> None:
        self.change(side, row, raw)

    @rule(row=st.integers(0, 12), raw=st.none() | LABEL_SETS)
    def put_labels(self, row: int, raw: bytes | None) -> None:
        self.change(1, row, raw)

    @rule(side=st.integers(0, 2), first=st.integers(0, 100), count=st.sampled_from([1, 1, 5, 60]))
    def remove(self, side: int, first: int, count: int) -> None:
        for row in range(first, first + count):
            self.sides[side].remove(row)
            self.models[side].pop(row, None)

    @rule(side=st.integers(0, 2), row=st.integers(1, 100), to=st.integers(0, 99))
    def shift(self, side: int, row: int, to: int) -> None:
        if to < row and to not in self.models[side]:
            self.sides[side].shift(row, to)
            if row in self.models[side]:
                self.models[side][to] = self.models[side].pop(row)

    @rule(
        side=st.sampled_from([0, 2]), value=st.sampled_from(["x", "y", "", "1", "1.0", "true", "0", "o5", 'q"', "\\"])
    )
    def find_by_value(self, side: int, value: str) -> None:
        column, model = self.sides[side].column, self.models[side]

        def terms(raw: bytes | None) -> list[str]:
            decoded = None if raw is None else json.loads(raw)
            if isinstance(decoded, list):
                return [field_text(element) for element in decoded]
            return [] if decoded is None or isinstance(decoded, dict) else [field_text(decoded)]

        rows = [row for row in sorted(model) if value in terms(model[row])]
        selection = select_value(column, value)
        assert found(selection) == rows
        assert (selection.exact, selection.rows) == (True, len(rows))
        assert distinct_values(column) == sorted({term for raw in model.values() for term in terms(raw)})

    @rule(side=st.sampled_from([0, 2]), value=st.sampled_from(["x", "", "1", "true"]), equal=st.booleans())
    def find_by_field(self, side: int, value: str, equal: bool) -> None:
        column, model = self.sides[side].column, self.models[side]
        rows = [
            row for row in sorted(model) if (field_text(json.loads(model[row] or b"null")) == value) == equal
        ]  # fmt: skip
        assert found(select_field(column, value, equal)) == rows

    @rule(text=st.sampled_from(SELECTORS))
    def find_by_labels(self, text: str) -> None:
        column, model = self.sides[1].column, self.models[1]
        selector = LabelSelector.parse(text)

        def labels(raw: bytes | None) -> dict[str, str]:
            decoded = json.loads(raw or b"null")
            return decoded if isinstance(decoded, dict) else {}

        selection = select_labels(column, selector)
        rows = [row for row in sorted(model) if selector.matches(labels(model[row]))]
        assert found(selection) == rows
        assert not selection.exact or selection.rows == len(rows)

    @rule(text=st.sampled_from(SELECTORS), value=st.sampled_from(["x", ""]), equal=st.booleans())
    def find_by_both(self, text: str, value: str, equal: bool) -> None:
        column, other = self.sides[1].column, self.sides[0].column
        selector = LabelSelector.parse(text)
        expected = set(found(select_labels(column, selector))) & set(found(select_field(other, value, equal)))
        assert found(select_labels(column, selector), select_field(other, value, equal)) == sorted(expected)

    @invariant()
    @precondition(lambda self: hasattr(self, "sides"))
    def every_row_has_its_value(self) -> None:
        for side, model in zip(self.sides, self.models, strict=True):
            column = side.column
            assert column.count == len(model)
            for row in range(14):
                raw = model.get(row)
                assert column.value(row) == (None if raw is None else json.loads(raw))
            held = [raw for raw in model.values() if raw is not None]
            alone = {raw for raw in held if held.count(raw) == 1} if side is not self.sides[2] else set()
            assert (column.singles, column.shared) == (len(alone), len(set(held) - alone))


Machine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestColumn = Machine.TestCase


def test_a_value_that_one_row_has_is_read_again_and_not_held() -> None:
    made = Filled()
    before = made.column.nbytes()
    for row in range(1000):
        made.put(row, json.dumps(f"{row:04}" * 100).encode())
    assert made.column.singles == 1000
    assert made.column.nbytes() - before < 1000 * 40
    assert made.column.value(7) == "0007" * 100


def test_a_value_that_is_put_again_is_not_read() -> None:
    made = filled(["a", "b", "b"])
    made.rows.reads = 0
    for row, value in enumerate(["a", "b", "b"]):
        made.put(row, json.dumps(value).encode())
    assert made.rows.reads == 0


def test_the_text_of_a_shared_value_is_held_once_and_decoded_once() -> None:
    made = filled(["x" * 1000] * 500)
    assert made.column.nbytes() < 1000 + 500 * 12 * 1.1 + 4096
    assert made.column.value(3) is made.column.value(400)


def test_lists_and_objects_are_fresh_each_time() -> None:
    made = filled([{"a": []}] * 2)
    made.column.value(0)["a"].append(1)
    assert made.column.value(1) == {"a": []}


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("sharing", [1, 2, 10])
def test_memory_goes_back_when_rows_leave(labels: bool, sharing: int) -> None:
    made = Filled(labels=labels)
    empty = made.column.nbytes()
    for _ in range(2):
        for row in range(20_000):
            value = {"app": f"o{row // sharing}", "tier": "x"} if labels else f"o{row // sharing}"
            made.put(row, json.dumps(value).encode())
        for row in range(20_000):
            made.remove(row)
        assert made.column.count == made.column.shared == made.column.singles == 0
        assert made.column.nbytes() < empty + 70_000


def test_numbers_of_values_are_used_again() -> None:
    made = Filled(lean=False)
    for row in range(1000):
        made.put(row, json.dumps(f"{row:04}").encode())
    held = made.column.nbytes()
    for turn in range(1, 6):
        for row in range(1000):
            made.put(row, json.dumps(f"{row + turn:04}").encode())
    assert made.column.nbytes() <= held * 1.1


def test_what_texts_raise_changes_nothing() -> None:
    made = filled([{"app": "x", "n": "1"}, {"app": "x", "n": "2"}], labels=True)

    class Broken(Exception):
        pass

    def broken(row: int) -> bytes:
        raise Broken

    made.rows.text = broken  # type: ignore[method-assign]
    for raw in (b'{"app":"x","n":"2"}', b'{"q":"1"}', None):
        with pytest.raises(Broken):
            made.column.put(0, raw)
    with pytest.raises(Broken):
        made.column.remove(1)
    del made.rows.text  # type: ignore[method-assign]
    assert made.column.count == 2
    assert found(select_labels(made.column, LabelSelector.parse("app=x"))) == [0, 1]
    assert found(select_labels(made.column, LabelSelector.parse("n=1"))) == [0]
    assert found(select_labels(made.column, LabelSelector.parse("q"))) == []


VALUES = [None, *(json.dumps(text).encode() for text in ("a", "b", "c", 7, ["a", "b"], ["b", "c"]))]
SETS = [
    None,
    *(json.dumps({"app": app, "tier": tier}).encode() for app in "xyz" for tier in "12"),
    b'{"app":"\\u0078","more":"1"}',
]


def state(column: Column, rows: int) -> Any:
    """All that can be seen."""
    if column.labels:
        queries = [
            select_labels(column, LabelSelector.parse(text)) for text in ("app=x", "tier=1", "app,tier", "!more")
        ]
    else:
        queries = [select_value(column, text) for text in ("a", "b", "c", "7")]
    values = [column.value(row) for row in range(rows)]
    return values, [found(query) for query in queries], (column.count, column.shared, column.singles)


@pytest.mark.parametrize("labels", [False, True])
def test_a_change_that_is_cancelled_was_never_there(labels: bool) -> None:
    choices = SETS if labels else VALUES
    for lean in (True, False):
        for held in itertools.product(choices, repeat=3):
            made = Filled(labels=labels, lean=lean)
            for row, raw in enumerate(held):
                made.put(row, raw)
            before = state(made.column, 4)
            bytes_before = made.column.nbytes()
            for raw in choices:
                made.column.stage_text(2, raw)
                made.column.cancel()
            made.column.stage_removal(1)
            made.column.cancel()
            made.column.stage_text(3, choices[1])
            made.column.cancel()
            made.column.remove(0)
            without = state(made.column, 4)
            for row in (1, 2):
                made.column.stage_shift(row, 0)
                made.column.cancel()
            assert state(made.column, 4) == without
            made.column.put(0, held[0])
            assert state(made.column, 4) == before
            assert made.column.nbytes() <= bytes_before + 4096


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("lean", [False, True])
def test_without_memory_a_change_is_made_whole_or_not_at_all(labels: bool, lean: bool) -> None:
    memory = pytest.importorskip("_testcapi")
    # Without memory for a string with escapes orjson crashes.
    choices = [raw for raw in (SETS if labels else VALUES) if raw is None or b"\\" not in raw]
    dice = random.Random(1)
    refused = 0
    made = Filled(labels=labels, lean=lean)
    model: dict[int, bytes | None] = {}
    for turn in range(3000):
        row, raw, gone = dice.randrange(12), dice.choice(choices), dice.random() < 0.3
        lower = min(set(range(12)) - model.keys(), default=row) if dice.random() < 0.2 else row
        column, done = made.column, False
        memory.set_nomemory(turn % 13, turn % 13 + 1)
        try:
            if lower < row:
                column.stage_shift(row, lower)
                column.commit()
            elif gone:
                column.remove(row)
            else:
                column.put(row, raw)
            done = True
        except MemoryError:
            pass
        finally:
            memory.remove_mem_hooks()
        refused += not done
        if done and lower < row:
            if row in model:
                model[lower] = model.pop(row)
        elif done and gone:
            model.pop(row, None)
        elif done:
            model[row] = raw
        made.rows.texts = {row: raw for row, raw in model.items() if raw is not None}
        fresh = Filled(labels=labels, lean=lean)
        for row, raw in model.items():
            fresh.put(row, raw)
        assert state(column, 12)[:2] == state(fresh.column, 12)[:2]
    assert refused > 20


@pytest.mark.parametrize("held", [0, 1])
def test_many_terms_at_once_find_their_table_wide_enough_whatever_memory_there_is(held: int) -> None:
    memory = pytest.importorskip("_testcapi")
    many = json.dumps({f"l{number:03}": f"v{number}" for number in range(300)}).encode()
    refused = 0
    for turn in range(200):
        made = Filled(labels=True)
        if held:
            made.put(0, b'{"a":"b"}')
        memory.set_nomemory(turn % 40, turn % 40 + 1)
        try:
            made.column.put(1, many)
        except MemoryError:
            refused += 1
        finally:
            memory.remove_mem_hooks()
        if made.column.count > held:
            made.rows.texts[1] = many
            assert found(select_labels(made.column, LabelSelector.parse("l299=v299"))) == [1]
    assert refused > 5


@pytest.mark.parametrize("seed", range(4))
def test_thousands_of_rows_and_changes_come_out_right(seed: int) -> None:
    dice = random.Random(seed)
    sharing = dice.choice([1, 2, 50])
    made = Filled(labels=True)
    model: dict[int, dict[str, str]] = {}
    for turn in range(20_000):
        row = dice.randrange(4000)
        if dice.random() < (0.2 if turn < 15_000 else 0.9):
            made.remove(row)
            model.pop(row, None)
        else:
            owner = dice.randrange(4000) // sharing
            model[row] = {"app": f"a{owner % 97}", "own": f"o{owner}", "tier": "xyz"[owner % 3]}
            made.put(row, json.dumps(model[row]).encode())
    column = made.column
    assert [column.value(row) for row in range(4000)] == [model.get(row) for row in range(4000)]
    for text in ("app=a7", "app=a7,tier=x", "tier in (x,y),app!=a7", "own in (o1,o2,o3)", "tier", "!app", "tier!=x"):
        selector = LabelSelector.parse(text)
        rows = [row for row in sorted(model) if selector.matches(model[row])]
        assert found(select_labels(column, selector)) == rows
    for row in list(model):
        made.remove(row)
    assert (column.count, column.singles, column.shared) == (0, 0, 0)


def test_a_row_beyond_what_a_column_can_number_is_refused() -> None:
    with pytest.raises(OverflowError):
        Column("a").put(2**31 - 1, b"1")


# --- Selections -------------------------------------------------------------------------------------------------------


def test_a_selection_of_few_label_sets_knows_its_rows_before_it_collects_them() -> None:
    made = filled([{"app": f"a{row % 50}", "tier": "x"} for row in range(1000)], labels=True)
    selection = select_labels(made.column, LabelSelector.parse("app=a7,tier=x"))
    assert (selection.exact, selection.rows) == (True, 20)
    assert select_labels(made.column, LabelSelector.parse("app!=a7")).rows == 1000


def test_label_sets_without_number_are_counted_about() -> None:
    made = filled([{"app": "x", "own": str(row), "odd": str(row % 2)} for row in range(5000)], labels=True)
    selection = select_labels(made.column, LabelSelector.parse("app=x,odd=1"))
    assert not selection.exact
    assert 2500 <= selection.rows <= 5000
    assert found(selection) == list(range(1, 5000, 2))


def test_a_row_that_is_not_in_the_column_is_in_no_selection() -> None:
    made = filled([{"app": "x"}, ..., {"app": "y"}], labels=True)
    made.remove(2)
    assert found(select_labels(made.column, LabelSelector.parse("app!=x"))) == [1]
    assert found(select_labels(made.column, LabelSelector.parse(""))) == [0, 1]


@given(st.lists(st.tuples(st.integers(0, 300_000), st.booleans()), max_size=30), st.sampled_from([1, 3, 70, 5000]))
@settings(max_examples=30, deadline=None)
def test_terms_of_any_number_of_values_are_found(changes: list[tuple[int, bool]], spread: int) -> None:
    """Few values of a term, many, and so many that they are bits."""
    made = Filled(labels=True)
    model: set[int] = set()
    for row in range(0, 5000, 5000 // spread):
        made.put(row, json.dumps({"app": "x", "own": str(row)}).encode())
        model.add(row)
    for row, gone in changes:
        if gone:
            made.remove(row)
            model.discard(row)
        else:
            made.put(row, json.dumps({"app": "x", "own": str(row)}).encode())
            model.add(row)
    assert found(select_labels(made.column, LabelSelector.parse("app=x"))) == sorted(model)
    for row in sorted(model)[::2]:
        made.remove(row)
    left = sorted(model)[1::2]
    assert found(select_labels(made.column, LabelSelector.parse("app=x"))) == left
    for row in left[:5]:
        assert found(select_labels(made.column, LabelSelector.parse(f"app=x,own={row}"))) == [row]


# --- Arrays -----------------------------------------------------------------------------------------------------------


def array_of(values: list[Any], path: str = "spec.count") -> tuple[list[Any], np.dtype[Any], int]:
    made = filled(values, path=path)
    array, malformed = column_array(made.column, np.arange(len(values), dtype=np.uint32))
    assert not array.flags.writeable
    return array.tolist(), array.dtype, malformed


def test_integers_are_int64_and_missing_ones_0() -> None:
    assert array_of([3, ..., 3, True, None]) == ([3, 0, 3, 1, 0], np.dtype(np.int64), 0)


def test_numbers_are_float64_where_one_is_no_integer_or_too_long() -> None:
    values, kind, _ = array_of([3, 1.5, ...])
    assert values[:2] == [3.0, 1.5]
    assert np.isnan(values[2])
    assert kind == np.float64
    assert array_of([2**70, 1])[1] == np.float64


def test_all_else_is_text_and_none() -> None:
    assert array_of(["x", ..., 1, "x"]) == (["x", None, "1", "x"], np.dtype(object), 0)


def test_rows_stand_in_the_order_asked_for() -> None:
    made = filled(["a", "b", "c", "b"])
    array, _ = column_array(made.column, np.array([3, 0, 99, 2], dtype=np.uint32))
    assert array.tolist() == ["b", "a", None, "c"]


def test_quantities_are_milli_units() -> None:
    values = ["500m", "2", 1, 1.5, "1Ki", "0.1", "1n", "1e3", "2k", "-1", ...]
    milli = [500, 2000, 1000, 1500, 1_024_000, 100, 1, 1_000_000, 2_000_000, -1000, 0]
    assert array_of(values, "spec.containers[0].resources.requests.cpu") == (milli, np.dtype(np.int64), 0)


def test_a_malformed_quantity_is_0_and_counted() -> None:
    values = ["1", "", "x", "1 Gi", "NaN", "1_0", {}, [], True, "99E9", "1e400"]
    most = 2**63 - 1
    assert array_of(values, "status.capacity.cpu") == (
        [1000, 0, 0, 0, 0, 0, 0, 0, 0, 99_000_000_000_000, most],
        np.dtype(np.int64),
        8,
    )


def test_no_python_object_is_kept_per_value() -> None:
    before = sys.getallocatedblocks()
    made = filled([f"v{row}" for row in range(3000)])
    made.rows.texts.clear()
    assert sys.getallocatedblocks() - before < 300
