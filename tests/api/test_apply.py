"""Server-side apply: what managers apply adds up, and what they stop applying goes."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from engine.api.apply import BEFORE_FIRST_APPLY, Applied, apply, parse_apply
from engine.api.errors import StatusError
from engine.api.managedfields import track_update
from engine.api.resource import CONFIGMAPS
from engine.api.schema import Schema

CONFIGMAP = Schema.of_kind("", "v1", "ConfigMap")
DEPLOYMENT = Schema.of_kind("apps", "v1", "Deployment")


def configmap(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ssa"}, "data": data}


def deployment(*containers: Any, **spec: Any) -> dict[str, Any]:
    template = {"spec": {"containers": list(containers)}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"template": template, **spec},
    }


def applied(live: Any, config: Any, manager: str, *, force: bool = False, now: str = "2026-01-01T00:00:00Z") -> Applied:
    before = copy.deepcopy((live, config))
    schema = CONFIGMAP if config["kind"] == "ConfigMap" else DEPLOYMENT
    found = apply(live, config, manager, config["apiVersion"], schema, force=force, now=now)
    assert (live, config) == before
    return found


def refusal(live: Any, config: Any, manager: str) -> StatusError:
    with pytest.raises(StatusError) as caught:
        applied(live, config, manager)
    return caught.value


def owned(document: dict[str, Any]) -> dict[str, Any]:
    return {entry["manager"]: entry["fieldsV1"] for entry in document["metadata"]["managedFields"]}


def names(document: dict[str, Any]) -> list[str]:
    return [container["name"] for container in document["spec"]["template"]["spec"]["containers"]]


def test_applying_what_is_not_there_creates_it() -> None:
    found = applied(None, configmap(a="1", b="1"), "one")
    assert found.changed
    assert found.document["data"] == {"a": "1", "b": "1"}
    assert found.document["metadata"]["managedFields"] == [
        {
            "manager": "one",
            "operation": "Apply",
            "apiVersion": "v1",
            "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:a": {}, "f:b": {}}},
        }
    ]


def test_another_managers_field_is_a_conflict() -> None:
    live = applied(None, configmap(a="1", b="1"), "one").document
    assert refusal(live, configmap(a="2"), "two").to_dict() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'Apply failed with 1 conflict: conflict with "one": .data.a',
        "reason": "Conflict",
        "details": {
            "causes": [{"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.a"}]
        },
        "code": 409,
    }


def test_conflicts_are_listed_by_manager() -> None:
    live = applied(None, configmap(a="1", b="1"), "one").document
    updated = configmap(a="1", b="1", c="1")
    track_update(updated, live, "two", "v1", CONFIGMAP, now="2026-01-02T00:00:00Z")
    error = refusal(updated, configmap(a="2", b="2", c="2"), "three")
    assert error.message == (
        'Apply failed with 3 conflicts: conflicts with "one":\n- .data.a\n- .data.b\n'
        'conflicts with "two" using v1:\n- .data.c'
    )


def test_the_same_value_is_shared_and_no_conflict() -> None:
    live = applied(None, configmap(a="1"), "one").document
    live = applied(live, configmap(a="1"), "two").document
    assert owned(live) == {"one": {"f:data": {"f:a": {}}}, "two": {"f:data": {"f:a": {}}}}
    live = applied(live, configmap(), "one").document
    assert live["data"] == {"a": "1"}


def test_force_takes_the_field() -> None:
    live = applied(None, configmap(a="1", b="1"), "one").document
    live = applied(live, configmap(a="2"), "two", force=True).document
    assert live["data"] == {"a": "2", "b": "1"}
    assert owned(live) == {"one": {"f:data": {"f:b": {}}}, "two": {"f:data": {"f:a": {}}}}


def test_what_is_no_longer_applied_goes() -> None:
    live = applied(None, configmap(a="1", b="1"), "one").document
    assert applied(live, configmap(a="1"), "one").document["data"] == {"a": "1"}


def test_an_item_goes_with_all_that_only_its_applier_wanted() -> None:
    a, b = {"name": "a", "image": "1"}, {"name": "b", "image": "1"}
    live = applied(None, deployment(a, b), "one").document
    assert names(applied(live, deployment(a), "one").document) == ["a"]


def test_an_item_stays_with_what_others_own_of_it() -> None:
    live = applied(None, deployment({"name": "a"}, {"name": "b", "image": "1"}), "one").document
    live = applied(live, deployment({"name": "b", "args": ["x"]}), "two").document
    live = applied(live, deployment({"name": "a"}), "one").document
    assert live["spec"]["template"]["spec"]["containers"] == [{"name": "a"}, {"name": "b", "args": ["x"]}]


def test_a_dropped_field_goes_with_the_defaults_below_it() -> None:
    live = applied(None, deployment({"name": "a"}, strategy={"type": "RollingUpdate"}), "one").document
    live["spec"]["strategy"]["rollingUpdate"] = {"maxSurge": 1}  # as defaulting does
    live = applied(live, deployment({"name": "a"}), "one").document
    assert "strategy" not in live["spec"]


def test_lists_take_the_order_of_the_configuration() -> None:
    a, b, c, d = ({"name": name} for name in "abcd")
    live = applied(None, deployment(a, b, c), "one").document
    assert names(applied(live, deployment(c, a), "two").document) == ["b", "c", "a"]
    assert names(applied(live, deployment(d, b), "two").document) == ["a", "d", "b", "c"]


def test_atomic_lists_are_replaced() -> None:
    live = applied(None, deployment({"name": "a", "args": ["x", "y"]}), "one").document
    live = applied(live, deployment({"name": "a", "args": ["z"]}), "one").document
    assert live["spec"]["template"]["spec"]["containers"] == [{"name": "a", "args": ["z"]}]


def test_applying_the_same_again_changes_nothing() -> None:
    live = applied(None, configmap(a="1"), "one", now="2026-01-01T00:00:00Z").document
    again = applied(live, configmap(a="1"), "one", now="2026-01-02T00:00:00Z")
    assert again == Applied(live, False)


def test_the_status_is_not_applied_through_the_object() -> None:
    config = {**deployment({"name": "a"}), "status": {"replicas": 5}}
    live = applied(None, config, "one").document
    assert live["status"] == {}
    assert "f:status" not in owned(live)["one"]


def test_an_untracked_object_belongs_to_what_was_before() -> None:
    live = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ssa", "uid": "u"}, "data": {"a": "1"}}
    assert f'conflict with "{BEFORE_FIRST_APPLY}" using v1: .data.a' in refusal(live, configmap(a="2"), "one").message
    found = applied(live, configmap(b="1"), "one").document
    assert owned(found) == {BEFORE_FIRST_APPLY: {"f:data": {".": {}, "f:a": {}}}, "one": {"f:data": {"f:b": {}}}}


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            deployment({"name": "a", "img": "x"}),
            '.spec.template.spec.containers[name="a"].img: field not declared in schema',
        ),
        (deployment({"name": "a"}, extra=1), ".spec.extra: field not declared in schema"),
        (deployment({"image": "x"}), "element 0: associative list with keys has an element that omits all key fields"),
        (deployment({"name": "a"}, {"name": "a"}), 'duplicate entries for key [name="a"]'),
        (deployment("a"), "omits all key fields"),
        ({**deployment(), "spec": []}, ".spec: expected map"),
        ({**deployment(), "metadata": {"name": "d", "finalizers": {}}}, ".metadata.finalizers: expected list"),
    ],
)
def test_a_configuration_that_does_not_fit_the_schema_is_refused(config: Any, told: str) -> None:
    error = refusal(None, config, "one")
    assert error.code == 500
    assert error.message.startswith("failed to create typed patch object (d; apps/v1, Kind=Deployment): ")
    assert told in error.message


# The body


def parsed(body: Any, validation: str = "Warn") -> tuple[dict[str, Any], list[str]]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_apply(data, CONFIGMAPS, "ssa", validation)


def test_the_body_is_yaml_or_json() -> None:
    yaml = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ssa}\ndata: {a: '1'}\n"
    assert parsed(yaml) == parsed(configmap(a="1")) == (configmap(a="1"), [])


def test_duplicates_in_the_body_are_told() -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ssa}\ndata:\n  a: '1'\n  a: '2'\n"
    assert parsed(body)[1] == ['line 6: key "a" already set in map']
    assert parsed(body, "Ignore")[1] == []
    with pytest.raises(StatusError, match='line 6: key "a" already set in map'):
        parsed(body, "Strict")
    assert parsed(b'{"apiVersion":"v1","data":{"a":"1","a":"2"}}')[1] == ['line 1: key "a" already set in map']


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"a: [", "error decoding YAML"),
        (b"- 1", "error decoding YAML"),
        (
            {**configmap(), "apiVersion": "v2"},
            "Incorrect version specified in apply patch. Specified patch version: v2",
        ),
        ({**configmap(), "kind": "Secret"}, "does not match the kind of the URL (ConfigMap)"),
        (
            {**configmap(), "metadata": {"name": "x"}},
            "the name of the object (x) does not match the name on the URL (ssa)",
        ),
        ({**configmap(), "metadata": {"managedFields": []}}, "metadata.managedFields must be nil"),
        ({**configmap(), "metadata": 1}, "metadata must be an object"),
    ],
)
def test_a_body_that_is_no_configuration_is_400(body: Any, told: str) -> None:
    with pytest.raises(StatusError) as caught:
        parsed(body)
    assert caught.value.code == 400
    assert told in caught.value.message
