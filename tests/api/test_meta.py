"""The rules of metadata, worded as Kubernetes words them."""

from __future__ import annotations

from typing import Any

import pytest

from engine.api import meta
from engine.api.errors import Cause, invalid
from engine.api.kind import Kind
from engine.api.kinds import KindTable

KINDS = KindTable.builtin()


def kind(group: str, plural: str) -> Kind:
    found = KINDS.by_plural(group, "v1", plural)
    assert found is not None
    return found


CONFIGMAPS, NAMESPACES, REPLICASETS = kind("", "configmaps"), kind("", "namespaces"), kind("apps", "replicasets")


def causes(metadata: dict[str, Any], of: Kind = CONFIGMAPS) -> list[tuple[str, str]]:
    placed = {"namespace": "g", **metadata} if of.resource.namespaced else metadata
    return [(cause.field, cause.message) for cause in meta.validate({"metadata": placed}, of)]


def update_causes(new: dict[str, Any], old: dict[str, Any]) -> list[Cause]:
    base = {"name": "x", "namespace": "g", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return meta.validate_update({"metadata": {**base, **new}}, {"metadata": {**base, **old}}, CONFIGMAPS)


def test_an_object_needs_a_name() -> None:
    assert causes({}) == [("metadata.name", "Required value: name or generateName is required")]


def test_names_follow_the_rule_of_their_kind() -> None:
    assert causes({"name": "a.b"}) == []
    ((field, message),) = causes({"name": "a.b"}, NAMESPACES)
    assert field == "metadata.name"
    assert message == 'Invalid value: "a.b": must not contain dots'
    ((_, message),) = causes({"name": "Bad_Name"}, NAMESPACES)
    assert message.startswith('Invalid value: "Bad_Name": a lowercase RFC 1123 label must consist of')


def test_a_prefix_for_names_may_end_in_a_dash() -> None:
    assert causes({"generateName": "gen-", "name": "gen-abcde"}) == []
    assert [field for field, _ in causes({"generateName": "Gen-", "name": "x"})] == ["metadata.generateName"]


def test_a_namespace_is_where_it_belongs() -> None:
    assert causes({"name": "x", "namespace": ""}) == [("metadata.namespace", "Required value")]
    assert causes({"name": "x", "namespace": "g"}, NAMESPACES) == [
        ("metadata.namespace", "Forbidden: not allowed on this type")
    ]


def test_labels_and_annotations_have_qualified_keys() -> None:
    assert [field for field, _ in causes({"name": "x", "labels": {"a b": "c"}})] == ["metadata.labels"]
    assert [field for field, _ in causes({"name": "x", "annotations": {"a b": "c"}})] == ["metadata.annotations"]
    assert causes({"name": "x", "annotations": {"Example.COM/Key": "any text at all"}}) == []


def test_annotations_have_256_kib_together() -> None:
    found = causes({"name": "x", "annotations": {"a": "x" * (256 * 1024 - 1), "b": ""}})
    assert found == [("metadata.annotations", "Too long: may not be more than 262144 bytes")]


OWNER = {"uid": "a", "name": "d0", "kind": "Deployment", "apiVersion": "apps/v1", "controller": True}


def test_owner_references_are_complete() -> None:
    assert causes({"name": "x", "ownerReferences": [OWNER]}) == []
    assert causes({"name": "x", "ownerReferences": [{"apiVersion": "a/b/c", "kind": "K"}]}) == [
        ("metadata.ownerReferences[0].apiVersion", 'Invalid value: "a/b/c": must be <group>/<version> or <version>'),
        ("metadata.ownerReferences[0].name", "Required value: must not be empty"),
        ("metadata.ownerReferences[0].uid", "Required value: must not be empty"),
    ]


def test_only_one_owner_is_the_controller() -> None:
    ((field, message),) = causes({"name": "x", "ownerReferences": [OWNER, {**OWNER, "uid": "b"}]})
    assert field == "metadata.ownerReferences"
    assert message.startswith(
        'Invalid value: [{"apiVersion":"apps/v1","kind":"Deployment","name":"d0","uid":"a","controller":true},'
    )
    assert message.endswith('Found "true" in references for Deployment/d0 and Deployment/d0')


def test_an_event_owns_nothing() -> None:
    ((_, message),) = causes(
        {"name": "x", "ownerReferences": [{"apiVersion": "v1", "kind": "Event", "name": "e", "uid": "u"}]}
    )
    assert message.endswith("/v1, Kind=Event is disallowed from being an owner")


@pytest.mark.parametrize("name", ["kubernetes", "orphan", "foregroundDeletion", "example.com/hold"])
def test_finalizers_are_standard_or_qualified(name: str) -> None:
    assert causes({"name": "x", "finalizers": [name]}) == []


def test_other_finalizers_are_refused() -> None:
    assert causes({"name": "x", "finalizers": ["mine"]}) == [
        (
            "metadata.finalizers[0]",
            'Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified',
        )
    ]
    assert causes({"name": "x", "finalizers": ["orphan", "foregroundDeletion"]})[0][0] == "metadata.finalizers"


def test_an_update_may_not_change_what_is_fixed() -> None:
    found = update_causes({"uid": "other", "generation": 1}, {"generation": 2})
    assert [(cause.field, cause.message) for cause in found[: len(found) // 2]] == [
        ("metadata.generation", "Invalid value: 1: must not be decremented"),
        ("metadata.uid", 'Invalid value: "other": field is immutable'),
    ]


def test_no_finalizer_is_added_to_what_is_being_deleted() -> None:
    gone = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/hold"]}
    found = update_causes({**gone, "finalizers": ["example.com/hold", "example.com/more"]}, gone)
    error = invalid("", "ConfigMap", "fin", found)
    fault = (
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
        'found new finalizers []string{"example.com/more"}'
    )
    assert error.message == f'ConfigMap "fin" is invalid: {fault}'
    assert len(error.causes) == 2


def test_an_update_that_keeps_to_the_rules_has_no_causes() -> None:
    assert update_causes({"labels": {"a": "b"}, "finalizers": ["a/b"]}, {}) == []


def test_several_faults_stand_in_brackets() -> None:
    error = invalid("apps", "ReplicaSet", "r", [Cause("A", "x", "one"), Cause("B", "y", "two")])
    assert error.message == 'ReplicaSet.apps "r" is invalid: [x: one, y: two]'
    assert error.details == {"name": "r", "group": "apps", "kind": "ReplicaSet"}
    assert (error.code, error.reason) == (422, "Invalid")
