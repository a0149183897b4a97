"""What an Object over a record promises, against the JSON it was encoded from."""

from __future__ import annotations

import gc
import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Object
from engine._held import Held
from engine._object import forget
from engine._store import ColumnReader, live

KEPT = 8192  # objects whose parsed form is kept
KEPT_BYTES = 16 << 20

NAMES = st.text(st.characters(codec="utf-8"), max_size=6)
BRISTLING = st.text('"\\{}[],x', max_size=30)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), NAMES)
DOCUMENTS = st.dictionaries(
    NAMES,
    st.recursive(
        LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12
    ),
    max_size=4,
)
STEPS = ("view", "parse", "decode", "find", "bind", "drop", "let go", "forget")
OPERATIONS = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 4)), max_size=40)


def document(name: str = "web-0", **members: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "shop",
        "uid": "u-1",
        "resourceVersion": "42",
        "generation": 3,
        "labels": {"app": "web"},
        "annotations": {"note": "x" * 600},
        "ownerReferences": [{"kind": "ReplicaSet", "uid": "rs-1"}],
        "finalizers": ["keep"],
        "deletionTimestamp": "2026-01-01T00:00:00Z",
    }
    spec = {"nodeName": "n1", "nothing": None, "containers": [{"name": "c", "image": "nginx"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec} | members


def encoded(of: dict[str, Any]) -> bytes:
    return json.dumps(of, ensure_ascii=False, separators=(",", ":")).encode()


RAW = encoded(document())


class Column(ColumnReader):
    """The values of one path, and how often they were asked for."""

    def __init__(self, values: dict[int, Any]) -> None:
        self.values = values
        self.asked = 0

    def value(self, row: int, default: Any) -> Any:
        self.asked += 1
        return self.values.get(row, default)


@pytest.fixture
def before() -> dict[str, int]:
    """What there is of records and views already: other tests' objects live until somebody looks for garbage."""
    gc.collect()
    forget()
    return dict(live())


# --- Reading ----------------------------------------------------------------------------------------------------------


@given(DOCUMENTS, st.booleans())
def test_reading_a_view_is_reading_the_bytes_that_were_encoded(members: dict[str, Any], parse: bool) -> None:
    whole = members | {"metadata": {"name": "n", **members}} | {"large": ["x" * 600, members]}
    raw = encoded(whole)
    held = Held(raw)
    view = held.view()
    if parse:
        assert view.peek() == whole
    assert view.get_path("large") == whole["large"]
    for name, value in members.items():
        if "'" in name:
            continue
        for _ in range(2):
            assert view.get_path(f"['{name}']", "missing") == value
            assert view.get_path(f"metadata['{name}']", "missing") == value
    assert view.raw == raw
    assert view.to_dict() == whole == view.peek()


@pytest.mark.parametrize(
    "raw",
    [rb'{"metadata":{"name":"n","\u006cabels":{"a":"1"}}}', rb'{"metadata":{"name":"n","labels":{"a":"1","x":"\/"}}}'],
)
def test_keys_are_found_by_what_they_spell(raw: bytes) -> None:
    assert Held(raw).view().get_path("metadata.labels.a") == "1"


@given(st.recursive(BRISTLING, lambda inner: st.lists(inner, max_size=9) | st.dictionaries(BRISTLING, inner)))
def test_what_stands_behind_containers_of_any_shape_is_found(before: Any) -> None:
    whole = {"metadata": {"name": "n"}, "before": [before], "after": {"it": "x"}}
    assert Held(whole).view().get_path("after.it") == Object(whole).get_path("after.it") == "x"


@pytest.mark.parametrize("parse", [False, True])
def test_what_tables_ask_for_is_there_by_name(parse: bool) -> None:
    obj = Held(RAW).view()
    if parse:
        obj.peek()
    assert (obj.key, obj.name, obj.namespace, obj.uid) == ("shop/web-0", "web-0", "shop", "u-1")
    assert (obj.kind, obj.api_version, obj.resource_version, obj.generation) == ("Pod", "v1", 42, 3)
    assert obj.labels == {"app": "web"}
    assert obj.annotations == {"note": "x" * 600}
    assert obj.owner_references == [{"kind": "ReplicaSet", "uid": "rs-1"}]
    assert obj.finalizers == ["keep"]
    assert obj.deletion_timestamp == "2026-01-01T00:00:00Z"
    assert repr(obj) == "<Object Pod shop/web-0 at 42>"


@pytest.mark.parametrize("again", [1, 2, 3])
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.nodeName", "n1"),
        ("spec.containers[0].image", "nginx"),
        ("spec.containers", [{"name": "c", "image": "nginx"}]),
        ("metadata.annotations", {"note": "x" * 600}),
        ("spec.nothing", None),
        ("spec.none", "missing"),
        ("spec.nodeName.deeper", "missing"),
    ],
)
def test_a_path_off_the_columns_is_found_in_the_bytes(path: str, value: Any, again: int) -> None:
    view = Held(RAW).view()
    for _ in range(again):
        assert view.get_path(path, "missing") == value


def test_a_view_remembers_more_paths_than_it_keeps() -> None:
    whole = document(spec={f"m{number}": number for number in range(100)})
    view = Held(whole).view()
    for _ in range(2):
        assert [view.get_path(f"spec.m{number}") for number in range(100)] == list(range(100))


def test_integers_beyond_64_bits_stay_integers() -> None:
    big = 123456789012345678901234567890
    view = Held(document(value=big)).view()
    assert view.get_path("value") == view.to_dict()["value"] == view["value"] == big


def test_views_share_the_namespace() -> None:
    one = Held(document("a"))
    other = Held(document("b"), one)
    assert one.view().namespace is other.view().namespace


def test_views_are_none_of_the_garbage_collectors_business() -> None:
    assert not gc.is_tracked(Held(RAW).view())


# --- Versions ---------------------------------------------------------------------------------------------------------


def test_a_view_outlives_whoever_made_it(before: dict[str, int]) -> None:
    held = Held(RAW)
    view = held.view()
    del held
    assert (view.key, view.get_path("spec.nodeName"), view.raw) == ("shop/web-0", "n1", RAW)
    assert [live()[name] - before[name] for name in ("records", "views")] == [1, 1]


def test_a_view_holds_its_record_once() -> None:
    held = Held(RAW)
    views = [held.view() for _ in range(3)]
    assert held.holders == 1 + len(views)
    views.clear()
    assert held.holders == 1


def test_an_object_over_a_record_of_the_same_store_shares_it() -> None:
    held = Held(RAW)
    view = held.view()
    shared, elsewhere, encoded_again = Held(view, held), Held(view), Held(Object(RAW), held)
    assert shared.holders == held.holders == 3
    assert (elsewhere.holders, encoded_again.holders) == (1, 1)


def test_equal_bytes_are_equal_objects() -> None:
    held = Held(RAW)
    one, same = held.view(), held.view()
    assert one is not same
    assert one == same == Object(RAW) == Held(RAW).view()
    assert hash(one) == hash(Object(RAW))
    assert one != Held(document(kind="Node")).view()


def test_views_may_be_dropped_by_any_thread(before: dict[str, int]) -> None:
    views = [Held(RAW).view() for _ in range(100)]
    views[0].peek()
    threads = [threading.Thread(target=lambda: [views.pop().raw for _ in range(25)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert live()["views"] - before["views"] == 1


# --- What is kept -----------------------------------------------------------------------------------------------------


def test_readers_who_ask_again_find_the_parsed_view() -> None:
    held = Held(RAW)
    assert held.view() is not held.view()
    held.view().peek()
    assert held.view() is held.view()
    assert held.view().peek() is held.view().peek()


def test_views_of_one_record_share_the_parsed_form() -> None:
    held = Held(RAW)
    one, other = held.view(), held.view()
    assert one.peek() is other.peek()
    assert held.view() is one
    forget()
    assert other.peek() == one.peek()
    assert held.view() is other


def test_the_objects_parsed_last_are_kept_by_number() -> None:
    first = Held(document("first"))
    held = [Held({"metadata": {"name": f"n{number}"}}, first) for number in range(2 * KEPT + KEPT // 2)]
    views = [one.view() for one in held]
    for view in views:
        view.peek()
    assert [one.view() is view for one, view in zip(held, views, strict=True)] == [
        number >= len(held) - KEPT for number in range(len(held))
    ]
    assert views[0].peek() == {"metadata": {"name": "n0"}}
    assert held[0].view() is views[0]
    assert held[-KEPT].view() is not views[-KEPT]


def test_the_objects_parsed_last_are_kept_by_bytes() -> None:
    large = [Held(document(text="x" * (KEPT_BYTES // 4))) for _ in range(5)]
    views = [one.view() for one in large]
    for view in views:
        view.peek()
    assert [one.view() is view for one, view in zip(large, views, strict=True)] == [False, False, True, True, True]
    assert views[0]["kind"] == "Pod"


def test_bytes_decoded_are_kept_by_bytes() -> None:
    large = [Held(document(text="x" * (KEPT_BYTES // 4))).view() for _ in range(5)]
    decoded = [view.raw for view in large]
    assert [view.raw is raw for view, raw in zip(reversed(large), reversed(decoded), strict=True)][:3] == [True] * 3
    assert large[0].raw is not decoded[0]
    assert [view.raw for view in large] == decoded


def test_a_view_that_is_kept_keeps_its_record_alone(before: dict[str, int]) -> None:
    Held(RAW).view().peek()
    assert [live()[name] - before[name] for name in ("records", "views", "stores")] == [1, 1, 1]
    forget()
    assert live() == before


@given(OPERATIONS)
def test_views_come_and_go_in_any_order(operations: list[tuple[str, int]]) -> None:
    forget()
    before = live()
    expected = [document(f"n{number}") for number in range(5)]
    held: list[Held | None] = [Held(expected[0])]
    held += [Held(one, held[0]) for one in expected[1:]]
    views: list[list[Object]] = [[] for _ in held]
    for operation, number in [*operations, ("end", 0)]:
        mine, holder = views[number], held[number]
        if operation == "forget":
            forget()
        elif operation == "let go":
            held[number] = None
        elif operation == "drop" and mine:
            mine.pop(0)
        elif operation == "view" and holder is not None:
            mine.append(holder.view())
        elif operation == "bind" and holder is not None:
            mine.append(Object(expected[number]))
            if len(mine) % 2:
                mine[-1].peek()
            holder.bind(mine[-1])
        elif operation == "parse" and mine:
            assert mine[-1].peek() == expected[number]
            assert holder is None or holder.view() is holder.view()
        elif operation == "decode" and mine:
            assert mine[-1].raw == encoded(expected[number])
        elif operation == "find" and mine:
            assert mine[0].get_path("spec.nodeName") == "n1"
    assert [[view.name for view in mine] for mine in views] == [
        [f"n{number}"] * len(mine) for number, mine in enumerate(views)
    ]
    held.clear()
    views.clear()
    del mine, holder
    forget()
    assert live() == before


# --- Becoming a view --------------------------------------------------------------------------------------------------


def test_an_object_that_was_encoded_becomes_the_view_that_readers_find() -> None:
    whole = document()
    obj = Object.adopt(RAW, whole)
    held = Held(obj)
    held.bind(obj)
    assert held.view() is obj
    assert held.view().peek() is whole
    assert held.holders == 2
    assert (obj.key, obj.namespace, obj.uid, obj.resource_version, obj.raw) == ("shop/web-0", "shop", "u-1", 42, RAW)


def test_an_object_that_nobody_parsed_becomes_a_view_like_others() -> None:
    obj = Object(RAW)
    held = Held(obj)
    held.bind(obj)
    assert held.view() is not obj
    assert held.view() == obj
    obj.peek()
    assert held.view() is obj


def test_an_object_over_a_record_stays_there() -> None:
    first, second = Held(RAW), Held(RAW)
    obj = first.view()
    second.bind(obj)
    assert (first.holders, second.holders) == (2, 1)


def test_the_first_view_that_is_kept_is_the_one_found() -> None:
    first, second = Object.adopt(RAW, document()), Object.adopt(RAW, document())
    held = Held(first)
    held.bind(first)
    held.bind(second)
    assert held.view() is first
    assert second.peek() == first.peek()


# --- Columns ----------------------------------------------------------------------------------------------------------


def test_a_declared_column_answers_for_the_current_version() -> None:
    held, column = Held(RAW), Column({7: "from the column"})
    view = held.view()
    held.put(7, {"spec.nodeName": column})
    assert view.get_path("spec.nodeName") == "from the column"
    assert view.get_path("spec.containers[0].image") == "nginx"
    assert column.asked == 1


def test_an_older_version_answers_from_its_own_bytes() -> None:
    held, column = Held(RAW), Column({7: "from the column"})
    view = held.view()
    held.put(7, {"spec.nodeName": column})
    held.remove()
    assert view.get_path("spec.nodeName") == "n1"
    assert column.asked == 0


def test_a_column_without_a_value_gives_the_default() -> None:
    held = Held(RAW)
    held.put(7, {"spec.nodeName": Column({})})
    assert held.view().get_path("spec.nodeName", "missing") == "missing"
    assert held.view().get_path("spec.nodeName") is None


def test_maps_and_lists_of_a_column_are_read_only() -> None:
    held = Held(RAW)
    held.put(7, {"metadata.labels": Column({7: {"app": "web"}})})
    labels = held.view().get_path("metadata.labels")
    assert labels == {"app": "web"}
    with pytest.raises(TypeError):
        labels["app"] = "other"
