"""HTTPS when things go wrong: a server that plays tricks, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.api.errors import StatusError
from engine.api.resource import CONFIGMAPS, PODS
from engine.client.client import Client
from engine.client.https import HTTPSTransport
from engine.client.kubeconfig import ClusterConfig, TokenFile
from engine.client.wire import WatchLines, page_of
from tests.informers.virtual_time import VirtualTimeLoop, run

Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


class Trickster:
    """An HTTP server that gives prepared answers, one a request, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.at_once = self.most_at_once = 0
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.requests.append((head[0].rpartition(" ")[0], headers, body))
                self.at_once += 1
                self.most_at_once = max(self.at_once, self.most_at_once)
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if callable(answer):
                    await answer(writer)
                else:
                    await asyncio.sleep(0.005)
                    writer.write(answer)
                self.at_once -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def answer(code: int, body: object, **headers: str) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
    head = f"HTTP/1.1 {code} x\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n{''.join(lines)}\r\n"
    return head.encode() + data


def status(code: int, reason: str, **headers: str) -> bytes:
    return answer(
        code, {"kind": "Status", "status": "Failure", "message": "m", "reason": reason, "code": code}, **headers
    )


OBJECT = answer(200, {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a", "resourceVersion": "7"}})
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def line(type: str, name: str) -> bytes:
    return json.dumps({"type": type, "object": {"kind": "Pod", "metadata": {"name": name}}}).encode() + b"\n"


@asynccontextmanager
async def talking_to(trickster: Trickster, **config: Any) -> AsyncGenerator[Client, None]:
    server = await asyncio.start_server(trickster.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = HTTPSTransport(ClusterConfig(f"http://127.0.0.1:{port}", **config), max_requests=4)
    try:
        yield Client(transport)
    finally:
        await transport.close()
        server.close()


def test_busy_answers_are_retried_after_what_retry_after_says() -> None:
    async def main() -> None:
        trickster = Trickster(
            status(503, "ServiceUnavailable", Retry_After="7"), status(429, "TooManyRequests"), OBJECT
        )
        async with talking_to(trickster) as client:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualTimeLoop)
            task = asyncio.create_task(client.get(CONFIGMAPS, "default", "a"))
            for count, seconds in ((1, 7), (2, 1)):
                while len(trickster.requests) < count or trickster.at_once:  # noqa: ASYNC110 (a real socket answers)
                    await asyncio.sleep(0.005)
                await asyncio.sleep(0.05)
                assert len(trickster.requests) == count
                loop.skip(seconds)
            assert (await task).resource_version == 7
            assert len(trickster.requests) == 3

    run(main(), jump=False)


def test_retries_are_bounded_and_end_with_the_servers_words() -> None:
    async def main() -> None:
        trickster = Trickster(status(503, "ServiceUnavailable", Retry_After="1"))
        async with talking_to(trickster) as client:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualTimeLoop)
            task = asyncio.create_task(client.get(CONFIGMAPS, "default", "a"))
            while not task.done():
                await asyncio.sleep(0.005)
                loop.skip(0.5)
            assert isinstance(task.exception(), StatusError)
            assert len(trickster.requests) == 5

    run(main(), jump=False)


def test_a_create_is_not_repeated_after_a_503() -> None:
    async def main() -> None:
        trickster = Trickster(status(503, "ServiceUnavailable", Retry_After="0"), OBJECT)
        async with talking_to(trickster) as client:
            with pytest.raises(StatusError):
                await client.create(CONFIGMAPS, "default", {"metadata": {"name": "a"}})
            assert len(trickster.requests) == 1

    run(main(), jump=False)


def test_requests_name_the_client_the_manager_and_the_patch() -> None:
    async def main() -> None:
        trickster = Trickster(OBJECT)
        async with talking_to(trickster, token="t") as client:
            await client.patch(CONFIGMAPS, "default", "a", {"data": {}}, type="strategic")
            await client.delete(CONFIGMAPS, "default", "a", gracePeriodSeconds=0)
            (patch, headers, body), (delete, _, options) = trickster.requests
            assert patch == "PATCH /api/v1/namespaces/default/configmaps/a?fieldManager=engine"
            assert headers["user-agent"] == "engine/0.1.0"
            assert headers["authorization"] == "Bearer t"
            assert headers["content-type"] == "application/strategic-merge-patch+json"
            assert body == b'{"data":{}}'
            assert delete == "DELETE /api/v1/namespaces/default/configmaps/a"
            assert json.loads(options) == {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
            assert trickster.connections == 1  # kept alive

    run(main(), jump=False)


def test_a_batch_keeps_at_most_max_requests_under_way() -> None:
    async def main() -> None:
        trickster = Trickster(OBJECT)
        async with talking_to(trickster) as client:
            await client.batch([client.patching(CONFIGMAPS, "default", "a", {}) for _ in range(40)])
            assert trickster.most_at_once == 4
            assert trickster.connections == 4

    run(main(), jump=False)


def test_a_renewed_token_file_is_read_again_after_a_401(tmp_path: Path) -> None:
    async def main() -> None:
        trickster = Trickster(OBJECT, status(401, "Unauthorized"), OBJECT)
        (tmp_path / "token").write_text("old")
        async with talking_to(trickster, token_file=TokenFile(tmp_path / "token")) as client:
            await client.get(CONFIGMAPS, "default", "a")
            (tmp_path / "token").write_text("new")
            await client.get(CONFIGMAPS, "default", "a")
            tokens = [headers["authorization"] for _, headers, _ in trickster.requests]
            assert tokens == ["Bearer old", "Bearer old", "Bearer new"]

    run(main(), jump=False)


@pytest.mark.parametrize("body", [b"<html>bad gateway</html>", b"", b'{"kind":"Other"}', b"\xff\xfe"])
def test_a_refusal_that_is_no_status_is_a_status_error_all_the_same(body: bytes) -> None:
    async def main() -> None:
        async with talking_to(Trickster(answer(502, body))) as client:
            with pytest.raises(StatusError) as caught:
                await client.get(CONFIGMAPS, "default", "a")
            assert caught.value.code == 502
            assert caught.value.message

    run(main(), jump=False)


def test_events_come_as_their_bytes_arrive_however_they_are_cut() -> None:
    async def main() -> None:
        data = line("ADDED", "a") + line("MODIFIED", "b") + line("DELETED", "ü")
        go = asyncio.Semaphore(0)

        async def stream(writer: asyncio.StreamWriter) -> None:
            writer.write(STREAM + chunk(data[:80]))
            await go.acquire()
            writer.write(chunk(data[80:100]))
            await writer.drain()
            writer.write(chunk(data[100:]) + b"0\r\n\r\n")

        async with talking_to(Trickster(stream)) as client:
            events = client.transport.watch(PODS, None)
            first = await anext(events)
            assert [event.object.name for event in first] == ["a"]
            go.release()
            rest = [event async for batch in events for event in batch]
            assert [(event.type, event.object.name) for event in rest] == [("MODIFIED", "b"), ("DELETED", "ü")]

    run(main(), jump=False)


def test_a_connection_reset_in_the_middle_of_an_event_loses_only_that_event() -> None:
    async def main() -> None:
        async def stream(writer: asyncio.StreamWriter) -> None:
            writer.write(STREAM + chunk(line("ADDED", "a") + line("ADDED", "b")[:20]))
            await writer.drain()
            writer.transport.abort()

        async with talking_to(Trickster(stream)) as client:
            events = client.transport.watch(PODS, None)
            assert [event.object.name for event in await anext(events)] == ["a"]
            with pytest.raises(OSError, match=r"127\.0\.0\.1"):
                await anext(events)

    run(main(), jump=False)


def test_a_watch_that_ends_in_the_middle_of_an_event_is_broken() -> None:
    async def main() -> None:
        async def stream(writer: asyncio.StreamWriter) -> None:
            writer.write(STREAM + chunk(line("ADDED", "b")[:20]) + b"0\r\n\r\n")

        async with talking_to(Trickster(stream)) as client:
            with pytest.raises(OSError, match="middle of an event"):
                await anext(client.transport.watch(PODS, None))

    run(main(), jump=False)


def test_an_error_event_is_raised_as_what_it_says() -> None:
    async def main() -> None:
        gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}

        async def stream(writer: asyncio.StreamWriter) -> None:
            writer.write(STREAM + chunk(json.dumps(gone).encode() + b"\n") + b"0\r\n\r\n")

        async with talking_to(Trickster(stream)) as client:
            with pytest.raises(StatusError) as caught:
                await anext(client.transport.watch(PODS, None))
            assert (caught.value.code, caught.value.message) == (410, "too old")

    run(main(), jump=False)


def test_a_refused_watch_is_raised_as_what_it_says() -> None:
    async def main() -> None:
        async with talking_to(Trickster(status(429, "TooManyRequests", Retry_After="3"))) as client:
            with pytest.raises(StatusError) as caught:
                await anext(client.transport.watch(PODS, None))
            assert (caught.value.code, caught.value.retry_after_seconds) == (429, 3)

    run(main(), jump=False)


def test_a_watch_that_is_silent_for_5_s_after_its_time_is_dead() -> None:
    async def main() -> None:
        started = asyncio.Event()

        async def stream(writer: asyncio.StreamWriter) -> None:
            writer.write(STREAM + chunk(line("ADDED", "a")))
            started.set()
            await asyncio.get_running_loop().create_future()

        async with talking_to(Trickster(stream)) as client:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualTimeLoop)
            events = client.transport.watch(PODS, None, query={"timeoutSeconds": "300"})
            await anext(events)
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0.02)
            loop.skip(304)
            await asyncio.sleep(0.02)
            assert not waiting.done()
            loop.skip(2)
            with pytest.raises(OSError, match=r"127\.0\.0\.1"):
                await waiting

    run(main(), jump=False)


def test_a_log_streams_as_it_is_written() -> None:
    async def main() -> None:
        async def stream(writer: asyncio.StreamWriter) -> None:
            writer.write(STREAM + chunk(b"one\n") + chunk(b"two\n") + b"0\r\n\r\n")

        trickster = Trickster(stream)
        async with talking_to(trickster) as client:
            pieces = [piece async for piece in client.transport.stream_log("default", "p", query={"follow": "true"})]
            assert b"".join(pieces) == b"one\ntwo\n"
            assert trickster.requests[0][0] == "GET /api/v1/namespaces/default/pods/p/log?follow=true"

    run(main(), jump=False)


def test_items_of_a_list_get_the_kind_that_servers_leave_out() -> None:
    items = [{"metadata": {"name": "a"}}, {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "b"}}]
    items += [{"metadata": {"name": "c"}, "kind": "Pod", "apiVersion": "v1"}]
    page = page_of(json.dumps({"kind": "PodList", "metadata": {"resourceVersion": "7"}, "items": items}).encode(), PODS)
    assert [(obj.kind, obj.api_version, obj.name) for obj in page.items] == [("Pod", "v1", name) for name in "abc"]
    assert page_of(b'{"metadata":{"resourceVersion":"7"},"items":null}', PODS).items == []


@pytest.mark.parametrize("data", [b"nonsense\n", b'{"type":"ADDED"}\n', b'{"type":"OTHER","object":{}}\n', b"[]\n"])
def test_a_line_that_is_no_event_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        WatchLines().feed(data)


def test_importing_the_client_loads_no_http_library() -> None:
    import subprocess
    import sys

    code = (
        "import sys, engine.client.https, engine.client.local, engine.informers.informer, engine.runtime.controller\n"
    )
    code += "sys.exit('aiohttp' in sys.modules or 'yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
