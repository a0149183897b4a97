"""Bad requests over real HTTPS, each by itself: Kubernetes' status code, a message that names what is wrong, nothing
half written, and a server that goes on."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.server.certificates import Certificates
from engine.server.request import User
from tests.e2e.conftest import Cluster
from tests.e2e.wire import Answer, Wire

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PODS = "/api/v1/namespaces/default/pods"
YAML = "application/yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
DEEP = 100_000
LAUGHS = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12)
)
MERGES = (
    f"base: &base {{{', '.join(f'k{n}: v' for n in range(1000))}}}\nall:\n  <<: [{', '.join(['*base'] * 200_000)}]\n"
)
LONG_TEXT = f"text: &text {'x' * 1_000_000}\nall: [{', '.join(['*text'] * 300_000)}]\n"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A control plane that was started a second time, so that there is history which it no longer has."""
    made = Cluster(tmp_path_factory.mktemp("bad"), "--nodes", "1", "--runtime", "simulated").start()
    try:
        wire = Wire(made)
        assert wire.ask("POST", CONFIGMAPS, configmap("kept", {"a": "b"})).status == 201
        assert wire.ask("POST", DEPLOYMENTS, deployment("kept")).status == 201
        assert made.stop() == 0
        yield made.start()
    finally:
        assert made.stop() == 0


@pytest.fixture(scope="module")
def wire(plane: Cluster) -> Wire:
    return Wire(plane)


@pytest.fixture(autouse=True)
def unharmed(plane: Cluster, wire: Wire) -> Iterator[None]:
    """After each test: the server answers, its log has no traceback, and what is stored is what was stored."""
    told = len(plane.log.read_bytes())
    before = stored(wire)
    yield
    assert wire.ask("GET", "/healthz").body == b"ok"
    said = plane.log.read_bytes()[told:].decode()
    assert "Traceback" not in said
    assert " E engine" not in said
    assert stored(wire) == before


def stored(wire: Wire) -> list[bytes]:
    lists = [wire.ask("GET", path).json["items"] for path in (CONFIGMAPS, DEPLOYMENTS, PODS)]
    return [json.dumps(item).encode() for items in lists for item in items]


def configmap(name: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data or {}}


def deployment(name: str, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def refused(answer: Answer, code: int, reason: str, *words: str) -> None:
    """The answer is a Status of this code and reason whose message has these words."""
    status = answer.json
    assert answer.status == code, status
    assert answer.headers["Content-Type"] == "application/json"
    assert (status["kind"], status["status"], status["code"]) == ("Status", "Failure", code)
    assert status.get("reason", "") == reason
    for word in words:
        assert word in status["message"]


# Bodies


@pytest.mark.parametrize(
    ("media", "body", "words"),
    [
        pytest.param("application/json", b'{"kind":', "unexpected end of JSON input", id="broken JSON"),
        pytest.param("application/json", b"", "unexpected end of JSON input", id="nothing"),
        pytest.param("application/json", b"[]", "cannot unmarshal array", id="a list"),
        pytest.param("application/json", b"null", "cannot unmarshal null", id="null"),
        pytest.param(YAML, b"a: [1, 2\nb: 3", "yaml: line", id="broken YAML"),
        pytest.param(YAML, b"a: *nobody", "undefined alias", id="YAML alias of nothing"),
        pytest.param(YAML, b"a: 1\n---\nb: 2\n", "another document", id="two YAML documents"),
        pytest.param(YAML, b"spec: !!int many", "cannot decode !!str `many` as a !!int", id="YAML tag that lies"),
        pytest.param("application/json", b'{"kind":"Gadget","apiVersion":"v9"}', "Gadget", id="unknown kind"),
        pytest.param("application/json", b'{"kind":"Pod","apiVersion":"v1"}', "Pod", id="kind of another URL"),
        pytest.param("application/json", b'{"data":[]}', "ConfigMap.data of type map", id="list for map"),
        pytest.param("application/json", b'{"data":{"a":1}}', "ConfigMap.data", id="number for string"),
        pytest.param("application/json", b'{"metadata":"x"}', "ConfigMap.metadata", id="string for object"),
        pytest.param("application/json", b'{"a":' * DEEP + b"1" + b"}" * DEEP, "exceeded max depth", id="deep JSON"),
        pytest.param("application/json", b"[" * DEEP, "exceeded max depth", id="deep unclosed JSON"),
        pytest.param(YAML, b"- " * DEEP + b"x", "exceeded max depth", id="deep YAML blocks"),
        pytest.param(YAML, b"{a: " * DEEP, "exceeded max depth", id="deep YAML flow"),
        pytest.param(YAML, b"&a [*a]", "exceeded max depth", id="YAML that holds itself"),
        pytest.param(YAML, LAUGHS.encode(), "excessive aliasing", id="YAML alias bomb"),
        pytest.param(YAML, MERGES.encode(), "excessive aliasing", id="YAML merge bomb"),
        pytest.param(YAML, LONG_TEXT.encode(), "excessive aliasing", id="YAML text bomb"),
        pytest.param("application/json", b'{"kind":"a\0"}', "invalid character", id="NUL in JSON"),
        pytest.param(YAML, b"a: \0", "control characters are not allowed", id="NUL in YAML"),
        pytest.param("application/json", b'{"kind":"\xff"}', "invalid character", id="invalid UTF-8 in JSON"),
        pytest.param(YAML, b"a: \xff", "UTF-8", id="invalid UTF-8 in YAML"),
        pytest.param("application/json", b'{"kind":"\\ud800"}', "invalid character", id="half a surrogate pair"),
    ],
)
def test_a_body_that_is_none(wire: Wire, media: str, body: bytes, words: str) -> None:
    refused(wire.ask("POST", CONFIGMAPS, body, media), 400, "BadRequest", words)


@pytest.mark.parametrize("number", ["9" * 400, "1e400", "-1e400", "9223372036854775808", "2147483648", "1.5", '"3"'])
def test_a_number_that_the_field_cannot_hold(wire: Wire, number: str) -> None:
    body = json.dumps(deployment("x")).replace('"replicas": 0', f'"replicas": {number}').encode()
    refused(wire.ask("POST", DEPLOYMENTS, body), 400, "BadRequest", "spec.replicas")
    refused(wire.ask("POST", DEPLOYMENTS, body, YAML), 400, "BadRequest", "spec.replicas")


@pytest.mark.parametrize("amount", ["1e999999999", "9" * 2000, "1Ki1", "--1", "NaN", ""])
def test_a_quantity_that_is_none(wire: Wire, amount: str) -> None:
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": amount}}}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [container]}}
    refused(wire.ask("POST", PODS, body), 400, "BadRequest", "quantit")


@pytest.mark.parametrize("body", [{"extra": 1}, {"data": {"a": "1"}, "spec": {"x": 1}}])
def test_an_unknown_field(wire: Wire, body: dict[str, Any]) -> None:
    field = "extra" if "extra" in body else "spec"
    body = {**configmap("unknown"), **body}
    path = f"{CONFIGMAPS}?dryRun=All&fieldValidation="
    refused(wire.ask("POST", path + "Strict", body), 400, "BadRequest", f'unknown field "{field}"')
    answer = wire.ask("POST", path + "Warn", body)
    assert (answer.status, answer.warnings) == (201, [f'299 - "unknown field \\"{field}\\""'])
    answer = wire.ask("POST", path + "Ignore", body)
    assert (answer.status, answer.warnings) == (201, [])
    refused(wire.ask("POST", path + "Maybe", body), 422, "Invalid", "fieldValidation", "Maybe")


def test_a_field_that_stands_twice(wire: Wire) -> None:
    body = b'{"metadata":{"name":"twice"},"data":{"a":"1","a":"2"}}'
    path = f"{CONFIGMAPS}?dryRun=All&fieldValidation="
    refused(wire.ask("POST", path + "Strict", body), 400, "BadRequest", 'duplicate field "data.a"')
    assert wire.ask("POST", path + "Warn", body).warnings == ['299 - "duplicate field \\"data.a\\""']
    assert wire.ask("POST", path + "Ignore", body).warnings == []
    answer = wire.ask("POST", path + "Strict", b"metadata: {name: twice}\ndata:\n  a: '1'\n  a: '2'\n", YAML)
    refused(answer, 400, "BadRequest", 'line 4: key "a" already set in map')


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (CONFIGMAPS, {"metadata": {}}, "metadata.name"),
        (CONFIGMAPS, {"metadata": {"name": "a\0b"}}, "metadata.name"),
        (CONFIGMAPS, {"metadata": {"name": "a/b"}}, "metadata.name"),
        (CONFIGMAPS, {"metadata": {"name": "x" * 254}}, "metadata.name"),
        (CONFIGMAPS, {"metadata": {"name": "x", "labels": {"a": "x" * 64}}}, "metadata.labels"),
        (CONFIGMAPS, {"metadata": {"name": "x", "annotations": {"a": "x" * 300_000}}}, "metadata.annotations"),
        (CONFIGMAPS, {"metadata": {"name": "x"}, "data": {"a/b": ""}}, "data[a/b]"),
        (DEPLOYMENTS, {"metadata": {"name": "x"}}, "spec.selector"),
        (DEPLOYMENTS, deployment("x", replicas=-1), "spec.replicas"),
        (DEPLOYMENTS, deployment("x", selector={"matchLabels": {"a": "c"}}), "spec.template.metadata.labels"),
        (DEPLOYMENTS, deployment("x", template={"metadata": {"labels": {"a": "b"}}}), "spec.template.spec.containers"),
        (PODS, {"metadata": {"name": "x"}, "spec": {"containers": [{}]}}, "spec.containers[0].name"),
    ],
)
def test_an_object_that_is_invalid(wire: Wire, path: str, body: dict[str, Any], field: str) -> None:
    answer = wire.ask("POST", path, body)
    refused(answer, 422, "Invalid", field)
    assert field in [cause["field"] for cause in answer.json["details"]["causes"]]


def test_an_immutable_field(wire: Wire) -> None:
    live = wire.ask("GET", f"{DEPLOYMENTS}/kept").json
    live["spec"]["selector"]["matchLabels"]["b"] = "c"
    live["spec"]["template"]["metadata"]["labels"]["b"] = "c"
    refused(wire.ask("PUT", f"{DEPLOYMENTS}/kept", live), 422, "Invalid", "spec.selector", "field is immutable")


def test_a_stale_version(wire: Wire) -> None:
    live = wire.ask("GET", f"{CONFIGMAPS}/kept").json
    stale = {**live, "metadata": {**live["metadata"], "resourceVersion": "1"}, "data": {"a": "lost"}}
    refused(wire.ask("PUT", f"{CONFIGMAPS}/kept", stale), 409, "Conflict", "configmaps", "kept", "modified")
    precondition = {"preconditions": {"resourceVersion": "1"}}
    refused(wire.ask("DELETE", f"{CONFIGMAPS}/kept", precondition), 409, "Conflict", "ResourceVersion")


def test_a_body_for_another_object(wire: Wire) -> None:
    refused(wire.ask("PUT", f"{CONFIGMAPS}/kept", configmap("other")), 400, "BadRequest", "other", "kept")
    body = {"metadata": {"name": "x", "namespace": "elsewhere"}}
    refused(wire.ask("POST", CONFIGMAPS, body), 400, "BadRequest", "namespace")


def test_a_body_that_is_too_large(wire: Wire) -> None:
    body = configmap("large", {"a": "x" * (4 << 20)})
    refused(wire.ask("POST", CONFIGMAPS, body), 413, "RequestEntityTooLarge", "limit is 3145728")
    packed = gzip.compress(json.dumps(body).encode())
    answer = wire.ask("POST", CONFIGMAPS, packed, Content_Encoding="gzip")
    refused(answer, 413, "RequestEntityTooLarge", "limit is 3145728")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_a_body_that_breaks_its_encoding(wire: Wire, encoding: str) -> None:
    assert wire.ask("POST", CONFIGMAPS, b"nonsense", Content_Encoding=encoding).status == 400


def test_a_body_in_protobuf(wire: Wire) -> None:
    answer = wire.ask("POST", CONFIGMAPS, b"k8s\0\n", "application/vnd.kubernetes.protobuf")
    refused(answer, 415, "UnsupportedMediaType", "create -f")


# Users


def test_a_token_that_nobody_has(wire: Wire) -> None:
    refused(wire.ask("GET", PODS, Authorization="Bearer guess"), 401, "Unauthorized")
    refused(wire.ask("GET", PODS, Authorization="Basic YTpi"), 401, "Unauthorized")
    refused(wire.ask("GET", PODS, context=wire.context), 401, "Unauthorized")


def test_a_certificate_of_another_authority(wire: Wire, tmp_path: Path) -> None:
    stranger = wire.identity_of(Certificates.open(tmp_path), User("admin", ("system:masters",)))
    with pytest.raises(OSError, match=r"(?i)unknown.ca|reset|eof|closed"):
        wire.ask("GET", PODS, context=stranger)


def test_a_user_without_rights(wire: Wire) -> None:
    eve = wire.identity(User("eve"))
    refused(wire.ask("GET", PODS, context=eve), 403, "Forbidden", 'User "eve" cannot list resource "pods"')
    refused(wire.ask("POST", CONFIGMAPS, configmap("x"), context=eve), 403, "Forbidden", "eve", "configmaps")
    refused(wire.ask("GET", "/metrics", context=eve), 403, "Forbidden", "/metrics")


# Paths, methods, parameters


@pytest.mark.parametrize(
    "path",
    ["/api/v1/namespaces/default/gadgets", f"{CONFIGMAPS}/none", f"{CONFIGMAPS}/a%2Fb", f"{CONFIGMAPS}/%2e%2e",
     f"{CONFIGMAPS}/a%00b", f"{CONFIGMAPS}/%ff", f"{CONFIGMAPS}//x", f"{CONFIGMAPS}/kept/status", "/api/v1/%00"],
)  # fmt: skip
def test_a_path_to_nothing(wire: Wire, path: str) -> None:
    refused(wire.ask("GET", path), 404, "NotFound")


@pytest.mark.parametrize("path", ["/nowhere", "/%", "/%zz", "/apis/example.com/v1/gadgets", "/api/v9"])
def test_a_path_outside_the_api(wire: Wire, path: str) -> None:
    assert wire.ask("GET", path).status == 404


def test_a_method_that_is_not_allowed(wire: Wire) -> None:
    for method, path in (("PUT", CONFIGMAPS), ("POST", f"{CONFIGMAPS}/kept"), ("OPTIONS", PODS), ("POST", "/apis")):
        refused(wire.ask(method, path, {}), 405, "MethodNotAllowed")
    assert wire.ask("BREW", PODS).status == 400


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("labelSelector=a+in+(", 400, "unable to parse requirement"),
        ("labelSelector=" + "a," * 20_000, 400, "expected: identifier"),
        ("fieldSelector=spec.x%3Dy", 400, "spec.x"),
        ("fieldSelector=metadata.name", 400, "metadata.name"),
        ("continue=%ff%00", 400, "continue"),
        ("continue=eyJ2IjoidjAifQ", 400, "continue"),
        ("limit=few", 400, "few"),
        ("limit=99999999999999999999", 400, "out of range"),
        ("resourceVersion=new", 400, "resourceVersion"),
        ("resourceVersion=1&resourceVersionMatch=Exact", 410, "too old"),
        ("resourceVersion=1&resourceVersionMatch=Perhaps", 422, "resourceVersionMatch"),
        ("resourceVersion=999999999", 504, "Too large resource version: 999999999"),
        ("watch=1&timeoutSeconds=soon", 400, "soon"),
        ("watch=1&sendInitialEvents=true", 422, "resourceVersionMatch"),
        ("watch=1&labelSelector=,", 400, "found ','"),
    ],
)
def test_a_parameter_that_makes_no_sense(wire: Wire, query: str, code: int, words: str) -> None:
    reasons = {400: "BadRequest", 410: "Expired", 422: "Invalid", 504: "Timeout"}
    refused(wire.ask("GET", f"{CONFIGMAPS}?{query}"), code, reasons[code], words)


@pytest.mark.parametrize("limit", ["-1", "0", "9223372036854775807"])
def test_a_limit_that_is_none(wire: Wire, limit: str) -> None:
    answer = wire.ask("GET", f"{CONFIGMAPS}?limit={limit}")
    assert [item["metadata"]["name"] for item in answer.json["items"]] == ["kept"]


def test_a_watch_from_a_version_that_is_gone(wire: Wire) -> None:
    (event,) = wire.ask("GET", f"{CONFIGMAPS}?watch=1&resourceVersion=1").body.splitlines()
    told = json.loads(event)
    assert (told["type"], told["object"]["code"], told["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert "too old resource version: 1" in told["object"]["message"]


def test_a_grace_period_beyond_all_calendars(wire: Wire) -> None:
    spec = {"terminationGracePeriodSeconds": 2**62, "nodeName": "node-1", "containers": [{"name": "c", "image": "i"}]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "eternal"}, "spec": spec}
    assert wire.ask("POST", PODS, body).status == 201
    told = wire.ask("DELETE", f"{PODS}/eternal?dryRun=All", {"gracePeriodSeconds": 2**62})
    assert told.json["metadata"]["deletionGracePeriodSeconds"] == 2**62
    refused(wire.ask("DELETE", f"{PODS}/eternal", {"gracePeriodSeconds": 2**63}), 400, "BadRequest", "gracePeriod")
    assert wire.ask("DELETE", f"{PODS}/eternal", {"gracePeriodSeconds": 0}).status == 200


# Patches


def test_a_patch_of_an_unknown_type(wire: Wire) -> None:
    for media in ("application/json", "text/plain", "application/vnd.kubernetes.protobuf"):
        refused(wire.ask("PATCH", f"{CONFIGMAPS}/kept", {}, media), 415, "UnsupportedMediaType")


@pytest.mark.parametrize(
    ("media", "body", "code"),
    [
        (JSON_PATCH, b"[", 400),
        (JSON_PATCH, {}, 400),
        (JSON_PATCH, [1], 400),
        (JSON_PATCH, [{"op": "frob", "path": "/data"}], 422),
        (JSON_PATCH, [{"op": "add", "path": "data/a", "value": "x"}], 422),
        (JSON_PATCH, [{"op": "add", "path": "/data/c", "value": "x"}, {"op": "remove", "path": "/data/none"}], 422),
        (JSON_PATCH, [{"op": "test", "path": "/data/a", "value": "z"}], 422),
        (JSON_PATCH, [{"op": "remove", "path": "/metadata/managedFields/" + "9" * 5000}], 422),
        (JSON_PATCH, [{"op": "replace", "path": "", "value": 1}], 422),
        (JSON_PATCH, [{"op": "test", "path": "/data/a", "value": "b"}] * 10_001, 413),
        (JSON_PATCH, [{"op": "add", "path": "/x" * deep, "value": {}} for deep in range(1, 1500)], 422),
        (JSON_PATCH, [{"op": "copy", "from": "", "path": f"/x{number}"} for number in range(60)], 422),
        (MERGE, b"{", 400),
        (MERGE, [], 400),
        (MERGE, b'{"a":' * DEEP + b"1" + b"}" * DEEP, 400),
        (MERGE, {"data": {"a": {"b": "c"}}}, 422),
        (MERGE, {"metadata": None}, 422),
        (MERGE, {"metadata": {"name": "other"}}, 422),
        (MERGE, {"metadata": {"resourceVersion": "1"}, "data": {"a": "lost"}}, 409),
        (STRATEGIC, b"{", 400),
        (STRATEGIC, {"$retainKeys": "x"}, 400),
        (STRATEGIC, {"metadata": {"ownerReferences": [1]}}, 422),
        (STRATEGIC, {"metadata": {"$setElementOrder/finalizers": "x"}}, 400),
        (APPLY, b"a: [", 400),
        (APPLY, {"kind": "Pod", "apiVersion": "v1"}, 400),
        (APPLY, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"managedFields": [{}]}}, 400),
        (APPLY, LAUGHS.encode(), 400),
    ],
)
def test_a_patch_that_is_malformed_or_does_not_fit(wire: Wire, media: str, body: Any, code: int) -> None:
    query = "?fieldManager=tests" if media == APPLY else ""
    answer = wire.ask("PATCH", f"{CONFIGMAPS}/kept{query}", body, media)
    assert answer.status == code, answer.body
    assert (answer.json["kind"], answer.json["code"]) == ("Status", code)


def test_an_apply_without_a_manager(wire: Wire) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "z"}}
    refused(wire.ask("PATCH", f"{CONFIGMAPS}/kept", body, APPLY), 422, "Invalid", "fieldManager")
