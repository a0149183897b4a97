"""Logs of other machines' containers: the kubelet that is asked, and the Status when it gives none."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from engine._object import Object
from engine.server import nodelogs
from engine.server.certificates import self_signed
from engine.server.http import HTTPServer
from engine.server.nodelogs import KUBELET_CLIENT, NodeLogs
from engine.server.podlogs import LogBroken, LogOptions
from engine.server.request import Request, Response
from tests.server.objects import MERGE, PODS, pod
from tests.server.serving import Answer, Serving

NODES = "/api/v1/nodes"
DEADLINE_SECONDS = 10


class Kubelet:
    """A node's endpoint that answers what it is told to."""

    def __init__(self, answer: Response) -> None:
        self.answer = answer
        self.asked: list[Request] = []

    def authenticate(self, headers: Mapping[str, str]) -> None:
        """A certificate names who asks, or nobody does."""

    async def handle(self, request: Request) -> Response:
        self.asked.append(request)
        return self.answer


@asynccontextmanager
async def kubelet(served: Serving, folder: Path, answer: Response) -> AsyncIterator[Kubelet]:
    """Runs the node `n`, on which the pod `web` is."""
    made = Kubelet(answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed(folder / "kubelet", ["not-this-machine"]))
    context.load_verify_locations(served.certificates.authority)
    context.verify_mode = ssl.CERT_OPTIONAL
    front = HTTPServer(made, context)
    host, port = await front.start("127.0.0.1", 0)
    await node(served, host, port)
    async with asking(served):
        yield made
    await front.stop()


@asynccontextmanager
async def asking(served: Serving) -> AsyncIterator[NodeLogs]:
    """The server gets logs from kubelets."""
    logs = NodeLogs(served.api.store, *served.certificates.client(KUBELET_CLIENT))
    served.api.log_source = logs
    await served.ask("POST", PODS, pod("web", node="n"))
    yield logs
    await logs.close()


async def node(served: Serving, host: str, port: int = 0) -> None:
    await served.ask("POST", NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})
    status: dict[str, Any] = {"daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}
    status["addresses"] = [{"type": "Hostname", "address": "n"}]
    if host:
        status["addresses"].append({"type": "InternalIP", "address": host})
    answer = await served.ask("PATCH", f"{NODES}/n/status", {"status": status}, content_type=MERGE)
    assert answer.status == 200, answer.body


async def log(served: Serving, query: str = "") -> Answer:
    async with asyncio.timeout(DEADLINE_SECONDS):
        return await served.ask("GET", f"{PODS}/web/log{query}")


def silent() -> socket.socket:
    """Takes connections and says nothing."""
    return socket.create_server(("127.0.0.1", 0))


async def test_the_kubelet_of_the_pods_node_is_asked_in_the_api_servers_name(served: Serving, tmp_path: Path) -> None:
    async with kubelet(served, tmp_path, Response(200, b"one\ntwo\n")) as asked:
        answer = await log(served)
        assert (answer.status, answer.body) == (200, b"one\ntwo\n")
        (request,) = asked.asked
        assert (request.method, request.path) == ("GET", "/containerLogs/default/web/c")
        assert request.user
        assert (request.user.name, request.user.groups[0]) == ("kube-apiserver-kubelet-client", "system:masters")


async def test_the_options_are_passed_on(served: Serving, tmp_path: Path) -> None:
    options = "?follow=true&previous=true&timestamps=true&tailLines=0&limitBytes=5"
    async with kubelet(served, tmp_path, Response(200, b"x")) as asked:
        await log(served)
        await log(served, options + "&sinceSeconds=3")
        await log(served, "?sinceTime=2026-01-02T03:04:05.6%2B07:00")
        queries = [dict(request.query) for request in asked.asked]
        flags = {"follow": "true", "previous": "true", "timestamps": "true"}
        assert queries[0] == {}
        assert queries[1] == {**flags, "tailLines": "0", "limitBytes": "5", "sinceSeconds": "3"}
        assert queries[2] == {"sinceTime": "2026-01-02T03:04:05.6+07:00"}


async def test_a_log_arrives_as_it_is_written(served: Serving, tmp_path: Path) -> None:
    more, left = asyncio.Event(), asyncio.Event()

    async def lines() -> AsyncIterator[bytes]:
        try:
            yield b"1\n"
            await more.wait()
            yield b"2\n"
            await asyncio.Event().wait()
        finally:
            left.set()

    async with kubelet(served, tmp_path, Response(200, lines())), asyncio.timeout(DEADLINE_SECONDS):
        headers = {"Authorization": f"Bearer {served.certificates.token}"}
        async with served.session.get(f"{served.url}{PODS}/web/log?follow=true", headers=headers) as answer:
            assert await answer.content.readany() == b"1\n"
            more.set()
            assert await answer.content.readany() == b"2\n"
            answer.close()
            await left.wait()  # the kubelet learns that nobody reads on


@pytest.mark.parametrize(
    ("code", "text", "reason", "message"),
    [
        (400, 'container "c" is waiting', "BadRequest", 'container "c" is waiting'),
        (401, "Unauthorized", "Unauthorized", "the server has asked for the client to provide credentials"),
        (403, "Forbidden (user=x)", "Forbidden", "Forbidden (user=x)"),
        (404, 'pod "web" does not exist', "NotFound", "the server could not find the requested resource"),
        (418, "teapot", "", "the server responded with the status code 418"),
        (500, "boom", "InternalError", "Internal error occurred: boom"),
        (502, "boom", "InternalError", 'an error on the server ("boom")'),
        (503, "later", "ServiceUnavailable", "the server is currently unable to handle the request"),
    ],
)
async def test_what_a_kubelet_refuses(
    served: Serving, tmp_path: Path, code: int, text: str, reason: str, message: str
) -> None:
    async with kubelet(served, tmp_path, Response(code, text.encode())):
        answer = await log(served)
        assert answer.status == code
        assert answer.json.get("reason", "") == reason
        assert answer.json["message"].startswith(message)
        if code not in (400, 500):
            assert answer.json["message"].endswith(" ( pods/log web)")


async def test_a_node_that_cannot_be_reached_is_named(served: Serving) -> None:
    with silent() as listening:
        port = listening.getsockname()[1]
    await node(served, "127.0.0.1", port)
    async with asking(served):
        answer = await log(served, "?follow=true")
    url = f"https://127.0.0.1:{port}/containerLogs/default/web/c?follow=true"
    assert (answer.status, answer.json.get("reason", "")) == (500, "")
    assert answer.json["message"] == f'Get "{url}": dial tcp 127.0.0.1:{port}: connect: connection refused'


async def test_a_node_that_does_not_say_its_port_is_asked_at_the_default(served: Serving) -> None:
    await node(served, "127.0.0.1")
    async with asking(served):
        answer = await log(served)
    assert answer.status == 500
    assert answer.json["message"].startswith('Get "https://127.0.0.1:10250/containerLogs/default/web/c": ')


async def test_a_node_that_takes_no_handshake_is_given_up(served: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodelogs, "CONNECT_SECONDS", 0.1)
    with silent() as listening:
        port = listening.getsockname()[1]
        await node(served, "127.0.0.1", port)
        async with asking(served):
            answer = await log(served)
    assert answer.status == 500
    assert answer.json["message"].endswith(f"dial tcp 127.0.0.1:{port}: i/o timeout")


async def test_a_kubelet_that_does_not_answer_is_given_up(
    served: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodelogs, "ANSWER_SECONDS", 0.2)
    async with kubelet(served, tmp_path, Response(200)) as asked:
        stuck = asyncio.Event()

        async def handle(request: Request) -> Response:
            await stuck.wait()
            return asked.answer

        asked.handle = handle  # type: ignore[method-assign]
        answer = await log(served)
        stuck.set()
    assert answer.status == 500
    assert answer.json["message"].endswith("net/http: timeout awaiting response headers")


async def test_a_node_without_an_address_or_without_an_object(served: Serving) -> None:
    async with asking(served):
        answer = await log(served)
        assert (answer.status, answer.json["message"]) == (404, 'nodes "n" not found')
        await served.ask("POST", NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})
        answer = await log(served)
        assert (answer.status, answer.json["message"]) == (
            500,
            "no preferred addresses found; known addresses: []",
        )


async def test_a_log_that_breaks_off_does_not_look_whole(
    served: Serving, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def lines() -> AsyncIterator[bytes]:
        yield b"1\n"
        raise LogBroken("the disk is gone")

    with caplog.at_level(logging.WARNING, "engine.server.http"):
        async with kubelet(served, tmp_path, Response(200, lines())):
            with pytest.raises(aiohttp.ClientPayloadError):
                await log(served, "?follow=true")
    told = [record for record in caplog.records if "the kubelet of node n" in record.getMessage()]
    assert len(told) == 1
    assert told[0].exc_info is None


async def test_nodes_of_this_process_are_asked_directly(served: Serving) -> None:
    class Source:
        async def open(self, pod: Object, options: LogOptions) -> AsyncIterator[bytes]:
            return self._lines(pod.name)

        async def _lines(self, name: str) -> AsyncIterator[bytes]:
            yield name.encode()

    async with asking(served) as logs:
        logs.direct(["n"], Source())
        assert (await log(served)).body == b"web"
