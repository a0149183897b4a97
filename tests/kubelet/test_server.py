"""The kubelet's HTTPS endpoint: whom it answers, and what it says of containers' logs. Real sockets, real processes."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from engine._object import Object
from engine.kubelet.logs import ContainerLogs
from engine.kubelet.server import KubeletServer
from engine.server.certificates import Certificates
from engine.server.nodelogs import KUBELET_CLIENT
from engine.server.request import ADMIN, User
from tests.kubelet.harness import Clock, Runner, pod, running, shell, until

SCHEDULER = User("system:kube-scheduler")


class Endpoint:
    """A kubelet's endpoint, and its clients."""

    def __init__(self, folder: Path, node: Runner) -> None:
        self.certificates = Certificates.open(folder / "pki")
        authority = self.certificates.authority.read_bytes()
        self.directory = folder / "kubelet-pki"
        self.server = KubeletServer(("127.0.0.1", 0), self.directory, authority, ContainerLogs(node.directory))
        self._node = node

    def find(self, key: str) -> Object | None:
        return next((pod for pod in self._node.pods.values() if pod.key == key), None)

    @asynccontextmanager
    async def client(
        self, user: User | None = KUBELET_CLIENT, certificates: Certificates | None = None
    ) -> AsyncIterator[aiohttp.ClientSession]:
        context = ssl.create_default_context(cafile=str(self.directory / "kubelet.crt"))
        if user is not None:
            context.load_cert_chain(*(certificates or self.certificates).client(user))
        url = f"https://{self.server.host}:{self.server.port}"
        async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(ssl=context)) as session:
            yield session

    async def ask(self, path: str, user: User | None = KUBELET_CLIENT, *, method: str = "GET") -> tuple[int, str]:
        async with self.client(user) as session, session.request(method, path) as answer:
            return answer.status, await answer.text()


@asynccontextmanager
async def endpoint(folder: Path, clock: Clock | None = None) -> AsyncIterator[tuple[Endpoint, Runner]]:
    async with running(folder, **({"clock": clock} if clock else {})) as node:
        made = Endpoint(folder, node)
        await made.server.start(made.find)
        try:
            yield made, node
        finally:
            await made.server.stop()


async def test_the_api_server_and_administrators_are_answered(tmp_path: Path) -> None:
    async with endpoint(tmp_path) as (made, _):
        assert await made.ask("/healthz", KUBELET_CLIENT) == (200, "ok")
        assert await made.ask("/healthz", ADMIN) == (200, "ok")
        assert await made.ask("/healthz", User(KUBELET_CLIENT.name)) == (200, "ok")


async def test_a_client_without_a_certificate_is_not_authenticated(tmp_path: Path) -> None:
    async with endpoint(tmp_path) as (made, _):
        assert await made.ask("/healthz", None) == (401, "Unauthorized")
        assert await made.ask("/containerLogs/default/web/main", None) == (401, "Unauthorized")


async def test_another_user_is_forbidden(tmp_path: Path) -> None:
    async with endpoint(tmp_path) as (made, _):
        code, text = await made.ask("/containerLogs/default/web/main", SCHEDULER)
        assert code == 403
        assert text == "Forbidden (user=system:kube-scheduler, verb=get, resource=nodes, subresource=proxy)"


async def test_a_certificate_of_another_authority_gets_no_answer(tmp_path: Path) -> None:
    foreign = Certificates.open(tmp_path / "foreign")
    async with endpoint(tmp_path) as (made, _), made.client(KUBELET_CLIENT, foreign) as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get("/healthz")


async def test_without_an_authority_nobody_is_authenticated(tmp_path: Path) -> None:
    certificates = Certificates.open(tmp_path / "pki")
    server = KubeletServer(("127.0.0.1", 0), tmp_path / "kubelet-pki", b"", ContainerLogs(tmp_path))
    await server.start(lambda key: None)
    context = ssl.create_default_context(cafile=str(tmp_path / "kubelet-pki" / "kubelet.crt"))
    context.load_cert_chain(*certificates.client(ADMIN))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        assert (await session.get(f"https://127.0.0.1:{server.port}/healthz")).status == 401
    await server.stop()


async def test_a_log_with_its_options(tmp_path: Path) -> None:
    async with endpoint(tmp_path) as (made, node):
        job = pod("job", shell("echo 1; echo 2; echo 3"), restartPolicy="Never")
        node.sync(job)
        await until(lambda: node.phase(job) == "Succeeded")
        path = "/containerLogs/default/job/main"
        assert await made.ask(path) == (200, "1\n2\n3\n")
        assert await made.ask(path + "?tailLines=2&limitBytes=3") == (200, "2\n3")
        assert await made.ask(path + "?sinceSeconds=3600") == (200, "1\n2\n3\n")
        assert await made.ask(path + "?sinceTime=2200-01-01T00:00:00Z") == (200, "")
        _, stamped = await made.ask(path + "?timestamps=true")
        assert [line.split("Z ")[1] for line in stamped.splitlines()] == ["1", "2", "3"]


async def test_the_log_before_the_last_restart(tmp_path: Path) -> None:
    count = tmp_path / "count"
    async with endpoint(tmp_path, Clock()) as (made, node):
        web = pod("web", shell(f"echo x >> {count}; wc -l < {count}; exit 1"))
        node.sync(web)
        await until(lambda: "waiting" in node.container(web)["state"])
        assert await made.ask("/containerLogs/default/web/main") == (200, "2\n")
        assert await made.ask("/containerLogs/default/web/main?previous=true") == (200, "1\n")


async def test_follow_hands_out_lines_as_they_come_and_ends_with_the_container(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with endpoint(tmp_path) as (made, node), made.client() as session:
        job = pod("job", shell(f"echo 1; while ! test -e {gate}; do sleep 0.02; done; echo 2"), restartPolicy="Never")
        node.sync(job)
        await until(lambda: node.log(job))
        async with session.get("/containerLogs/default/job/main?follow=true") as answer, asyncio.timeout(10):
            assert await answer.content.readany() == b"1\n"
            gate.touch()
            assert await answer.content.read() == b"2\n"


async def test_who_follows_a_container_that_ended_reads_its_last_lines_when_the_kubelet_stops(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with endpoint(tmp_path) as (made, node), made.client() as session:
        job = pod("job", shell(f"echo 1; while ! test -e {gate}; do sleep 0.02; done; echo 2"), restartPolicy="Never")
        node.sync(job)
        await until(lambda: node.log(job))
        async with session.get("/containerLogs/default/job/main?follow=true") as answer, asyncio.timeout(10):
            assert await answer.content.readany() == b"1\n"
            gate.touch()
            await until(lambda: node.phase(job) == "Succeeded")
            await made.server.stop()
            assert await answer.content.read() == b"2\n"


async def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    async with endpoint(tmp_path) as (made, node):
        node.sync(pod("web", shell("sleep 60"), shell("echo", name="init")))
        assert await made.ask("/containerLogs/default/none/main") == (404, 'pod "none" does not exist')
        answer = await made.ask("/containerLogs/default/web/other")
        assert answer == (404, 'container "other" not found in pod "web"')
        assert (await made.ask("/containerLogs/default/web"))[0] == 404
        assert (await made.ask("/pods"))[0] == 404
        assert (await made.ask("/containerLogs/default/web/main", method="POST"))[0] == 405


async def test_what_cannot_be_answered_is_refused_in_kubernetes_words(tmp_path: Path) -> None:
    async with endpoint(tmp_path) as (made, node):
        web = pod("web", shell("sleep 60"), {"name": "side", "image": "none"})
        node.sync(web)
        await until(lambda: "running" in node.container(web)["state"])
        code, text = await made.ask("/containerLogs/default/web/side")
        assert (code, text) == (400, 'container "side" in pod "web" is waiting to start: ImageNotMapped')
        code, text = await made.ask("/containerLogs/default/web/main?previous=true")
        assert (code, text) == (400, 'previous terminated container "main" in pod "web" not found')
        assert (await made.ask("/containerLogs/default/web/main?tailLines=many"))[0] == 400
        assert (await made.ask("/containerLogs/default/web/main?sinceTime=noon"))[0] == 400
        assert (await made.ask("/containerLogs/default/web/main?tailLines=-1"))[0] == 422


async def test_its_certificate_is_kept_and_its_key_is_private(tmp_path: Path) -> None:
    async with endpoint(tmp_path) as (made, _):
        certificate, key = made.directory / "kubelet.crt", made.directory / "kubelet.key"
        first = certificate.read_bytes()
        again = KubeletServer(("127.0.0.1", 0), made.directory, b"", ContainerLogs(tmp_path))
        await again.stop()
        assert certificate.read_bytes() == first
        assert key.stat().st_mode & 0o077 == 0


async def test_an_address_in_use_is_refused(tmp_path: Path) -> None:
    async with endpoint(tmp_path) as (made, _):
        with pytest.raises(OSError) as error:  # noqa: PT011 - by its number
            KubeletServer(("127.0.0.1", made.server.port), made.directory, b"", ContainerLogs(tmp_path))
        assert error.value.errno == errno.EADDRINUSE
