"""What an Object promises, against json.loads."""

from __future__ import annotations

import copy
import gc
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Object, WatchLog
from engine._object import forget
from engine._path import Path
from engine._views import ListView, MapView

LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(st.characters(codec="utf-8"), max_size=6))
NAMES = st.text(st.characters(codec="utf-8"), max_size=6)
DOCUMENTS = st.dictionaries(
    NAMES,
    st.recursive(
        LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12
    ),
    max_size=4,
)
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "web-0",
        "namespace": "shop",
        "uid": "u-1",
        "resourceVersion": "42",
        "generation": 3,
        "deletionTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"app": "web", "a/b": "c"},
        "annotations": {"note": "x"},
        "ownerReferences": [{"kind": "ReplicaSet", "uid": "rs-1"}],
        "finalizers": ["keep"],
    },
    "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "nginx"}]},
}


class Named(msgspec.Struct):
    metadata: dict[str, Any]


def walk(value: Any) -> list[tuple[str, Any]]:
    """Every path into a document whose names need no quotes inside, with what stands there."""
    found: list[tuple[str, Any]] = []

    def visit(here: Any, path: str) -> None:
        if path:
            found.append((path, here))
        if isinstance(here, dict):
            for name, member in here.items():
                if "'" not in name:
                    visit(member, f"{path}['{name}']")
        elif isinstance(here, list):
            for position, member in enumerate(here):
                visit(member, f"{path}[{position}]")

    visit(value, "")
    return found


@given(DOCUMENTS, st.booleans())
def test_reading_an_object_is_reading_its_json(document: dict[str, Any], ascii_only: bool) -> None:
    raw = json.dumps(document, ensure_ascii=ascii_only).encode()
    obj = Object(raw)
    assert obj.raw == raw
    assert obj.to_dict() == document == obj.peek()
    for name, value in document.items():
        assert obj[name] == value == obj.get(name)
    for path, value in walk(document):
        assert obj.get_path(path) == value
        assert Path(path).of(document) == value


@given(DOCUMENTS)
def test_an_object_of_a_dict_holds_the_same_document(document: dict[str, Any]) -> None:
    assert Object(document).to_dict() == document


@given(DOCUMENTS)
def test_views_compare_and_print_as_dicts_and_lists(document: dict[str, Any]) -> None:
    obj = Object(document)
    for name, value in document.items():
        seen = obj[name]
        assert seen == value
        assert value == seen
        assert repr(seen) == repr(value)
        assert copy.deepcopy(seen) == value
        if isinstance(value, dict):
            assert isinstance(seen, Mapping)
            assert dict(seen.items()) == value
            assert list(seen.values()) == list(value.values())
            assert list(seen) == list(value)
        if isinstance(value, list):
            assert isinstance(seen, Sequence)
            assert list(seen) == value
            assert list(reversed(seen)) == value[::-1]
            assert seen[1:] == value[1:]


def test_what_tables_ask_for_is_there_by_name() -> None:
    obj = Object(POD)
    assert (obj.key, obj.name, obj.namespace, obj.uid) == ("shop/web-0", "web-0", "shop", "u-1")
    assert (obj.kind, obj.api_version, obj.resource_version, obj.generation) == ("Pod", "v1", 42, 3)
    assert obj.labels == {"app": "web", "a/b": "c"}
    assert obj.annotations == {"note": "x"}
    assert obj.owner_references[0]["uid"] == "rs-1"
    assert list(obj.finalizers) == ["keep"]
    assert obj.deletion_timestamp == "2026-01-01T00:00:00Z"


def test_what_is_missing_is_empty() -> None:
    obj = Object(b'{"metadata":{"name":"n"}}')
    assert (obj.key, obj.namespace, obj.uid, obj.kind) == ("n", "", "", "")
    assert (obj.resource_version, obj.generation, obj.deletion_timestamp) == (0, 0, None)
    assert (obj.labels, obj.annotations, obj.owner_references, obj.finalizers) == ({}, {}, [], [])


@pytest.mark.parametrize(
    "metadata", [None, 3, [], {"name": 3, "labels": [], "resourceVersion": "x", "generation": "1"}]
)
def test_a_malformed_metadata_reads_as_empty(metadata: Any) -> None:
    obj = Object({"metadata": metadata})
    assert (obj.key, obj.resource_version, obj.generation, obj.labels) == ("", 0, 0, {})


def test_nothing_can_be_changed() -> None:
    obj: Any = Object(POD)
    with pytest.raises(TypeError):
        obj["spec"] = {}
    with pytest.raises(TypeError):
        obj["spec"]["nodeName"] = "n2"
    with pytest.raises(TypeError):
        obj["spec"]["containers"][0] = {}
    with pytest.raises(TypeError):
        del obj.labels["app"]
    with pytest.raises(AttributeError):
        obj["spec"]["containers"].append({})
    with pytest.raises(AttributeError):
        obj.key = "other"
    with pytest.raises(AttributeError):
        obj.extra = 1
    with pytest.raises(TypeError, match="cannot be changed"):
        obj.__init__({"metadata": {"name": "other"}})
    assert obj.to_dict() == POD


def test_copies_are_editable_and_fresh() -> None:
    obj = Object(POD)
    obj.to_dict()["spec"]["nodeName"] = "n2"
    copied = obj["spec"].to_dict()
    copied["containers"][0]["image"] = "other"
    images = obj["spec"]["containers"].to_list()
    images.clear()
    assert obj.to_dict() == POD


def test_integers_beyond_64_bits_stay_integers() -> None:
    big = 123456789012345678901234567890
    obj = Object(b'{"metadata":{"name":"n"},"value":%d}' % big)
    assert obj.to_dict()["value"] == obj["value"] == big
    assert Object({"metadata": {"name": "n"}, "value": big}).raw == obj.raw


def test_long_digits_in_strings_do_not_matter() -> None:
    obj = Object(b'{"id":"12345678901234567890123","escaped":"\\"12345678901234567890123"}')
    assert obj["escaped"] == '"12345678901234567890123'


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"a":', "offset 5"),
        (b'{"a":1} x', "offset 8"),
        (b'{"a":1e400}', "offset 5"),
        (b"[1]", "expected a JSON object at offset 0"),
        (b"3", "expected a JSON object at offset 0"),
        (b"\xff", "offset 0"),
        (b"", "offset 0"),
        ([1], "expected a JSON object, not list"),
        ({1: 2}, "cannot be written as JSON"),
        ({"a": object()}, "cannot be written as JSON"),
    ],
)
def test_what_is_no_json_object_is_refused_with_its_place(raw: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Object(raw)


def test_equal_bytes_are_equal_objects() -> None:
    one, same, other = Object(POD), Object(POD), Object({**POD, "kind": "Node"})
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != POD


def test_adopt_takes_the_parsed_form_without_parsing() -> None:
    document = {"metadata": {"name": "n"}, "spec": {}}
    obj = Object.adopt(b"(never parsed)", document)
    assert obj.key == "n"
    assert obj.peek() is document


def test_a_view_goes_into_another_object() -> None:
    obj = Object(POD)
    other = Object({"metadata": {"name": "copy"}, "spec": obj["spec"], "tags": obj.finalizers})
    assert other["spec"] == POD["spec"]
    assert other["tags"] == ["keep"]


def test_decode_gives_a_msgspec_type() -> None:
    assert Object(POD).decode(Named) == Named(POD["metadata"])


def test_reading_survives_the_loss_of_the_parsed_form() -> None:
    obj = Object(POD)
    spec = obj["spec"]
    forget()
    assert spec["nodeName"] == obj["spec"]["nodeName"] == obj.get_path("spec.nodeName") == "n1"
    assert obj.labels == POD["metadata"]["labels"]


@pytest.mark.parametrize(
    ("raw", "labels"),
    [
        (b'{"metadata":{"name":"n","labels":{"a":"1"},"labels":{"a":"2"}}}', {"a": "2"}),
        (b'{"metadata":{"name":"n"},"metadata":{"name":"n","labels":{"b":"1"}}}', {"b": "1"}),
        (rb'{"metadata":{"name":"n","\u006cabels":{"a":"1"}}}', {"a": "1"}),
    ],
)
def test_odd_bytes_read_as_a_parser_reads_them(raw: bytes, labels: dict[str, str]) -> None:
    obj = Object(raw)
    assert obj.labels == labels
    forget()
    assert obj.labels == obj.get_path("metadata.labels") == labels


def test_of_a_key_that_occurs_twice_the_last_one_is_read() -> None:
    obj = Object(b'{"metadata":{"name":"a","resourceVersion":"1","name":"b","resourceVersion":"2"}}')
    assert (obj.key, obj.resource_version) == ("b", 2)
    forget()
    assert obj.get_path("metadata.name") == "b"


def test_an_adopted_document_is_not_believed_when_it_is_gone() -> None:
    obj = Object.adopt(b"[1]", {"metadata": {"name": "n"}})
    forget()
    with pytest.raises(ValueError, match="expected a JSON object"):
        obj.peek()
    assert obj.name == "n"


def test_an_object_without_bytes_reads_as_empty_and_refuses_the_rest() -> None:
    obj = Object.__new__(Object)
    assert (obj.key, obj.name, obj.namespace, obj.resource_version, obj.raw) == ("", "", "", 0, b"")
    with pytest.raises(ValueError, match="empty document"):
        obj.peek()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.nodeName", "n1"),
        ("spec.containers[0].image", "nginx"),
        ("metadata.labels['a/b']", "c"),
        ('metadata.labels["a/b"]', "c"),
        ("metadata['labels'].app", "web"),
        ("spec.containers[1].image", "missing"),
        ("spec.nodeName.deeper", "missing"),
        ("spec[0]", "missing"),
        ("metadata.finalizers[0]", "keep"),
    ],
)
def test_paths_lead_to_members_and_elements(path: str, value: str) -> None:
    assert Object(POD).get_path(path, "missing") == value
    assert Path(path).of(Object(POD)["spec"], "missing") == "missing"
    assert Path(path).of(Object(POD), "missing") == value


@pytest.mark.parametrize(
    "path", ["", ".", "a.", ".a", "a..b", "a[", "a[]", "a[x]", "a['b", "a[0", "a[0]b", "a[-1]", "a['b'].", "[0]."]
)
def test_a_path_that_cannot_be_parsed_is_a_value_error(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        Object(POD).get_path(path)


def test_objects_and_events_are_none_of_the_garbage_collectors_business() -> None:
    log = WatchLog()
    cursor = log.cursor()
    log.append("ADDED", Object(POD), None)
    (event,) = cursor.next_batch()
    assert not gc.is_tracked(event)
    assert not gc.is_tracked(event.object)


def test_views_are_not_made_by_hand() -> None:
    for view in (MapView, ListView):
        with pytest.raises(TypeError):
            view()
