"""Merge, JSON and strategic merge patches follow RFC 7386, RFC 6902 and Kubernetes, and leave the original alone."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.api.errors import StatusError
from engine.api.patch import JSON, MERGE, STRATEGIC, patched
from engine.api.patch.json import MAX_OPERATIONS
from engine.api.patch.merge import merge
from engine.api.schema import Schema

POD = Schema.of_kind("", "v1", "Pod")
DEPLOYMENT = Schema.of_kind("apps", "v1", "Deployment")


def apply(document: Any, patch: Any, content_type: str, schema: Schema = POD) -> Any:
    before = copy.deepcopy(document)
    found = patched(document, json.dumps(patch).encode(), content_type, schema).document
    assert document == before
    return found


def refusal(document: Any, patch: Any, content_type: str) -> StatusError:
    data = patch if isinstance(patch, bytes) else json.dumps(patch).encode()
    with pytest.raises(StatusError) as caught:
        patched(document, data, content_type, POD)
    return caught.value


# Merge patch: the examples of RFC 7386, appendix A


@pytest.mark.parametrize(
    ("original", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({"a": "foo"}, {"b": {"c": None}}, {"a": "foo", "b": {}}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_follows_the_rfc(original: Any, patch: Any, result: Any) -> None:
    assert apply(original, patch, MERGE) == result


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_a_merge_patch_applied_twice_changes_nothing_more(target: Any, patch: Any) -> None:
    once = merge(target, patch)
    assert merge(once, patch) == once


def test_a_merge_patch_that_is_no_object_is_refused() -> None:
    assert refusal({}, [1], MERGE).code == 400
    assert refusal({}, b"{", MERGE).message == "error decoding patch: unexpected end of JSON input"


def test_duplicates_in_a_patch_are_told() -> None:
    found = patched({}, b'{"a":{"b":1,"b":2},"c":1}', MERGE, POD)
    assert (found.document, found.duplicates) == ({"a": {"b": 2}, "c": 1}, ['duplicate field "a.b"'])


# JSON patch


@pytest.mark.parametrize(
    ("original", "operations", "result"),
    [
        ({"a": 1}, [{"op": "add", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
        ({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
        ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
        ({"a": 1}, [{"op": "add", "path": "/a", "value": None}], {"a": None}),
        ({"a": 1, "b": 2}, [{"op": "remove", "path": "/b"}], {"a": 1}),
        ({"a": [1, 2]}, [{"op": "remove", "path": "/a/0"}], {"a": [2]}),
        ({"a": [1, 2]}, [{"op": "replace", "path": "/a/0", "value": 9}], {"a": [9, 2]}),
        ({"a": {"b": 1}}, [{"op": "move", "from": "/a/b", "path": "/c"}], {"a": {}, "c": 1}),
        ({"a": [1, 2, 3]}, [{"op": "move", "from": "/a/0", "path": "/a/2"}], {"a": [2, 3, 1]}),
        ({"a": {"b": 1}}, [{"op": "copy", "from": "/a", "path": "/c"}], {"a": {"b": 1}, "c": {"b": 1}}),
        ({"a/b": 1, "m~n": 2}, [{"op": "remove", "path": "/a~1b"}, {"op": "remove", "path": "/m~0n"}], {}),
        ({"a": [{"b": 1}]}, [{"op": "test", "path": "/a/0/b", "value": 1.0}], {"a": [{"b": 1}]}),
        ({"a": 1}, [{"op": "test", "path": "/none", "value": None}], {"a": 1}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
    ],
)
def test_json_patch_follows_the_rfc(original: Any, operations: Any, result: Any) -> None:
    assert apply(original, operations, JSON) == result


def test_a_copy_is_one_of_its_own() -> None:
    operations = [
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "add", "path": "/b/x", "value": 2},
    ]
    assert apply({"a": {"x": 1}}, operations, JSON) == {"a": {"x": 1}, "b": {"x": 2}}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": 2},
        {"op": "test", "path": "/a", "value": True},
        {"op": "test", "path": "/a/b", "value": 1},
        {"op": "remove", "path": "/none"},
        {"op": "remove", "path": ""},
        {"op": "replace", "path": "/none", "value": 1},
        {"op": "add", "path": "/none/deeper", "value": 1},
        {"op": "add", "path": "/list/3", "value": 1},
        {"op": "add", "path": "/list/01", "value": 1},
        {"op": "add", "path": "/list/x", "value": 1},
        {"op": "remove", "path": "/list/-"},
        {"op": "add", "path": "a", "value": 1},
        {"op": "add", "path": "/b"},
        {"op": "move", "from": "/list", "path": "/list/0"},
        {"op": "fly", "path": "/a"},
        {"path": "/a"},
        {"op": "replace", "path": "", "value": 7},
    ],
)
def test_an_operation_that_does_not_fit_is_422(operation: Any) -> None:
    error = refusal({"a": 1, "list": [1, 2]}, [operation], JSON)
    assert error.to_dict() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "the server rejected our request due to an error in our request",
        "reason": "Invalid",
        "details": {},
        "code": 422,
    }


def test_a_json_patch_has_at_most_10000_operations() -> None:
    operations = [{"op": "test", "path": "/a", "value": 1}] * (MAX_OPERATIONS + 1)
    error = refusal({"a": 1}, operations, JSON)
    assert (error.code, error.reason) == (413, "RequestEntityTooLarge")
    assert "The allowed maximum operations in a JSON patch is 10000, got 10001" in error.message


def test_copies_cannot_grow_without_bound() -> None:
    operations = [{"op": "copy", "from": "/a", "path": f"/a/{step}"} for step in range(40)]
    assert refusal({"a": {"x": "y"}}, operations, JSON).code == 422


@pytest.mark.parametrize("patch", [{"op": "add"}, ["add"], 7])
def test_a_json_patch_that_is_no_list_of_operations_is_400(patch: Any) -> None:
    assert refusal({}, patch, JSON).code == 400


def test_an_unknown_type_of_patch_is_415() -> None:
    error = refusal({}, {}, "application/xml")
    assert (error.code, error.message, error.to_dict()["details"]) == (415, "415: Unsupported Media Type", {})


# Strategic merge patch


def containers(*items: Any) -> Any:
    return {"spec": {"containers": list(items)}}


A, B = {"name": "a", "image": "1"}, {"name": "b", "image": "2", "env": [{"name": "x", "value": "1"}]}


def test_items_are_merged_by_their_key() -> None:
    found = apply(
        containers(A, B), containers({"name": "b", "image": "3", "env": [{"name": "y", "value": "2"}]}), STRATEGIC
    )
    env = [{"name": "y", "value": "2"}, {"name": "x", "value": "1"}]
    assert found == containers(A, {"name": "b", "image": "3", "env": env})


def test_new_items_come_first() -> None:
    assert apply(containers(A, B), containers({"name": "c"}), STRATEGIC) == containers({"name": "c"}, A, B)


def test_null_deletes_a_field_and_a_whole_list() -> None:
    assert apply(containers(A), containers({"name": "a", "image": None}), STRATEGIC) == containers({"name": "a"})
    assert apply(containers(A), {"spec": {"containers": None}}, STRATEGIC) == {"spec": {}}


def test_lists_without_a_strategy_are_replaced() -> None:
    before = {"spec": {"tolerations": [{"key": "a"}], "containers": [{"name": "a", "args": ["x"]}]}}
    patch = {"spec": {"tolerations": [{"key": "b"}], "containers": [{"name": "a", "args": ["y"]}]}}
    assert apply(before, patch, STRATEGIC) == patch


def test_lists_of_primitives_are_joined() -> None:
    before = {"metadata": {"finalizers": ["a/b", "c/d"]}}
    found = apply(before, {"metadata": {"finalizers": ["e/f", "c/d"]}}, STRATEGIC)
    assert sorted(found["metadata"]["finalizers"]) == ["a/b", "c/d", "e/f"]


def test_patch_delete_removes_an_item() -> None:
    assert apply(containers(A, B), containers({"$patch": "delete", "name": "a"}), STRATEGIC) == containers(B)
    assert apply(
        containers(A), containers({"$patch": "delete", "name": "none"}, {"name": "c"}), STRATEGIC
    ) == containers({"name": "c"}, A)


def test_patch_replace_replaces_a_list_or_an_object() -> None:
    assert apply(containers(A, B), containers({"$patch": "replace"}, {"name": "c"}), STRATEGIC) == containers(
        {"name": "c"}
    )
    before = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    assert apply(before, {"metadata": {"labels": {"$patch": "replace", "c": "3"}}}, STRATEGIC) == {
        "metadata": {"labels": {"c": "3"}}
    }


def test_patch_delete_empties_an_object() -> None:
    before = {"metadata": {"labels": {"a": "1"}}, "spec": {}}
    assert apply(before, {"metadata": {"labels": {"$patch": "delete"}}}, STRATEGIC)["metadata"] == {"labels": {}}


def test_set_element_order_orders_what_is_there() -> None:
    order = {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}
    assert apply(containers(A, B), order, STRATEGIC) == containers(B, A)


def test_set_element_order_keeps_what_only_the_server_has_in_its_place() -> None:
    c = {"name": "c"}
    patch = {"spec": {"$setElementOrder/containers": [{"name": "a"}, {"name": "c"}], "containers": [c]}}
    assert apply(containers(A, B), patch, STRATEGIC) == containers(A, c, B)


def test_set_element_order_must_fit_the_list() -> None:
    patch = {"spec": {"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "b"}]}}
    assert "doesn't match $setElementOrder list" in refusal(containers(A), patch, STRATEGIC).message


def test_delete_from_primitive_list() -> None:
    before = {"metadata": {"finalizers": ["a/b", "c/d"]}}
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/b"]}}
    assert apply(before, patch, STRATEGIC) == {"metadata": {"finalizers": ["c/d"]}}


def test_retain_keys_clears_the_rest() -> None:
    before = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert apply(before, patch, STRATEGIC, DEPLOYMENT) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_retain_keys_must_name_what_the_patch_sets() -> None:
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "rollingUpdate": {}}}}
    error = refusal({"spec": {"strategy": {}}}, patch, STRATEGIC)
    assert (error.code, error.message) == (400, "invalid patch format of retainKeys")


def test_directives_never_reach_the_document() -> None:
    patch = {
        "spec": {
            "volumes": [{"name": "v", "$retainKeys": ["name", "emptyDir"], "emptyDir": {"medium": None}}],
            "$setElementOrder/volumes": [{"name": "v"}],
            "nodeSelector": {"$patch": "replace", "a": "b"},
            "tolerations": [{"$patch": "delete", "key": "k"}],
        }
    }
    assert apply({}, patch, STRATEGIC) == {
        "spec": {"volumes": [{"name": "v", "emptyDir": {}}], "nodeSelector": {"a": "b"}, "tolerations": []}
    }


@pytest.mark.parametrize(
    ("patch", "code", "told"),
    [
        (containers({"image": "x"}), 500, "does not contain declared merge key: name"),
        (containers([1]), 422, "the server rejected our request"),
        (containers(1, {"name": "a"}), 422, "the server rejected our request"),
        (containers({"name": "a", "$patch": "melt"}), 500, "unknown patch type: melt"),
        ({"$patch": "melt"}, 500, "unknown patch type: melt"),
        ({"spec": {"$setElementOrder/containers": {}}}, 400, "invalid patch format of setElementOrder list"),
        ({"spec": {"$deleteFromPrimitiveList/containers": "x"}}, 400, "invalid patch format of primitive list"),
    ],
)
def test_a_bad_strategic_patch_is_refused(patch: Any, code: int, told: str) -> None:
    error = refusal(containers(A), patch, STRATEGIC)
    assert error.code == code
    assert told in error.message
