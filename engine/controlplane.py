"""The parts of a control plane wired together: all in one process, or each in its own over HTTPS."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine.api.kinds import KindTable
from engine.client.client import Client
from engine.client.local import LocalTransport
from engine.controllers.manager import ControllerManager
from engine.informers.informer import Informers
from engine.kubelet.kubelet import Kubelet
from engine.kubelet.logs import ContainerLogs, NoLogs
from engine.runtime.component import run_all
from engine.runtime.events import EventRecorder
from engine.scheduler.scheduler import Scheduler
from engine.server.apiserver import APIServer
from engine.server.podlogs import LogSource
from engine.server.request import ADMIN, User
from engine.storage import open_store

if TYPE_CHECKING:
    from engine.kubelet.runtime import Runtime
    from engine.kubelet.server import KubeletServer
    from engine.server.certificates import Certificates
    from engine.server.http import HTTPServer
    from engine.server.nodelogs import NodeLogs

LOG = logging.getLogger(__name__)

CONTROLLERS = User("system:kube-controller-manager", ("system:authenticated",))
SCHEDULER = User("system:kube-scheduler", ("system:authenticated",))
KUBELET = User("system:node:engine", ("system:nodes", "system:authenticated"))

Program = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a control plane is made. The fields are the options of `engine up`."""

    data_dir: Path
    storage: Literal["sqlite", "memory", "etcd"] = "sqlite"
    etcd_endpoints: Sequence[str] = ()
    listen: tuple[str, int] = ("127.0.0.1", 6443)
    nodes: int = 1
    runtime: Literal["process", "simulated"] = "process"
    kubeconfig: Path | None = None  # None: DATA_DIR/kubeconfig


class Server:
    """The API server on its store, behind HTTPS."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        kinds = KindTable.builtin()
        resources = {kind.resource: kind.indexes for kind in kinds}
        self.store = open_store(
            settings.storage, resources, data_dir=settings.data_dir, endpoints=settings.etcd_endpoints
        )
        self.api = APIServer(self.store, kinds)
        self.certificates: Certificates | None = None
        self.url = ""  # known when it listens
        self.logs: NodeLogs | None = None  # from the start on
        self._front: HTTPServer | None = None
        self._opened = False

    @property
    def kubeconfig(self) -> Path:
        return self.settings.kubeconfig or self.settings.data_dir / "kubeconfig"

    async def start(self) -> None:
        """Opens the store, then listens. Raises StorageError, and OSError when the address cannot be had."""
        from engine.server.certificates import Certificates
        from engine.server.http import HTTPServer
        from engine.server.nodelogs import KUBELET_CLIENT, NodeLogs

        host, port = self.settings.listen
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        await self.store.start()
        self._opened = True
        await self.api.start()
        names = ("localhost", "127.0.0.1", *([host] if host not in ("localhost", "127.0.0.1", "0.0.0.0", "::") else ()))
        self.certificates = Certificates.open(self.settings.data_dir / "pki", names=names)
        self.api.authenticator.add(self.certificates.token, ADMIN)
        self.logs = self.api.log_source = NodeLogs(self.store, *self.certificates.client(KUBELET_CLIENT))
        front = HTTPServer(self.api, self.certificates.server_context())
        try:
            host, port = await front.start(host, port)
        except OSError as error:
            raise _cannot_listen(host, port, error) from error
        self._front = front
        self.api.reached_at(f"{host}:{port}")
        self.url = f"https://{f'[{host}]' if ':' in host else host}:{port}"
        self.certificates.write_kubeconfig(self.kubeconfig, self.url)

    def write_component_kubeconfigs(self) -> None:
        """DATA_DIR/controllers.kubeconfig and so on: one identity for each part that runs alone."""
        assert self.certificates is not None
        for name, user in (("controllers", CONTROLLERS), ("scheduler", SCHEDULER), ("kubelet", KUBELET)):
            self.certificates.write_kubeconfig(self.settings.data_dir / f"{name}.kubeconfig", self.url, user=user)

    async def stop(self) -> None:
        """Ends watches and connections, then makes the last writes durable."""
        if self._front is not None:
            await self._front.stop()
        if self.logs is not None:
            await self.logs.close()
        if self._opened:
            await self.store.close()

    def client(self, user: User, manager: str) -> Client:
        """The API in this process, as `user`."""
        return Client(LocalTransport(self.api, user), manager=manager)


class ControlPlane:
    """API server, controllers, scheduler and nodes in this process, sharing the server's caches and logs."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.server = Server(settings)
        self._programs: list[asyncio.Task[None]] = []

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def kubeconfig(self) -> Path:
        return self.server.kubeconfig

    async def start(self) -> None:
        """Returns when requests succeed and every part is at work."""
        await self.server.start()
        started: list[asyncio.Event] = []
        for user, manager, build in self._parts():
            client = self.server.client(user, manager)
            informers = Informers(client)
            programs = build(client, informers)
            begun = asyncio.Event()
            started.append(begun)
            task = asyncio.create_task(run_all(informers, [when_running(begun), *programs]), name=manager)
            self._programs.append(task)
        waiting = asyncio.create_task(_all(started))
        await asyncio.wait({waiting, *self._programs}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            await self.failed()

    def _parts(self) -> Sequence[tuple[User, str, Callable[[Client, Informers], Sequence[Program]]]]:
        parts = [
            (CONTROLLERS, "kube-controller-manager", controllers),
            (SCHEDULER, "kube-scheduler", scheduler),
        ]
        if self.settings.nodes:
            parts.append((KUBELET, "kubelet", self._kubelet))
        return parts

    def _kubelet(self, client: Client, informers: Informers) -> Sequence[Program]:
        names = node_names(self.settings.nodes)
        logs, programs = kubelet(client, informers, names, self.settings.runtime, self.settings.data_dir)
        assert self.server.logs is not None
        self.server.logs.direct(names, logs)
        return programs

    async def failed(self) -> None:
        """Returns only by raising what a part failed with."""
        done, _ = await asyncio.wait(self._programs, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
            raise RuntimeError(f"{task.get_name()} ended by itself")

    async def stop(self) -> None:
        """Containers end, controllers finish the batch in hand, then the server closes. Nothing accepted is lost."""
        for task in reversed(self._programs):
            task.cancel()
        await asyncio.gather(*self._programs, return_exceptions=True)
        await self.server.stop()


def calm_collector() -> None:
    """For a process that is a control plane: Python's cycle collector looks less often.

    Objects held decoded are graphs of dicts that refcounts free; each full collection walks all of them for nothing.
    With 5,000 pods the default thresholds cost a third of the time. What is loaded by now is left out for good.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)


async def _all(events: Sequence[asyncio.Event]) -> None:
    for event in events:
        await event.wait()


def controllers(client: Client, informers: Informers) -> Sequence[Program]:
    """The controllers of one client."""
    return [ControllerManager(client, informers).run]


def scheduler(client: Client, informers: Informers) -> Sequence[Program]:
    recorder = EventRecorder(client, "default-scheduler")
    return [recorder.run, Scheduler(client, informers, recorder=recorder).run]


def kubelet(
    client: Client,
    informers: Informers,
    names: Sequence[str],
    runtime: Literal["process", "simulated"],
    data_dir: Path,
    *,
    listen: tuple[str, int] | None = None,
    client_ca: bytes = b"",
) -> tuple[LogSource, Sequence[Program]]:
    """One kubelet for all these nodes: who reads its containers' logs, and what has to run.

    With `listen` it has an endpoint there, which is the address of all its nodes, for API servers whose certificate
    `client_ca` (PEM) signed. Raises OSError when the address cannot be had.
    """
    recorder = EventRecorder(client, "kubelet")
    made: Runtime
    logs: LogSource
    if runtime == "process":
        from engine.kubelet.process import ProcessRuntime

        made, logs = ProcessRuntime(client, data_dir, events=recorder), ContainerLogs(data_dir)
    else:
        from engine.kubelet.simulated import SimulatedRuntime

        made, logs = SimulatedRuntime(), NoLogs()
    shape = made.shape()
    endpoint = _endpoint(listen, data_dir, client_ca, logs) if listen else None
    if endpoint is not None:
        shape = replace(shape, address=endpoint.host, port=endpoint.port)
    agent = Kubelet(client, informers, names, made, shape=shape, events=recorder)

    async def run() -> None:
        try:
            if endpoint is not None:
                await endpoint.start(agent.pod)
            await agent.run()
        finally:
            await agent.stop()
            if endpoint is not None:
                await endpoint.stop()

    return logs, [run]


def _endpoint(listen: tuple[str, int], data_dir: Path, client_ca: bytes, logs: LogSource) -> KubeletServer:
    from engine.kubelet.server import KubeletServer

    try:
        return KubeletServer(listen, data_dir / "kubelet-pki", client_ca, logs)
    except OSError as error:
        raise _cannot_listen(*listen, error) from error


def _cannot_listen(host: str, port: int, error: OSError) -> OSError:
    why = "address already in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
    return OSError(f"cannot listen on {host}:{port}: {why}")


def node_names(count: int) -> Sequence[str]:
    """`node-1` … : what `--nodes N` calls them."""
    return [f"node-{number}" for number in range(1, count + 1)]


def when_running(event: asyncio.Event) -> Program:
    """A program that says when the informers before it have synced, and then stays."""

    async def run() -> None:
        event.set()
        await asyncio.Event().wait()

    return run
