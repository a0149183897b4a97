"""Sets of fields behave as sets of paths do, and differences of documents are exact."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.api.fieldset import (
    Fields,
    added_of,
    compare_of,
    difference,
    element_of,
    field_set,
    intersection,
    is_fields,
    paths,
    union,
    with_named_fields,
    without_fields,
)
from engine.api.schema import Schema

POD = Schema.of_kind("", "v1", "Pod")
SPEC = POD.fields["spec"]


def members(fields: Fields, prefix: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """The model: a set of paths."""
    found = set()
    for element, node in fields.items():
        if element != ".":
            path = (*prefix, element)
            if not node or "." in node:
                found.add(path)
            found |= members(node, path)
    return found


def fields_of(found: set[tuple[str, ...]]) -> Fields:
    out: Fields = {}
    for path in found:
        node = out
        for element in path:
            node = node.setdefault(element, {})
        node["."] = {}
    return tidy(out)


def tidy(fields: Fields) -> Fields:
    return {
        element: {} if set(node) == {"."} else tidy(node) if element != "." else {} for element, node in fields.items()
    }


PATHS = st.sets(st.lists(st.sampled_from(["f:a", "f:b", "v:1"]), min_size=1, max_size=3).map(tuple), max_size=6)


@given(PATHS, PATHS)
def test_union_difference_and_intersection_are_those_of_sets_of_paths(one: Any, other: Any) -> None:
    first, second = fields_of(one), fields_of(other)
    before = copy.deepcopy((first, second))
    assert members(union(first, second)) == one | other
    assert members(difference(first, second)) == one - other
    assert members(intersection(first, second)) == one & other
    assert (first, second) == before
    assert union(first, second) == fields_of(one | other)
    assert difference(first, second) == fields_of(one - other)


@given(PATHS)
def test_the_difference_with_nothing_in_common_is_the_same_object(one: Any) -> None:
    fields = fields_of(one)
    assert difference(fields, {"f:z": {}}) is fields


def test_what_is_added_is_the_item_and_everything_below() -> None:
    volumes = [{"name": "v", "configMap": {"name": "c", "items": [{"key": "a"}]}}, {"name": "e", "emptyDir": {}}]
    assert added_of(SPEC.fields["volumes"])(volumes) == {
        ".": {},
        'k:{"name":"v"}': {".": {}, "f:name": {}, "f:configMap": {".": {}, "f:name": {}, "f:items": {}}},
        'k:{"name":"e"}': {".": {}, "f:name": {}, "f:emptyDir": {}},
    }


def test_a_missing_key_counts_as_its_default() -> None:
    ports = SPEC.at("containers", "*", "ports")
    assert element_of(ports)({"containerPort": 80}) == 'k:{"containerPort":80,"protocol":"TCP"}'
    assert element_of(ports)({"containerPort": 80, "protocol": "UDP"}) == 'k:{"containerPort":80,"protocol":"UDP"}'


def test_values_of_sets_are_written_as_json() -> None:
    finalizers = POD.at("metadata", "finalizers")
    assert element_of(finalizers)('a"b') == 'v:"a\\"b"'


def test_a_change_is_told_at_the_leaf() -> None:
    old = {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}], "priority": 1}
    new = {"containers": [{"name": "b", "image": "2"}, {"name": "a", "image": "1"}], "priority": 1}
    assert compare_of(SPEC)(old, new) == ({"f:containers": {'k:{"name":"b"}': {"f:image": {}}}}, None)


def test_what_is_owned_as_a_whole_is_one_leaf() -> None:
    changed, removed = compare_of(SPEC)({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]})
    assert (changed, removed) == ({"f:tolerations": {}}, None)


def test_null_and_missing_differ() -> None:
    assert compare_of(SPEC)({"containers": None}, {"containers": [{"name": "a"}]})[0] == {
        "f:containers": {'k:{"name":"a"}': {".": {}, "f:name": {}}}
    }
    assert compare_of(SPEC)({}, {"containers": [{"name": "a"}]})[0] == {
        "f:containers": {".": {}, 'k:{"name":"a"}': {".": {}, "f:name": {}}}
    }
    assert compare_of(SPEC)({"containers": None}, {"containers": []}) == ({"f:containers": {}}, None)


def test_items_that_occur_twice_are_one_leaf() -> None:
    one, two = {"name": "a", "value": "1"}, {"name": "a", "value": "2"}
    env = SPEC.at("containers", "*", "env")
    a = 'k:{"name":"a"}'
    assert compare_of(env)([one, two], [one, one]) == ({a: {}}, None)
    assert compare_of(env)([one], [one, two]) == ({a: {}}, {a: {".": {}, "f:name": {}, "f:value": {}}})
    assert compare_of(env)([one, two], [one]) == ({a: {".": {}, "f:name": {}, "f:value": {}}}, {a: {}})
    assert compare_of(env)([one, two], []) == (None, {a: {}})


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["1", "2"]), max_size=3)
ENV = st.dictionaries(st.sampled_from("xyz"), st.sampled_from(["1", "2"]), max_size=3)


def pod_of(found: tuple[dict[str, str], dict[str, str]]) -> dict[str, Any]:
    labels, env = found
    items = [{"name": name, "value": value} for name, value in sorted(env.items())]
    container = {"name": "c", **({"env": items} if items else {})}
    return {"metadata": {"labels": labels} if labels else {}, "spec": {"containers": [container]}}


@given(st.tuples(LABELS, ENV).map(pod_of), st.tuples(LABELS, ENV).map(pod_of))
def test_changes_and_removals_turn_the_old_fields_into_the_new(old: Any, new: Any) -> None:
    changed, removed = compare_of(POD)(old, new)
    added_old, added_new = added_of(POD)(old), added_of(POD)(new)
    turned = union(difference(added_old, removed or {}), changed or {})
    assert members(turned) == members(added_new)
    assert (changed is None and removed is None) == (old == new)


def test_a_configuration_claims_its_leaves_and_items() -> None:
    config = {
        "replicas": 1,
        "template": {"spec": {"containers": [{"name": "c", "args": []}], "nodeSelector": {"a": "b"}}},
    }
    deployment = Schema.of_kind("apps", "v1", "Deployment").fields["spec"]
    assert field_set(config, deployment) == {
        "f:replicas": {},
        "f:template": {
            "f:spec": {"f:containers": {'k:{"name":"c"}': {".": {}, "f:args": {}, "f:name": {}}}, "f:nodeSelector": {}}
        },
    }


def test_named_fields_above_members_become_members() -> None:
    fields = {"f:affinity": {"f:nodeAffinity": {"f:preferredDuringSchedulingIgnoredDuringExecution": {}}}}
    assert with_named_fields(fields, SPEC)["f:affinity"]["."] == {}


def test_removing_takes_members_with_all_below_and_leaves_the_rest() -> None:
    spec = {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}], "priority": 1}
    fields = {"f:containers": {'k:{"name":"a"}': {}, 'k:{"name":"b"}': {"f:image": {}}}, "f:priority": {}}
    assert without_fields(spec, fields, SPEC) == {"containers": [{"name": "b"}]}


def test_paths_are_written_as_in_conflicts() -> None:
    fields = {
        "f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}}},
        "f:metadata": {"f:finalizers": {'v:"a/b"': {}}},
    }
    assert list(paths(fields)) == [
        '.metadata.finalizers[="a/b"]',
        '.spec.ports[port=80,protocol="TCP"]',
        '.spec.ports[port=80,protocol="TCP"].port',
    ]


def test_what_is_no_set_is_seen() -> None:
    assert is_fields({"f:a": {".": {}, "k:{}": {}}})
    assert not is_fields({"a": {}})
    assert not is_fields({"f:a": 1})
    assert not is_fields("f:a")
