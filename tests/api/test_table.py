"""Tables have a kind's columns, one row per object, and beside each row what was asked for."""

from __future__ import annotations

from typing import Any

from engine.api.kinds import KindTable
from engine.api.table import columns, partial_metadata_list, row, table

CONFIGMAPS = KindTable.builtin().by_plural("", "v1", "configmaps")
assert CONFIGMAPS is not None
KIND = CONFIGMAPS
DOCUMENT: dict[str, Any] = {
    "kind": "ConfigMap",
    "apiVersion": "v1",
    "metadata": {"name": "c", "namespace": "g", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "data": {"a": "1"},
}
PARTIAL = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": DOCUMENT["metadata"]}


def test_a_table_has_columns_and_rows() -> None:
    found = table(KIND, [DOCUMENT], {"resourceVersion": "7"})
    assert (found["kind"], found["apiVersion"], found["metadata"]) == (
        "Table",
        "meta.k8s.io/v1",
        {"resourceVersion": "7"},
    )
    assert [column["name"] for column in found["columnDefinitions"]] == ["Name", "Data", "Age"]
    (only,) = found["rows"]
    assert only["cells"][:2] == ["c", 1]
    assert only["object"] == PARTIAL


def test_a_column_says_how_to_show_it() -> None:
    name = columns(KIND)[0]
    assert list(name) == ["name", "type", "format", "description", "priority"]
    assert (name["type"], name["format"], name["priority"]) == ("string", "name", 0)


def test_a_row_carries_metadata_the_object_or_nothing() -> None:
    assert row(KIND, DOCUMENT, "Object")["object"] is DOCUMENT
    assert row(KIND, DOCUMENT, "None")["object"] is None
    assert row(KIND, DOCUMENT, api_version="meta.k8s.io/v1beta1")["object"]["apiVersion"] == "meta.k8s.io/v1beta1"


def test_later_events_of_a_watch_leave_the_columns_out() -> None:
    assert table(KIND, [DOCUMENT], {}, with_columns=False)["columnDefinitions"] is None


def test_a_list_may_be_cut_down_to_metadata() -> None:
    assert partial_metadata_list([DOCUMENT], {"resourceVersion": "7"}) == {
        "kind": "PartialObjectMetadataList",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": "7"},
        "items": [PARTIAL],
    }
