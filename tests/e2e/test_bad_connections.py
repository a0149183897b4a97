"""What no HTTP client sends, and clients that do not do their part: the server and everybody else go on."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.api import Api
from tests.e2e.conftest import Cluster, until
from tests.e2e.wire import Wire, read_answer, resident_bytes

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
MIB = 1 << 20


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("bad"), "--nodes", "0").start()
    yield made
    assert made.stop() == 0


@pytest.fixture(scope="module")
def wire(plane: Cluster) -> Wire:
    return Wire(plane)


@pytest.fixture(autouse=True)
def unharmed(plane: Cluster, wire: Wire) -> Iterator[None]:
    """After each test: the server answers at once, and its log has no traceback."""
    told = len(plane.log.read_bytes())
    yield
    began = time.monotonic()
    assert wire.ask("GET", "/healthz").body == b"ok"
    assert time.monotonic() - began < 2
    assert "Traceback" not in plane.log.read_bytes()[told:].decode()


def configmap(name: str, text: str = "") -> bytes:
    return json.dumps({"kind": "ConfigMap", "metadata": {"name": name}, "data": {"text": text}}).encode()


def exists(wire: Wire, name: str) -> bool:
    return wire.ask("GET", f"{CONFIGMAPS}/{name}").status == 200


@pytest.mark.parametrize("data", [b"\0" * 1000, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00" + b"x" * 512, b""])
def test_what_is_no_tls_is_disconnected(wire: Wire, data: bytes) -> None:
    with socket.create_connection((wire.host, wire.port), timeout=10) as plain:
        plain.sendall(data)
        plain.shutdown(socket.SHUT_WR)
        try:
            told = plain.recv(100)
        except ConnectionError:
            told = b""
    assert not told.startswith(b"HTTP")


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"\0\xff" * 100 + b"\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\na\0b: c\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nA: " + b"x" * 100_000 + b"\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_http_is_400(wire: Wire, data: bytes) -> None:
    told = wire.exchange(data)
    assert told.split(b" ")[1] == b"400"


def test_a_url_as_long_as_selectors_get_is_served(wire: Wire) -> None:
    values = ",".join(f"value-{number}" for number in range(5000))
    assert wire.ask("GET", f"{CONFIGMAPS}?labelSelector=a+in+({values})").status == 200


def test_many_headers_are_served_or_refused(wire: Wire) -> None:
    lines = [f"X-{number}: {number}" for number in range(20_000)]
    told = wire.exchange(wire.head("GET", "/healthz", "Connection: close", *lines))
    assert told.split(b" ")[1] in (b"200", b"400", b"431")


def test_http_1_0_is_answered_and_closed(wire: Wire) -> None:
    told = wire.exchange(wire.head("GET", f"{CONFIGMAPS}/none", version="1.0"))
    assert told.startswith((b"HTTP/1.0 404", b"HTTP/1.1 404"))
    assert json.loads(told.partition(b"\r\n\r\n")[2])["code"] == 404


def test_a_watch_over_http_1_0_ends_with_its_time(wire: Wire) -> None:
    assert wire.ask("POST", CONFIGMAPS, configmap("old")).status == 201
    told = wire.exchange(wire.head("GET", f"{CONFIGMAPS}?watch=1&timeoutSeconds=1", version="1.0"))
    (event,) = told.partition(b"\r\n\r\n")[2].splitlines()
    assert json.loads(event)["type"] == "ADDED"
    assert wire.ask("DELETE", f"{CONFIGMAPS}/old").status == 200


def test_pipelined_requests_are_answered_in_their_order(wire: Wire) -> None:
    body = configmap("piped")
    post = wire.head("POST", CONFIGMAPS, "Content-Type: application/json", f"Content-Length: {len(body)}") + body
    get = wire.head("GET", f"{CONFIGMAPS}/piped")
    delete = wire.head("DELETE", f"{CONFIGMAPS}/piped")
    with wire.open() as connection:
        connection.sendall(post + get + post + delete + get + wire.head("GET", "/healthz"))
        methods = ("POST", "GET", "POST", "DELETE", "GET", "GET")
        codes = [read_answer(connection, method).status for method in methods]
    assert codes == [201, 200, 409, 200, 404, 200]


@pytest.mark.parametrize("reset", [True, False])
def test_a_body_that_breaks_off_writes_nothing(wire: Wire, reset: bool) -> None:
    body = configmap("broken", "x" * 100_000)
    head = wire.head("POST", CONFIGMAPS, "Content-Type: application/json", f"Content-Length: {len(body)}")
    with wire.open() as connection:
        connection.sendall(head + body[:50_000])
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert not exists(wire, "broken")


def test_chunks_that_are_none_write_nothing(wire: Wire) -> None:
    head = wire.head("POST", CONFIGMAPS, "Content-Type: application/json", "Transfer-Encoding: chunked")
    told = wire.exchange(head + b'5\r\n{"kin\r\nnonsense\r\n' + configmap("chunked"))
    assert told.split(b" ")[1:2] in ([], [b"400"])
    assert not exists(wire, "chunked")


def test_half_requests_hold_up_nobody(wire: Wire) -> None:
    slow = []
    try:
        for number in range(50):
            slow.append(wire.open())
            slow[-1].sendall(wire.head("POST", CONFIGMAPS, "Content-Length: 100")[: 20 + 4 * number])
        plain = [socket.create_connection((wire.host, wire.port)) for _ in range(50)]  # they never begin TLS
        began = time.monotonic()
        assert wire.ask("POST", CONFIGMAPS, configmap("quick")).status == 201
        assert wire.ask("DELETE", f"{CONFIGMAPS}/quick").status == 200
        assert time.monotonic() - began < 2
        for connection in plain:
            connection.close()
    finally:
        for connection in slow:
            connection.close()


class Reader(threading.Thread):
    """A watcher that reads as it should."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(daemon=True)
        self._wire = wire
        self.seen: list[str] = []

    def run(self) -> None:
        with self._wire.open() as connection:
            connection.sendall(self._wire.head("GET", f"{CONFIGMAPS}?watch=1&fieldSelector=metadata.name%3Dbig"))
            answer = connection.makefile("rb")
            while answer.readline() != b"\r\n":
                pass
            while size := int(answer.readline(), 16):
                for line in answer.read(size).splitlines():
                    self.seen.append(json.loads(line)["object"]["data"]["text"][:4])
                answer.readline()


def test_watchers_that_never_read_cost_a_bounded_amount(plane: Cluster, wire: Wire) -> None:
    """20 of them before 20 MiB of objects and 15 MiB of changes: each may have what its socket holds, and one chunk."""
    deaf_count, changes, size = 20, 30, MIB // 2
    api = Api(plane.kubeconfig)
    for number in range(40):
        assert api.send("POST", CONFIGMAPS, configmap(f"filler-{number}", "x" * size))[0] == 201
    assert api.send("POST", CONFIGMAPS, configmap("big", "0000"))[0] == 201
    reader = Reader(wire)
    reader.start()
    until(lambda: reader.seen, "the first event")
    before = resident_bytes(plane.pid)
    deaf: list[ssl.SSLSocket] = []
    for _ in range(deaf_count):
        deaf.append(wire.open())
        deaf[-1].sendall(wire.head("GET", f"{CONFIGMAPS}?watch=1&resourceVersion=0"))
        deaf[-1].recv(1)
    for number in range(1, changes):
        patch: dict[str, Any] = {"data": {"text": f"{number:04}" + "x" * size}}
        status, answer = api.send("PATCH", f"{CONFIGMAPS}/big", patch, Content_Type="application/merge-patch+json")
        assert status == 200, answer
    until(lambda: len(reader.seen) == changes, "every event at the watcher that reads")
    assert reader.seen == [f"{number:04}" for number in range(changes)]
    grown = resident_bytes(plane.pid) - before
    print(f"{deaf_count} watchers that do not read: {grown / MIB:.0f} MiB more")
    assert grown < 3 * changes * size + deaf_count * 3 * MIB  # the history, as objects and as events; the watchers
    for connection in deaf:
        connection.close()
    for name in ["big", *(f"filler-{number}" for number in range(40))]:
        assert api.send("DELETE", f"{CONFIGMAPS}/{name}")[0] == 200
