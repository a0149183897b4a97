"""The schema knows shapes, identities of list items, and what Go writes when nobody said anything."""

from __future__ import annotations

import pytest

from engine.api.decode import zero
from engine.api.schema import Schema, definitions, kinds_by_version

POD = Schema.of_kind("", "v1", "Pod")


def test_nodes_of_one_definition_are_shared() -> None:
    assert Schema.of("io.k8s.api.core.v1.Pod") is POD
    assert POD.at("spec", "volumes", "*", "emptyDir") is POD.at("spec", "volumes", "*").fields["emptyDir"]


def test_an_unknown_kind_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        Schema.of_kind("apps", "v7", "Deployment")


def test_associative_lists_name_their_keys() -> None:
    containers = POD.at("spec", "containers")
    assert (containers.shape, containers.list_type, containers.map_keys) == ("list", "map", ("name",))
    assert (containers.merge_key, containers.patch_strategies) == ("name", {"merge"})
    ports = POD.at("spec", "containers", "*", "ports")
    assert (ports.map_keys, ports.merge_key) == (("containerPort", "protocol"), "containerPort")
    assert POD.at("metadata", "finalizers").list_type == "set"
    assert POD.at("spec", "tolerations").list_type == "atomic"


def test_strategies_of_a_patch_may_be_several() -> None:
    assert POD.at("spec", "volumes").patch_strategies == {"merge", "retainKeys"}


def test_special_types_have_shapes_of_their_own() -> None:
    assert POD.at("spec", "containers", "*", "resources", "requests", "*").shape == "quantity"
    assert POD.at("metadata", "creationTimestamp").shape == "time"
    assert POD.at("spec", "containers", "*", "livenessProbe", "httpGet", "port").shape == "int-or-string"
    assert Schema.of_kind("coordination.k8s.io", "v1", "Lease").at("spec", "renewTime").shape == "micro-time"
    assert Schema.of_kind("", "v1", "Secret").at("data", "*").shape == "bytes"
    assert POD.at("spec", "priority").bits == 32
    assert POD.at("spec", "activeDeadlineSeconds").bits == 64


def test_a_reference_may_be_owned_as_a_whole_where_its_type_is() -> None:
    assert POD.at("metadata", "ownerReferences", "*").atomic
    assert not POD.at("spec", "containers", "*").atomic


TEMPLATE = {"metadata": {}, "spec": {"containers": None}}


@pytest.mark.parametrize(
    ("group", "kind", "expected"),
    [
        ("", "ConfigMap", {"metadata": {}}),
        ("", "Pod", {"metadata": {}, "spec": {"containers": None}, "status": {}}),
        (
            "apps",
            "Deployment",
            {"metadata": {}, "spec": {"selector": None, "strategy": {}, "template": TEMPLATE}, "status": {}},
        ),
        (
            "apps",
            "ReplicaSet",
            {"metadata": {}, "spec": {"selector": None, "template": TEMPLATE}, "status": {"replicas": 0}},
        ),
    ],
)
def test_the_zero_object_is_what_go_writes(group: str, kind: str, expected: dict[str, object]) -> None:
    assert zero(Schema.of_kind(group, "v1", kind)) == expected


def test_every_kind_of_the_schema_compiles_and_has_a_zero_object() -> None:
    for name in kinds_by_version().values():
        assert isinstance(zero(Schema.of(name)), dict), name


def test_every_definition_refers_only_to_definitions() -> None:
    seen, todo = set(), [Schema.of(name) for name in definitions()]
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        todo += node.fields.values()
        if node.shape in ("list", "map"):
            todo.append(node.item)
    assert len(seen) > len(definitions())
