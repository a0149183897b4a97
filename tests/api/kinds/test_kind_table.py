"""The table of kinds: what is served, under which names."""

from __future__ import annotations

import pytest
from samples import TABLE, kind

from engine.api.kind import SUBRESOURCES
from engine.api.kinds import KindTable


def test_a_kind_is_found_by_its_plural_and_by_its_name() -> None:
    by_plural = TABLE.by_plural("apps", "v1", "deployments")
    assert by_plural is not None
    assert by_plural is TABLE.by_kind("apps", "v1", "Deployment")


def test_what_is_not_served_is_none() -> None:
    assert TABLE.by_plural("", "v1", "widgets") is None
    assert TABLE.by_plural("apps", "v2", "deployments") is None
    assert TABLE.by_kind("", "v1", "Deployment") is None


def test_two_tables_may_differ() -> None:
    pods_only = KindTable(each for each in TABLE if each.resource.plural == "pods")
    assert [each.singular for each in pods_only] == ["pod"]
    assert len(TABLE) == 12


def test_a_resource_is_there_once() -> None:
    with pytest.raises(ValueError, match="pods of v1 is there twice"):
        KindTable([kind("Pod"), kind("Pod")])


def test_every_subresource_is_known_to_discovery() -> None:
    assert {name for each in TABLE for name in each.all_subresources} <= SUBRESOURCES.keys()


@pytest.mark.parametrize(
    ("name", "short", "categories", "subresources"),
    [
        ("ConfigMap", ["cm"], [], []),
        ("Deployment", ["deploy"], ["all"], ["scale", "status"]),
        ("Event", ["ev"], [], []),
        ("Job", [], ["all"], ["status"]),
        ("Lease", [], [], []),
        ("Namespace", ["ns"], [], ["finalize", "status"]),
        ("Node", ["no"], [], ["status"]),
        ("Pod", ["po"], ["all"], ["binding", "log", "status"]),
        ("ReplicaSet", ["rs"], ["all"], ["scale", "status"]),
        ("Secret", [], [], []),
        ("Service", ["svc"], ["all"], ["status"]),
        ("ServiceAccount", ["sa"], [], []),
    ],
)
def test_names_that_kubectl_completes(
    name: str, short: list[str], categories: list[str], subresources: list[str]
) -> None:
    found = kind(name)
    assert (list(found.short_names), list(found.categories), found.all_subresources) == (
        short,
        categories,
        subresources,
    )


def test_namespaces_are_not_deleted_as_a_collection() -> None:
    assert "deletecollection" not in kind("Namespace").verbs


@pytest.mark.parametrize(("name", "digest"), [("ConfigMap", "qFsyl6wFWjQ="), ("Deployment", "8aSe+NMegvE=")])
def test_the_hash_of_the_stored_version_is_that_of_kubernetes(name: str, digest: str) -> None:
    assert kind(name).storage_version_hash == digest
