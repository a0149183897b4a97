"""The HTTPS front and what it is built from: certificates, users, streams, logs, metrics, discovery."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import yaml

from engine._object import Object
from engine.api.errors import StatusError
from engine.server.certificates import Certificates
from engine.server.http import HTTPServer
from engine.server.podlogs import LogOptions
from engine.server.request import ADMIN, Request, User
from engine.server.routes import MAX_IN_FLIGHT
from tests.server.objects import CONFIGMAPS, DEPLOYMENTS, MERGE, PODS, configmap, deployment, pod
from tests.server.serving import Serving

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


# Certificates


def test_certificates_are_made_once(tmp_path: Path) -> None:
    first = Certificates.open(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    second = Certificates.open(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert first.token == second.token


def test_a_new_address_gets_a_new_certificate_of_the_same_authority(tmp_path: Path) -> None:
    first = Certificates.open(tmp_path, names=("localhost",))
    authority, certificate = first.authority.read_bytes(), first.server_certificate.read_bytes()
    Certificates.open(tmp_path, names=("localhost", "10.0.0.1"))
    assert first.authority.read_bytes() == authority
    assert first.server_certificate.read_bytes() != certificate


def test_secrets_are_for_their_owner_alone(tmp_path: Path) -> None:
    certificates = Certificates.open(tmp_path / "pki")
    certificates.write_kubeconfig(tmp_path / "kubeconfig", "https://127.0.0.1:1", token="t")
    for path in (*(tmp_path / "pki").iterdir(), tmp_path / "kubeconfig"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_kubeconfig_has_all_that_a_client_needs(tmp_path: Path) -> None:
    certificates = Certificates.open(tmp_path / "pki")
    certificates.write_kubeconfig(tmp_path / "kubeconfig", "https://127.0.0.1:1", token="t")
    config = yaml.safe_load((tmp_path / "kubeconfig").read_text())
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:1"
    credentials = config["users"][0]["user"]
    assert credentials.keys() == {"client-certificate-data", "client-key-data", "token"}
    assert config["current-context"] == config["contexts"][0]["name"]


# Users


async def ask_as(served: Serving, user: User, path: str) -> int:
    context = ssl.create_default_context(cafile=str(served.certificates.authority))
    context.load_cert_chain(*served.certificates.client(user))
    async with aiohttp.ClientSession() as session, session.get(served.url + path, ssl=context) as got:
        return got.status


async def test_a_client_certificate_is_a_user(served: Serving) -> None:
    assert await ask_as(served, User("ann", ("system:masters",)), PODS) == 200
    assert await ask_as(served, User("system:kube-scheduler"), PODS) == 200
    assert await ask_as(served, User("eve"), PODS) == 403


async def test_a_certificate_of_another_authority_is_refused(served: Serving, tmp_path: Path) -> None:
    others = Certificates.open(tmp_path)
    context = ssl.create_default_context(cafile=str(served.certificates.authority))
    context.load_cert_chain(*others.client(User("mallory", ("system:masters",))))
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(served.url + PODS, ssl=context)


# The front


async def test_a_connection_is_kept(served: Serving) -> None:
    for _ in range(3):
        await served.ask("GET", PODS)
    connector = served.session.connector
    assert connector is not None
    assert len({id(proto) for protos in connector._conns.values() for proto in protos}) == 1


async def test_an_address_that_is_taken_is_an_os_error(served: Serving) -> None:
    port = int(served.url.rpartition(":")[2])
    with pytest.raises(OSError, match="address already in use"):
        await HTTPServer(served.api, served.certificates.server_context()).start("127.0.0.1", port)


async def test_a_client_that_waits_to_be_told_to_go_on_is_told(served: Serving) -> None:
    headers = {"Expect": "100-continue"}
    answer = await asyncio.wait_for(served.ask("POST", CONFIGMAPS, configmap("x"), headers=headers), 10)
    assert answer.status == 201


async def test_the_head_of_an_answer_has_its_length_and_no_body(served: Serving) -> None:
    whole, head = await served.ask("GET", CONFIGMAPS), await served.ask("HEAD", CONFIGMAPS)
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(whole.body)))


async def test_a_first_step_is_told_once_per_request(served: Serving, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "engine.story"):
        await served.ask("POST", DEPLOYMENTS, deployment("x"))
        await served.ask("PATCH", f"{DEPLOYMENTS}/x", {"spec": {"replicas": 2}}, content_type=MERGE)
        await served.ask("POST", f"{DEPLOYMENTS}?dryRun=All", deployment("y"))
    (told,) = [record.fields for record in caplog.records if record.name == "engine.story"]  # type: ignore[attr-defined]
    assert (told["step"], told["component"], told["wrote"]) == (1, "apiserver", "deployments.apps default/x")


# Logs


class Source:
    """Answers with a line for each option that was asked for."""

    def __init__(self) -> None:
        self.asked: list[LogOptions] = []

    async def open(self, pod: Object, options: LogOptions) -> AsyncIterator[bytes]:
        self.asked.append(options)
        if options.previous:
            raise StatusError(400, "BadRequest", f'previous terminated container "c" in pod "{pod.name}" not found')
        return self._lines()

    async def _lines(self) -> AsyncIterator[bytes]:
        yield b"one\n"
        yield b"two\n"


async def test_a_log_streams_from_whoever_runs_the_pod(served: Serving) -> None:
    source = served.api.log_source = Source()
    await served.ask("POST", PODS, pod("x", node="n"))
    answer = await served.ask("GET", f"{PODS}/x/log?tailLines=5&timestamps=true&follow=true")
    assert (answer.status, answer.content_type, answer.body) == (200, "text/plain; charset=utf-8", b"one\ntwo\n")
    assert source.asked == [LogOptions("c", follow=True, timestamps=True, tail_lines=5)]


async def test_a_log_that_cannot_be_had_is_refused(served: Serving) -> None:
    await served.ask("POST", PODS, pod("free"))
    await served.ask("POST", PODS, pod("x", node="n", containers=[{"name": n, "image": "i"} for n in ("a", "b")]))
    assert (await served.ask("GET", f"{PODS}/none/log")).status == 404
    assert (await served.ask("GET", f"{PODS}/free/log")).status == 204
    which = await served.ask("GET", f"{PODS}/x/log")
    assert which.json["message"] == "a container name must be specified for pod x, choose one of: [a b]"
    wrong = await served.ask("GET", f"{PODS}/x/log?container=c")
    assert wrong.json["message"] == "container c is not valid for pod x"
    assert (await served.ask("GET", f"{PODS}/x/log?container=a")).json["reason"] == "ServiceUnavailable"
    served.api.log_source = Source()
    assert (await served.ask("GET", f"{PODS}/x/log?container=a&previous=true")).status == 400
    assert (await served.ask("GET", f"{PODS}/x/log?container=a&tailLines=-1")).status == 422
    assert (await served.ask("GET", f"{PODS}/x/log?container=a&tailLines=x")).status == 400
    assert (await served.ask("GET", f"{PODS}/x/log?container=a&sinceTime=noon")).status == 400


# What the server says of itself


async def test_discovery_is_not_sent_again_to_who_has_it(served: Serving) -> None:
    first = await served.ask("GET", "/apis", accept=AGGREGATED)
    assert first.content_type == AGGREGATED.partition(",")[0]
    again = await served.ask("GET", "/apis", accept=AGGREGATED, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


async def test_discovery_paths_may_end_in_a_slash(served: Serving) -> None:
    for path in ("/api/", "/apis/", "/apis/apps/", "/apis/apps/v1/", "/api/v1/"):
        assert (await served.ask("GET", path)).status == 200


async def test_openapi_has_what_kubectl_validates_with(served: Serving) -> None:
    index = (await served.ask("GET", "/openapi/v3")).json["paths"]
    assert index.keys() == {"api/v1", "apis/apps/v1", "apis/batch/v1", "apis/coordination.k8s.io/v1"}
    document = await served.ask("GET", index["apis/apps/v1"]["serverRelativeURL"])
    assert "immutable" in document.headers["Cache-Control"]
    patch = document.json["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert "fieldValidation" in [parameter["name"] for parameter in patch["parameters"]]
    assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]


async def test_openapi_refers_to_nothing_that_it_does_not_have(served: Serving) -> None:
    for path in ("/openapi/v3/api/v1", "/openapi/v3/apis/batch/v1", "/openapi/v2"):
        document = (await served.ask("GET", path)).json
        known = document.get("definitions") or document["components"]["schemas"]
        text = json.dumps(document)
        named = {part.partition('"')[0].rpartition("/")[2] for part in text.split('"$ref": "')[1:]}
        assert named
        assert named <= known.keys()


async def test_metrics_have_kubernetes_names(served: Serving) -> None:
    await served.ask("POST", CONFIGMAPS, configmap("x"))
    await served.ask("GET", f"{CONFIGMAPS}/none")
    lines = (await served.ask("GET", "/metrics")).body.decode().splitlines()
    assert 'apiserver_request_total{code="201",resource="configmaps",verb="POST"} 1.0' in lines
    assert 'apiserver_request_total{code="404",resource="configmaps",verb="GET"} 1.0' in lines
    assert 'apiserver_request_duration_seconds_count{resource="configmaps",verb="POST"} 1.0' in lines
    assert 'apiserver_resource_objects{resource="configmaps"} 1.0' in lines


async def test_health_tells_its_parts(served: Serving) -> None:
    answer = await served.ask("GET", "/readyz?verbose")
    assert answer.body.decode().splitlines() == ["[+]ping ok", "[+]storage ok", "readyz check passed"]
    assert (await served.ask("GET", "/readyz/storage")).body == b"ok"
    assert (await served.ask("GET", "/readyz/nothing")).status == 404


async def test_more_requests_than_the_bound_are_told_to_come_back_while_health_is_answered(served: Serving) -> None:
    request = Request("GET", CONFIGMAPS, [("resourceVersion", "999999999")], user=ADMIN)  # waits for that version
    waiting = [asyncio.ensure_future(served.api.handle(request)) for _ in range(MAX_IN_FLIGHT)]
    await asyncio.sleep(0)
    refused = await served.api.handle(Request("GET", CONFIGMAPS, user=ADMIN))
    healthy = await served.api.handle(Request("GET", "/healthz"))
    answers = await asyncio.gather(*waiting)
    assert (refused.status, refused.headers["Retry-After"], healthy.status) == (429, "1", 200)
    assert {answer.status for answer in answers} == {504}
    assert (await served.ask("GET", CONFIGMAPS)).status == 200


async def test_a_body_that_does_not_come_is_408_and_writes_nothing(served: Serving) -> None:
    front = HTTPServer(served.api, served.certificates.server_context(), body_seconds=0.1)
    host, port = await front.start("127.0.0.1", 0)
    context = ssl.create_default_context(cafile=str(served.certificates.authority))
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    token = f"Authorization: Bearer {served.certificates.token}"
    writer.write(f"POST {CONFIGMAPS} HTTP/1.1\r\nHost: x\r\n{token}\r\nContent-Length: 100\r\n\r\n{{".encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    assert b" 408 " in head.splitlines()[0]
    writer.close()
    await front.stop()
    assert (await served.ask("GET", CONFIGMAPS)).json["items"] == []


async def test_the_body_of_a_request_that_nobody_sends_is_not_waited_for(served: Serving) -> None:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", int(served.url.rsplit(":", 1)[1]), ssl=served.context, server_hostname="127.0.0.1"
    )
    writer.write(f"POST {CONFIGMAPS} HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n{{".encode())
    status = await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    assert b" 401 " in status
