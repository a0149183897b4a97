"""Bad input, one by one: Kubernetes' code and reason, and a message that names what is wrong."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from engine.server.authentication import Authenticator
from engine.server.request import Request, User
from tests.server.objects import CONFIGMAPS, DEPLOYMENTS, JSON_PATCH, MERGE, PODS, configmap, deployment, pod
from tests.server.serving import Answer, Serving


def refused(answer: Answer, code: int, reason: str, *words: str) -> None:
    """The answer is this refusal, and its message has these words."""
    status = answer.json
    assert (answer.status, status["kind"], status.get("reason"), status["code"]) == (code, "Status", reason, code)
    for word in words:
        assert word in status["message"]


async def test_broken_json(served: Serving) -> None:
    refused(await served.ask("POST", CONFIGMAPS, b'{"kind":'), 400, "BadRequest", "unexpected end of JSON input")


async def test_broken_yaml(served: Serving) -> None:
    answer = await served.ask("POST", CONFIGMAPS, "a: [1, 2\nb: 3", content_type="application/yaml")
    refused(answer, 400, "BadRequest", "yaml: line")


async def test_a_kind_that_is_not_the_resources(served: Serving) -> None:
    body = {"apiVersion": "v1", "kind": "Gadget", "metadata": {"name": "x"}}
    refused(await served.ask("POST", CONFIGMAPS, body), 400, "BadRequest", "Gadget")


async def test_a_resource_that_is_not_served(served: Serving) -> None:
    answer = await served.ask("GET", "/api/v1/namespaces/default/gadgets")
    refused(answer, 404, "NotFound", "could not find the requested resource")


async def test_a_subresource_that_is_not_served(served: Serving) -> None:
    refused(await served.ask("GET", f"{PODS}/x/exec"), 404, "NotFound")


async def test_a_group_that_is_not_served(served: Serving) -> None:
    answer = await served.ask("POST", "/apis/example.com/v1/gadgets", {})
    assert (answer.status, answer.body) == (404, b"404 page not found\n")


async def test_an_unknown_field_is_an_error_when_strict(served: Serving) -> None:
    body = {**deployment("x"), "spec": {**deployment("x")["spec"], "replica": 3}}
    answer = await served.ask("POST", f"{DEPLOYMENTS}?fieldValidation=Strict", body)
    refused(answer, 400, "BadRequest", 'unknown field "spec.replica"')


async def test_an_unknown_field_is_a_warning_by_default(served: Serving) -> None:
    body = {**deployment("x"), "spec": {**deployment("x")["spec"], "replica": 3}}
    answer = await served.ask("POST", DEPLOYMENTS, body)
    assert (answer.status, answer.warnings) == (201, ['299 - "unknown field \\"spec.replica\\""'])
    assert "replica" not in answer.json["spec"]


async def test_a_wrong_type(served: Serving) -> None:
    body = {**deployment("x"), "spec": {**deployment("x")["spec"], "replicas": "three"}}
    refused(await served.ask("POST", DEPLOYMENTS, body), 400, "BadRequest", "spec.replicas", "int32")


@pytest.mark.parametrize("metadata", [None, {}, {"name": None}, {"name": ""}])
async def test_no_name(served: Serving, metadata: object) -> None:
    for path in ("/api/v1/namespaces", "/apis/batch/v1/namespaces/default/jobs", CONFIGMAPS):
        answer = await served.ask("POST", path, {"metadata": metadata})
        refused(answer, 422, "Invalid", "metadata.name: Required value: name or generateName is required")


async def test_a_selector_that_does_not_match_its_template(served: Serving) -> None:
    answer = await served.ask("POST", DEPLOYMENTS, deployment("x", selects="other"))
    refused(answer, 422, "Invalid", "spec.template.metadata.labels", "`selector` does not match template `labels`")
    assert [cause["field"] for cause in answer.json["details"]["causes"]] == ["spec.template.metadata.labels"]


async def test_an_immutable_field(served: Serving) -> None:
    await served.ask("POST", DEPLOYMENTS, deployment("x"))
    patch = {"spec": {"selector": {"matchLabels": {"app": "web", "more": "y"}}}}
    answer = await served.ask("PATCH", f"{DEPLOYMENTS}/x", patch, content_type=MERGE)
    refused(answer, 422, "Invalid", "spec.selector", "field is immutable")


async def test_a_stale_version(served: Serving) -> None:
    first = (await served.ask("POST", CONFIGMAPS, configmap("x", {"a": "1"}))).json
    await served.ask("PUT", f"{CONFIGMAPS}/x", {**first, "data": {"a": "2"}})
    answer = await served.ask("PUT", f"{CONFIGMAPS}/x", {**first, "data": {"a": "3"}})
    refused(answer, 409, "Conflict", "the object has been modified")
    assert (await served.ask("GET", f"{CONFIGMAPS}/x")).json["data"] == {"a": "2"}


async def test_a_body_that_is_too_large(served: Serving) -> None:
    answer = await served.ask("POST", CONFIGMAPS, configmap("x", {"a": "x" * (4 << 20)}))
    refused(answer, 413, "RequestEntityTooLarge", "limit is 3145728")


async def test_a_body_that_is_too_large_and_says_nothing_of_its_length(served: Serving) -> None:
    async def parts() -> object:
        for _ in range(5):
            yield b"x" * (1 << 20)

    headers = {"Authorization": f"Bearer {served.certificates.token}"}
    async with served.session.post(served.url + CONFIGMAPS, data=parts(), headers=headers) as got:
        assert got.status == 413


async def test_no_token(served: Serving) -> None:
    refused(await served.ask("GET", PODS, token=""), 401, "Unauthorized")


async def test_a_bad_token(served: Serving) -> None:
    refused(await served.ask("GET", PODS, token="guess"), 401, "Unauthorized")


async def test_a_user_who_may_not(served: Serving) -> None:
    served.api.authenticator.add("tokenofeve", User("eve"))
    answer = await served.ask("GET", f"{PODS}/x", token="tokenofeve")
    refused(
        answer, 403, "Forbidden", 'User "eve" cannot get resource "pods" in API group "" in the namespace "default"'
    )
    answer = await served.ask("GET", "/api/v1/nodes", token="tokenofeve")
    refused(answer, 403, "Forbidden", 'nodes is forbidden: User "eve" cannot list resource "nodes"', "cluster scope")
    refused(await served.ask("GET", "/metrics", token="tokenofeve"), 403, "Forbidden", 'cannot get path "/metrics"')


async def test_anybody_may_ask_for_health_and_version(served: Serving) -> None:
    for path in ("/healthz", "/livez", "/readyz", "/version"):
        assert (await served.ask("GET", path, token="")).status == 200


async def test_protobuf_is_refused_with_the_way_round_it(served: Serving) -> None:
    answer = await served.ask("POST", CONFIGMAPS, b"k8s\0", content_type="application/vnd.kubernetes.protobuf")
    refused(answer, 415, "UnsupportedMediaType", "kubectl create -f")


async def test_an_answer_in_no_form_that_is_there(served: Serving) -> None:
    refused(await served.ask("GET", CONFIGMAPS, accept="image/png"), 406, "NotAcceptable", "application/json")


async def test_a_method_that_the_resource_does_not_have(served: Serving) -> None:
    refused(await served.ask("POST", f"{CONFIGMAPS}/x", configmap("x")), 405, "MethodNotAllowed")
    refused(await served.ask("PUT", CONFIGMAPS, configmap("x")), 405, "MethodNotAllowed")
    refused(await served.ask("DELETE", "/api/v1/namespaces"), 405, "MethodNotAllowed")
    refused(await served.ask("POST", "/api/v1/pods", pod("x")), 405, "MethodNotAllowed")
    refused(await served.ask("OPTIONS", CONFIGMAPS), 405, "MethodNotAllowed")
    refused(await served.ask("POST", "/apis", {}), 405, "MethodNotAllowed")


async def test_a_patch_that_does_not_fit(served: Serving) -> None:
    await served.ask("POST", CONFIGMAPS, configmap("x"))
    patch = [{"op": "remove", "path": "/data/none"}]
    answer = await served.ask("PATCH", f"{CONFIGMAPS}/x", patch, content_type=JSON_PATCH)
    refused(answer, 422, "Invalid")


async def test_a_deletion_with_other_options(served: Serving) -> None:
    await served.ask("POST", CONFIGMAPS, configmap("x"))
    answer = await served.ask("DELETE", f"{CONFIGMAPS}/x", {"propagationPolicy": "Maybe"})
    refused(answer, 422, "Invalid", "propagationPolicy")
    refused(await served.ask("DELETE", f"{CONFIGMAPS}/x", b"[1]"), 400, "BadRequest")
    refused(await served.ask("DELETE", f"{CONFIGMAPS}/x", {"gracePeriodSeconds": "soon"}), 400, "BadRequest")


async def test_a_list_whose_limit_is_no_number(served: Serving) -> None:
    refused(await served.ask("GET", f"{CONFIGMAPS}?limit=few"), 400, "BadRequest")


async def test_a_namespace_that_kubernetes_needs_stays(served: Serving) -> None:
    answer = await served.ask("DELETE", "/api/v1/namespaces/default")
    refused(answer, 403, "Forbidden", "this namespace may not be deleted")


async def test_what_is_no_http_does_not_stop_the_server(served: Serving) -> None:
    host, port = served.url.removeprefix("https://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\n\r\n")  # no TLS
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await asyncio.wait_for(reader.readexactly(1), 10)
    writer.close()
    context = ssl.create_default_context(cafile=str(served.certificates.authority))
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    writer.write(b"nonsense\r\n\r\n")
    assert b" 400 " in await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    assert (await served.ask("GET", "/healthz")).status == 200


async def test_what_goes_wrong_inside_is_a_status(served: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*positional: object, **named: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(served.api, "list", fail)
    refused(await served.ask("GET", CONFIGMAPS), 500, "InternalError", "boom")


async def test_handle_answers_without_http(served: Serving) -> None:
    answer = await served.api.handle(Request("GET", "/api/v1/namespaces/default/pods"))
    assert answer.status == 401
    served.api.authenticator = Authenticator({"t": User("a", ("system:masters",))})
    answer = await served.api.handle(Request("GET", "/api/v1/pods", headers={"authorization": "Bearer t"}))
    assert answer.status == 200
