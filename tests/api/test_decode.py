"""What comes in is held as Kubernetes' Go types would hold it, or refused in Kubernetes' words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.api.body import MAX_DEPTH
from engine.api.decode import Decoded, decode, decode_document, decode_patched
from engine.api.errors import StatusError
from engine.api.resource import CONFIGMAPS, DEPLOYMENTS, LEASES, PODS, SECRETS, Resource
from engine.api.schema import Schema

SCHEMAS = {r: Schema.of_kind(r.group, r.version, r.kind) for r in (CONFIGMAPS, DEPLOYMENTS, LEASES, PODS, SECRETS)}
HEAD = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}


def decoded(body: Any, resource: Resource = CONFIGMAPS, validation: str = "Warn", content_type: str = "") -> Decoded:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    content_type = content_type or "application/json"
    return decode(data, SCHEMAS[resource], resource, content_type=content_type, field_validation=validation)


def refusal(body: Any, resource: Resource = CONFIGMAPS, validation: str = "Warn", content_type: str = "") -> str:
    with pytest.raises(StatusError) as caught:
        decoded(body, resource, validation, content_type)
    assert (caught.value.code, caught.value.reason) == (400, "BadRequest")
    return caught.value.message


def pod(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [], **spec}}


# Kind and version


def test_kind_and_version_may_be_left_out() -> None:
    document = decoded({"metadata": {"name": "x"}}).document
    assert list(document) == ["kind", "apiVersion", "metadata"]
    assert (document["kind"], document["apiVersion"]) == ("ConfigMap", "v1")


def test_another_kind_is_refused() -> None:
    assert refusal({**HEAD, "kind": "Secret"}) == (
        'Secret in version "v1" cannot be handled as a ConfigMap: '
        "converting (v1.Secret) to (core.ConfigMap): unknown conversion"
    )


def test_an_unknown_kind_is_refused() -> None:
    assert 'no kind "Widget" is registered for version "v1"' in refusal({**HEAD, "kind": "Widget"})


def test_a_kind_that_is_no_string_is_refused() -> None:
    assert "couldn't get version/kind" in refusal({**HEAD, "kind": 7})


# Bytes


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "json parse error: unexpected end of JSON input (<empty>)"),
        (b'{"a":', 'unexpected end of JSON input ({"a":)'),
        (b'{"a" x}', "invalid character 'x' looking for beginning of value"),
        (b"[1,2]", "json: cannot unmarshal array into Go value of type struct"),
        (b"null", "json: cannot unmarshal null"),
        (b'{"a":"' + b"x" * 100, " ...)"),
        (b'{"a":"\xff"}', "json parse error"),
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes, told: str) -> None:
    message = refusal(body)
    assert message.startswith(
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind"
    )
    assert told in message


@pytest.mark.parametrize("opening", [b'{"a":', b"[", b'{"data":{"x":'])
@pytest.mark.parametrize("content_type", ["application/json", "application/yaml"])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 1000, 200_000])
def test_a_body_that_is_too_deep_is_refused_and_nothing_crashes(opening: bytes, content_type: str, depth: int) -> None:
    closing = {b'{"a":': b"}", b"[": b"]", b'{"data":{"x":': b"}}"}[opening]
    refusal(opening * depth + b"1" + closing * depth, content_type=content_type)


def test_yaml_in_block_style_that_is_too_deep_is_refused() -> None:
    assert "exceeded max depth" in refusal(b"- " * 100_000 + b"a", content_type="application/yaml")


def test_yaml_aliases_cannot_grow_without_bound() -> None:
    lines = [b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [b"a%d: &a%d [%s]" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 12)]
    assert "excessive aliasing" in refusal(b"\n".join(lines), content_type="application/yaml")


def test_yaml_aliases_cannot_contain_themselves() -> None:
    assert "exceeded max depth" in refusal(b"a: &a [*a]", content_type="application/yaml")


def test_yaml_is_read_as_kubernetes_reads_it() -> None:
    text = b"metadata: {name: x}\ndata:\n  time: 2026-11-23\n  ports: 22:22\n  plain: a\n  1: 'x'\n"
    assert decoded(text, content_type="application/yaml").document["data"] == {
        "time": "2026-11-23",
        "ports": "22:22",
        "plain": "a",
        "1": "x",
    }


def test_yaml_booleans_are_no_strings() -> None:
    assert "cannot unmarshal bool into Go struct field ConfigMap.data of type string" in refusal(
        b"data: {a: yes}", content_type="application/yaml"
    )


def test_broken_yaml_is_refused_with_its_line() -> None:
    assert "error converting YAML to JSON: yaml: line 2:" in refusal(b"a: b\n  c: d", content_type="application/yaml")


# Types


@pytest.mark.parametrize(
    ("resource", "body", "told"),
    [
        (CONFIGMAPS, {"data": {"a": 1}}, "cannot unmarshal number into Go struct field ConfigMap.data of type string"),
        (CONFIGMAPS, {"metadata": {"labels": "no"}}, "ObjectMeta.metadata.labels of type map[string]string"),
        (CONFIGMAPS, {"immutable": "yes"}, "string into Go struct field ConfigMap.immutable of type bool"),
        (PODS, pod(containers={}), "object into Go struct field PodSpec.spec.containers of type []v1.Container"),
        (PODS, pod(containers=["c"]), "string into Go struct field PodSpec.spec.containers of type v1.Container"),
        (PODS, pod(priority="1"), "string into Go struct field PodSpec.spec.priority of type int32"),
        (PODS, pod(priority=2**31), "number 2147483648 into Go struct field PodSpec.spec.priority of type int32"),
        (PODS, pod(priority=1.5), "number 1.5 into Go struct field PodSpec.spec.priority of type int32"),
        (PODS, pod(priority=True), "bool into Go struct field PodSpec.spec.priority of type int32"),
        (PODS, pod(activeDeadlineSeconds=2**63), "of type int64"),
        (PODS, {"spec": []}, "array into Go struct field Pod.spec of type v1.PodSpec"),
        (PODS, pod(overhead={"cpu": "1x"}), "quantities must match the regular expression"),
        (PODS, pod(overhead={"cpu": []}), "quantities must match the regular expression"),
        (PODS, {"metadata": {"creationTimestamp": "soon"}}, 'parsing time "soon"'),
        (SECRETS, {"data": {"a": "!!"}}, "illegal base64 data at input byte 0"),
        (SECRETS, {"data": {"a": "YQ"}}, "illegal base64 data at input byte 2"),
        (LEASES, {"spec": {"renewTime": 5}}, "Go struct field LeaseSpec.spec.renewTime of type v1.MicroTime"),
    ],
)  # fmt: skip
def test_a_value_of_a_wrong_type_names_its_field(resource: Resource, body: dict[str, Any], told: str) -> None:
    message = refusal(body, resource)
    prefix = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
    assert message.startswith(prefix)
    assert told in message


def test_large_integers_keep_their_precision() -> None:
    assert decoded(pod(activeDeadlineSeconds=2**63 - 1), PODS).document["spec"]["activeDeadlineSeconds"] == 2**63 - 1


def test_quantities_come_out_in_their_canonical_form() -> None:
    requests = {"cpu": "0.5", "memory": 1, "a.b/c": "1000m", "d": 0.25}
    document = decoded(pod(containers=[{"name": "c", "resources": {"requests": requests}}]), PODS).document
    assert document["spec"]["containers"][0]["resources"]["requests"] == {
        "cpu": "500m",
        "memory": "1",
        "a.b/c": "1",
        "d": "250m",
    }


def test_times_come_out_in_utc_and_micro_times_with_six_digits() -> None:
    spec = {"renewTime": "2026-11-23T01:00:00.5+01:00"}
    body = {"metadata": {"creationTimestamp": "2026-11-23T01:00:00+01:00"}, "spec": spec}
    document = decoded(body, LEASES).document
    assert document["metadata"]["creationTimestamp"] == "2026-11-23T00:00:00Z"
    assert document["spec"]["renewTime"] == "2026-11-23T00:00:00.500000Z"


def test_int_or_string_stays_what_it_is() -> None:
    strategy = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"}}
    document = decoded({"metadata": {"name": "d"}, "spec": {"strategy": strategy}}, DEPLOYMENTS).document
    assert document["spec"]["strategy"] == strategy


# Unknown and duplicate fields

UNKNOWN = {**HEAD, "metadata": {"name": "x", "nope": True}, "extra": 1}
TWICE = b'{"metadata":{"name":"x"},"data":{"a":"1","a":"2"},"data":{"b":"3"}}'


def test_unknown_fields_are_dropped_and_warned_of_in_order() -> None:
    found = decoded(UNKNOWN)
    assert found.warnings == ['unknown field "metadata.nope"', 'unknown field "extra"']
    assert found.document == HEAD


def test_strict_refuses_unknown_fields() -> None:
    assert refusal(UNKNOWN, validation="Strict") == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
        'unknown field "metadata.nope", unknown field "extra"'
    )


def test_ignore_says_nothing_of_them() -> None:
    assert decoded(UNKNOWN, validation="Ignore") == Decoded(HEAD, [])
    assert decoded(TWICE, validation="Ignore").warnings == []


def test_unknown_fields_of_list_items_have_their_index() -> None:
    body = pod(containers=[{"name": "a"}, {"name": "b", "imag": "x", "ports": [{"port": 1}]}])
    assert decoded(body, PODS).warnings == [
        'unknown field "spec.containers[1].imag"',
        'unknown field "spec.containers[1].ports[0].port"',
    ]


def test_duplicates_are_told_and_merged() -> None:
    found = decoded(TWICE)
    assert found.warnings == ['duplicate field "data.a"', 'duplicate field "data"']
    assert found.document["data"] == {"a": "2", "b": "3"}


def test_unknown_and_duplicate_fields_stand_in_the_documents_order() -> None:
    body = b'{"x":1,"data":{"a":"1","a":"2"},"y":1,"y":2}'
    assert decoded(body).warnings == [
        'unknown field "x"',
        'duplicate field "data.a"',
        'unknown field "y"',
        'duplicate field "y"',
    ]


def test_duplicates_in_yaml_name_their_line() -> None:
    text = b"data:\n  a: x\n  b: y\n  a: z\n"
    told = 'yaml: unmarshal errors:\n  line 4: key "a" already set in map'
    assert decoded(text, content_type="application/yaml").warnings == [told]
    assert told in refusal(text, validation="Strict", content_type="application/yaml")


# What Go leaves out and what it writes


def test_nulls_and_zero_values_that_go_leaves_out_are_dropped() -> None:
    body = {"metadata": {"name": "x", "labels": {}, "namespace": "", "annotations": None, "finalizers": []}, "data": {}}
    assert decoded(body).document == {**HEAD}


def test_zero_values_behind_pointers_stay() -> None:
    spec = {"replicas": 0, "template": {"spec": {"containers": None, "automountServiceAccountToken": False}}}
    document = decoded({"metadata": {"name": "d"}, "spec": spec}, DEPLOYMENTS).document
    assert document["spec"]["replicas"] == 0
    assert document["spec"]["template"]["spec"] == {"containers": None, "automountServiceAccountToken": False}


def test_what_go_always_writes_is_added() -> None:
    document = decoded({"metadata": {"name": "d"}}, DEPLOYMENTS).document
    template = {"metadata": {}, "spec": {"containers": None}}
    assert document["spec"] == {"selector": None, "strategy": {}, "template": template}
    assert document["status"] == {}
    container = decoded(pod(containers=[{}]), PODS).document["spec"]["containers"][0]
    assert container == {"name": "", "resources": {}}


def test_nulls_in_lists_and_maps_are_zero_values() -> None:
    body = pod(containers=[{"command": ["a", None]}, None])
    containers = decoded(body, PODS).document["spec"]["containers"]
    assert containers[0]["command"] == ["a", ""]
    assert containers[1] == {"name": "", "resources": {}}
    assert decoded({"data": {"a": None}}).document["data"] == {"a": ""}


def test_free_form_parts_are_left_alone() -> None:
    fields = {"f:data": {".": {}, "f:a": {}}}
    body = {"metadata": {"managedFields": [{"manager": "m", "fieldsV1": fields}]}}
    assert decoded(body).document["metadata"]["managedFields"][0]["fieldsV1"] == fields


def test_what_was_decoded_decodes_to_itself() -> None:
    once = decoded(pod(containers=[{"name": "c", "resources": {"limits": {"cpu": 2}}}], volumes=[{"name": "v"}]), PODS)
    assert decoded(once.document, PODS) == once


# Other ways in


def test_a_dict_goes_the_same_way_and_is_not_changed() -> None:
    body = {**UNKNOWN, "data": {"a": "b"}}
    before = json.dumps(body)
    found = decode_document(body, SCHEMAS[CONFIGMAPS], CONFIGMAPS)
    assert found == decoded(body)
    found.document["metadata"]["name"] = found.document["data"]["a"] = "changed"
    assert json.dumps(body) == before


def test_what_a_patch_broke_is_the_patchs_fault() -> None:
    with pytest.raises(StatusError) as caught:
        decode_patched({**HEAD, "data": "x"}, SCHEMAS[CONFIGMAPS], CONFIGMAPS)
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")
    assert [cause.field for cause in caught.value.causes] == ["patch"]
    assert "ConfigMap.data of type map[string]string" in caught.value.message


def test_a_patchs_duplicates_are_told_before_unknown_fields() -> None:
    told = ['duplicate field "data.a"']
    found = decode_patched(UNKNOWN, SCHEMAS[CONFIGMAPS], CONFIGMAPS, duplicates=told)
    assert found.warnings == [*told, 'unknown field "metadata.nope"', 'unknown field "extra"']
    with pytest.raises(StatusError, match=r'strict decoding error: duplicate field "data\.a"'):
        decode_patched(HEAD, SCHEMAS[CONFIGMAPS], CONFIGMAPS, field_validation="Strict", duplicates=told)
    assert (
        decode_patched(HEAD, SCHEMAS[CONFIGMAPS], CONFIGMAPS, field_validation="Ignore", duplicates=told).warnings == []
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["metadata", "spec", "containers", "name", "labels", "resources", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_decoded_to_what_decodes_to_itself_or_refused(body: Any) -> None:
    try:
        document = decoded(body, PODS).document
    except StatusError as error:
        refused = error.code
        document = None
    else:
        refused = 0
    assert refused in (0, 400)
    assert document is None or decoded(document, PODS) == Decoded(document, [])
