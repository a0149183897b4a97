"""Every write files its fields under its manager, and takes them from the others."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from engine.api.managedfields import ANCIENT, MAX_UPDATE_MANAGERS, keep_times, manager_name, track_update
from engine.api.schema import Schema

CONFIGMAP = Schema.of_kind("", "v1", "ConfigMap")
DEPLOYMENT = Schema.of_kind("apps", "v1", "Deployment")


def configmap(_labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "c", "namespace": "g", "uid": "u"},
    }
    if data:
        found["data"] = data
    if _labels:
        found["metadata"]["labels"] = _labels
    return found


def write(
    new: dict[str, Any],
    old: dict[str, Any] | None,
    manager: str = "m",
    subresource: str = "",
    now: str | None = "2026-01-01T00:00:00Z",
    schema: Schema = CONFIGMAP,
) -> dict[str, Any]:
    before = copy.deepcopy(old)
    track_update(new, old, manager, new["apiVersion"], schema, subresource, now)
    assert old == before
    return new


def owned(document: dict[str, Any]) -> dict[str, Any]:
    return {entry["manager"]: entry["fieldsV1"] for entry in document["metadata"].get("managedFields", [])}


def test_the_default_manager_is_the_agents_name() -> None:
    assert manager_name("", "kubectl/v1.37 (linux/amd64)") == "kubectl"
    assert manager_name("", "") == "unknown"
    assert manager_name("mine", "kubectl/v1") == "mine"
    assert len(manager_name("", "x" * 500)) == 128


def test_a_create_files_everything_but_what_the_server_sets() -> None:
    found = write(configmap({"l": "1"}, a="1"), None)
    assert found["metadata"]["managedFields"] == [
        {
            "manager": "m",
            "operation": "Update",
            "apiVersion": "v1",
            "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:l": {}}}, "f:data": {".": {}, "f:a": {}}},
        }
    ]


def test_a_create_that_sets_nothing_has_no_managers() -> None:
    assert "managedFields" not in write(configmap(), None)["metadata"]


def test_an_update_files_what_it_changed_and_takes_it_from_the_others() -> None:
    first = write(configmap(a="1", b="1"), None, "one")
    second = write(configmap(a="2", b="1", c="1"), first, "two")
    assert owned(second) == {"one": {"f:data": {".": {}, "f:b": {}}}, "two": {"f:data": {"f:a": {}, "f:c": {}}}}


def test_what_is_removed_leaves_every_manager_and_empty_entries_go() -> None:
    first = write(configmap(a="1", b="1"), None, "one")
    second = write(configmap(a="1", b="2"), first, "two")
    third = write(configmap(a="1"), second, "three")
    assert owned(third) == {"one": {"f:data": {".": {}, "f:a": {}}}}


def test_an_update_that_changes_nothing_leaves_the_times() -> None:
    first = write(configmap(a="1"), None, "one", now="2026-01-01T00:00:00Z")
    second = write(configmap(a="1"), first, "one", now="2026-01-02T00:00:00Z")
    assert second["metadata"]["managedFields"] == first["metadata"]["managedFields"]


def test_changing_ones_own_field_again_moves_the_time() -> None:
    first = write(configmap(a="1"), None, "one", now="2026-01-01T00:00:00Z")
    second = write(configmap(a="2"), first, "one", now="2026-01-02T00:00:00Z")
    (entry,) = second["metadata"]["managedFields"]
    assert (entry["time"], entry["fieldsV1"]) == ("2026-01-02T00:00:00Z", {"f:data": {".": {}, "f:a": {}}})


def test_removing_alone_does_not_make_an_entry() -> None:
    first = write(configmap(a="1", b="1"), None, "one")
    assert list(owned(write(configmap(a="1"), first, "two"))) == ["one"]


def test_a_write_that_comes_to_nothing_keeps_the_times() -> None:
    first = write(configmap(a="1"), None, "one", now="2026-01-01T00:00:00Z")
    second = write(configmap(a="2"), first, "one", now="2026-01-02T00:00:00Z")
    keep_times(second, first)
    assert second["metadata"]["managedFields"][0]["time"] == "2026-01-02T00:00:00Z"
    second["data"] = {"a": "1"}  # reset by the server
    keep_times(second, first)
    assert second == first


def test_entries_are_in_order_of_time_then_manager() -> None:
    found = write(configmap(a="1"), None, "z", now="2026-01-01T00:00:00Z")
    found = write(configmap(a="1", b="1"), found, "b", now="2026-01-03T00:00:00Z")
    found = write(configmap(a="1", b="1", c="1"), found, "a", now="2026-01-03T00:00:00Z")
    assert list(owned(found)) == ["z", "a", "b"]


def deployment(wanted: int, **status: Any) -> dict[str, Any]:
    spec = {
        "replicas": wanted,
        "selector": None,
        "strategy": {},
        "template": {"metadata": {}, "spec": {"containers": None}},
    }
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "d", "uid": "u"},
        "spec": spec,
        "status": status,
    }


def test_the_status_is_filed_by_its_subresource_only() -> None:
    found = write(deployment(1, replicas=5), None, schema=DEPLOYMENT)
    assert owned(found) == {"m": {"f:spec": {"f:replicas": {}}}}
    found = write(deployment(9, replicas=6), found, "z", "status", schema=DEPLOYMENT)
    first, second = found["metadata"]["managedFields"]
    assert (second["manager"], second["subresource"], second["fieldsV1"]) == (
        "z",
        "status",
        {"f:status": {"f:replicas": {}}},
    )
    assert first["fieldsV1"] == {"f:spec": {"f:replicas": {}}}


def test_a_scale_has_no_time_and_comes_first() -> None:
    found = write(deployment(1), None, schema=DEPLOYMENT)
    new = deployment(4)
    new["metadata"]["labels"] = {"a": "b"}
    found["metadata"]["labels"] = {"a": "b"}
    found["metadata"]["managedFields"][0]["fieldsV1"]["f:metadata"] = {"f:labels": {".": {}, "f:a": {}}}
    found = write(new, found, subresource="scale", now=None, schema=DEPLOYMENT)
    first, second = found["metadata"]["managedFields"]
    assert first == {
        "manager": "m",
        "operation": "Update",
        "apiVersion": "apps/v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
        "subresource": "scale",
    }
    assert second["fieldsV1"] == {"f:metadata": {"f:labels": {".": {}, "f:a": {}}}}


def test_an_empty_entry_clears_tracking_and_later_updates_stay_untracked() -> None:
    found = write(configmap(a="1"), None)
    new = configmap(a="1")
    new["metadata"]["managedFields"] = [{}]
    cleared = write(new, found)
    assert "managedFields" not in cleared["metadata"]
    assert "managedFields" not in write(configmap(a="2"), cleared)["metadata"]


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [{"manager": "x"}],
        [{"manager": "x", "operation": "Dance", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}}],
        [{"manager": "x", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": "f:data"}],
        [{"manager": "x", "operation": "Update", "apiVersion": "v1", "fieldsType": "V2", "fieldsV1": {"f:data": {}}}],
    ],
)
def test_entries_that_cannot_be_read_are_taken_from_the_stored_object(sent: Any) -> None:
    found = write(configmap(a="1"), None)
    new = configmap(a="1")
    new["metadata"]["managedFields"] = sent
    assert write(new, found)["metadata"]["managedFields"] == found["metadata"]["managedFields"]


def test_a_client_may_rewrite_the_entries_but_not_through_a_subresource() -> None:
    found = write(configmap(a="1"), None)
    sent = [{**found["metadata"]["managedFields"][0], "manager": "renamed"}]
    for subresource, expected in (("", "renamed"), ("status", "m")):
        new = configmap(a="1")
        new["metadata"]["managedFields"] = sent
        assert list(owned(write(new, found, subresource=subresource))) == [expected]


def test_the_oldest_of_more_than_ten_updaters_are_folded_into_one() -> None:
    found = write(configmap(f0="1"), None, "m00", now="2026-01-01T00:00:00Z")
    for number in range(1, MAX_UPDATE_MANAGERS + 3):
        data = {f"f{each}": "1" for each in range(number + 1)}
        found = write(configmap(**data), found, f"m{number:02}", now=f"2026-01-{number + 1:02}T00:00:00Z")
    managers = owned(found)
    assert len(managers) == MAX_UPDATE_MANAGERS
    assert next(iter(managers)) == ANCIENT
    assert managers[ANCIENT] == {"f:data": {".": {}, "f:f0": {}, "f:f1": {}, "f:f2": {}, "f:f3": {}}}
    assert found["metadata"]["managedFields"][0]["time"] == "2026-01-04T00:00:00Z"
