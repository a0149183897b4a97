"""What the byte scanner promises, against the standard library's parser."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._json import duplicate_fields, loads, splice_resource_version, without_managed_fields

KEYS = st.sampled_from(["a", "b", "metadata", "x/y", "é", 'q"uote', "back\\slash", "\n", "resourceVersion"])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.text(max_size=8),
    st.sampled_from(['}{"a":1', "\\", '"']),
)


class Pairs(list[tuple[str, Any]]):
    """An object as written, repeated keys included."""


DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.lists(st.tuples(KEYS, inner), max_size=6).map(Pairs), st.just(Pairs())
    ),
    max_leaves=25,
)


def written(value: Any, *, ascii_only: bool, space: str) -> str:
    """JSON text of a document with repeated keys."""
    if isinstance(value, Pairs):
        names = [json.dumps(key, ensure_ascii=ascii_only) for key, _ in value]
        texts = [written(member, ascii_only=ascii_only, space=space) for _, member in value]
        members = [f"{name}{space}:{space}{text}" for name, text in zip(names, texts, strict=True)]
        return "{" + space + f"{space},{space}".join(members) + space + "}"
    if isinstance(value, list):
        return "[" + f"{space},".join(written(member, ascii_only=ascii_only, space=space) for member in value) + "]"
    return json.dumps(value, ensure_ascii=ascii_only)


def repeated(value: Any, path: str = "") -> list[str]:
    """The model of duplicate_fields, over what object_pairs_hook saw."""
    found = []
    if isinstance(value, Pairs):
        seen = set()
        for key, member in value:
            here = f"{path}.{key}" if path else key
            if key in seen:
                found.append(here)
            seen.add(key)
            found += repeated(member, here)
    elif isinstance(value, list):
        for position, member in enumerate(value):
            found += repeated(member, f"{path}[{position}]")
    return list(dict.fromkeys(found))


@given(DOCUMENTS, st.booleans(), st.sampled_from(["", " ", "\n\t"]))
def test_duplicate_fields_are_those_that_a_pairs_hook_sees(document: Any, ascii_only: bool, space: str) -> None:
    text = written(document, ascii_only=ascii_only, space=space)
    parsed = json.loads(text, object_pairs_hook=Pairs)
    assert duplicate_fields(text.encode()) == repeated(parsed)


def test_duplicate_fields_come_in_document_order_as_the_api_server_reports_them() -> None:
    assert duplicate_fields(b'{"data":{"a":"1","a":"2"},"data":{"b":"3"}}') == ["data.a", "data"]
    assert duplicate_fields(b'{"spec":{"containers":[{"name":"a","name":"b"}]}}') == ["spec.containers[0].name"]


def test_a_key_that_occurs_three_times_is_reported_once() -> None:
    assert duplicate_fields(b'{"a":1,"a":2,"a":3}') == ["a"]


def test_duplicate_fields_of_an_object_with_very_many_keys() -> None:
    members = [f'"k{i}":{i}' for i in range(50_000)]
    assert duplicate_fields(("{" + ",".join(members) + ',"k40000":1}').encode()) == ["k40000"]


@given(DOCUMENTS, st.integers(0, 200), st.sampled_from([b"", b'"', b"\\", b"{", b"]", b":", b"\x01", b"\xff"]))
def test_text_that_is_no_json_ends_the_walk(document: Any, cut: int, tail: bytes) -> None:
    broken = written(document, ascii_only=False, space="").encode("utf-8", "replace")[:cut] + tail
    for read in (duplicate_fields, loads, lambda data: splice_resource_version(data, 1)):
        with suppress(ValueError):
            read(broken)


def test_escaped_keys_are_the_keys_that_they_spell() -> None:
    assert duplicate_fields(rb'{"\u0061":1,"a":2}') == ["a"]


def test_nesting_is_bounded() -> None:
    with pytest.raises(ValueError, match="nested deeper than 1024"):
        duplicate_fields(b"[" * 5000 + b"]" * 5000)


MAPPINGS = st.dictionaries(
    KEYS, st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=4), max_leaves=10)
)


@given(MAPPINGS, MAPPINGS, MAPPINGS, st.integers(0, 2**62), st.booleans())
def test_splice_sets_the_version_and_nothing_else(
    before: dict[str, Any], metadata: dict[str, Any], after: dict[str, Any], version: int, pretty: bool
) -> None:
    before.pop("metadata", None)
    after.pop("metadata", None)
    document = {**before, "metadata": metadata, **after}
    data = orjson.dumps(document, option=orjson.OPT_INDENT_2 if pretty else None)
    document["metadata"] = {**metadata, "resourceVersion": str(version)}
    assert json.loads(splice_resource_version(data, version)) == document


def test_splice_puts_a_new_version_at_the_head_of_metadata() -> None:
    assert (
        splice_resource_version(b'{"kind":"Pod","metadata":{"name":"a"},"spec":{}}', 7)
        == b'{"kind":"Pod","metadata":{"resourceVersion":"7","name":"a"},"spec":{}}'
    )


@pytest.mark.parametrize("data", [b"{}", b"[]", b"", b'"metadata"', b'{"metadata":3}', b'{"spec":{"metadata":{}}}'])
def test_splice_needs_a_metadata_object(data: bytes) -> None:
    with pytest.raises(ValueError, match="no metadata object"):
        splice_resource_version(data, 1)


@given(
    st.recursive(
        LEAVES | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
    )
)
def test_loads_is_exact_for_integers_of_any_size(document: Any) -> None:
    text = json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
    try:
        text.decode()
    except UnicodeDecodeError:
        return  # JSON text is UTF-8
    assert loads(text) == document


def test_loads_says_where_the_text_stops_being_json() -> None:
    with pytest.raises(ValueError, match="column 6"):
        loads(b'{"a":}')


@pytest.mark.parametrize(
    ("data", "left"),
    [
        (b'{"metadata":{"name":"a","managedFields":[{"f:x":{}}]},"spec":{}}', b'{"metadata":{"name":"a"},"spec":{}}'),
        (b'{"metadata":{"managedFields":[],"name":"a"}}', b'{"metadata":{"name":"a"}}'),
        (b'{"metadata":{"name":"a" , "managedFields" : [1] , "z":1}}', b'{"metadata":{"name":"a" ,  "z":1}}'),
        (b'{"metadata":{"name":"a" ,\n"managedFields":null\n}}', b'{"metadata":{"name":"a" }}'),
        (b'{"metadata":{"managedFields":[{}]}}', b'{"metadata":{}}'),
        (b'{"metadata":{"name":"a"},"managedFields":[]}', b'{"metadata":{"name":"a"},"managedFields":[]}'),
        (b'{"spec":{"managedFields":[]}}', b'{"spec":{"managedFields":[]}}'),
        (b"[]", b"[]"),
    ],
)
def test_managed_fields_are_cut_out_of_metadata(data: bytes, left: bytes) -> None:
    assert without_managed_fields(data) == left
    json.loads(left)
