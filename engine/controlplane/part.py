"""The programs around an API server, each with its own client and informers: in one process, or each in another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine.client.client import Client
from engine.controllers.manager import ControllerManager
from engine.controlplane.server import cannot_listen
from engine.informers.informer import Informers
from engine.kubelet.kubelet import Kubelet
from engine.kubelet.logs import ContainerLogs, NoLogs
from engine.runtime.component import run_all
from engine.runtime.events import EventRecorder
from engine.scheduler.scheduler import Scheduler
from engine.server.podlogs import LogSource

if TYPE_CHECKING:
    from engine.kubelet.runtime import Runtime
    from engine.kubelet.server import KubeletServer

Program = Callable[[], Awaitable[None]]


class Part:
    """One part of a control plane: its informers, and the programs that read them.

    Add programs before `start`; `ready` are events that say when those are at work.
    """

    def __init__(self, name: str, client: Client) -> None:
        self.name = name
        self.client = client
        self.informers = Informers(client)
        self.programs: list[Program] = []
        self.ready: list[asyncio.Event] = []
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when the informers have synced and the programs are at work. Raises what one failed with."""
        synced = asyncio.Event()

        async def stay() -> None:
            synced.set()
            await asyncio.Event().wait()

        self._task = asyncio.create_task(run_all(self.informers, [stay, *self.programs]), name=self.name)
        for event in (synced, *self.ready):
            waiting = asyncio.create_task(event.wait())
            await asyncio.wait({waiting, self._task}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                waiting.cancel()
                await self.failed()

    async def failed(self) -> None:
        """Returns only by raising what the part failed with."""
        assert self._task is not None
        await asyncio.wait({self._task})
        self._task.result()
        raise RuntimeError(f"{self.name} ended by itself")

    async def stop(self) -> None:
        """Every program finishes what it has in hand."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


def controllers(client: Client) -> Part:
    part = Part("controllers", client)
    part.programs = [ControllerManager(client, part.informers).run]
    return part


def scheduler(client: Client) -> Part:
    part = Part("scheduler", client)
    recorder = EventRecorder(client, "default-scheduler")
    part.programs = [recorder.run, Scheduler(client, part.informers, recorder=recorder).run]
    return part


def kubelet(
    client: Client,
    names: Sequence[str],
    runtime: Literal["process", "simulated"],
    data_dir: Path,
    *,
    images: Mapping[str, Sequence[str]] | None = None,
    listen: tuple[str, int] | None = None,
    client_ca: bytes = b"",
) -> tuple[Part, LogSource]:
    """One kubelet for all these nodes, ready when they are registered; and who reads its containers' logs.

    With `listen` it has an endpoint there, which is the address of all its nodes, for API servers whose certificate
    `client_ca` (PEM) signed. Raises OSError when the address cannot be had.
    """
    part = Part("kubelet", client)
    recorder = EventRecorder(client, "kubelet")
    made: Runtime
    logs: LogSource
    if runtime == "process":
        from engine.kubelet.process import ProcessRuntime

        made, logs = ProcessRuntime(client, data_dir, images=images, events=recorder), ContainerLogs(data_dir)
    else:
        from engine.kubelet.simulated import SimulatedRuntime

        made, logs = SimulatedRuntime(), NoLogs()
    shape = made.shape()
    endpoint = _endpoint(listen, data_dir, client_ca, logs) if listen else None
    if endpoint is not None:
        shape = replace(shape, address=endpoint.host, port=endpoint.port)
    agent = Kubelet(client, part.informers, names, made, shape=shape, events=recorder)

    async def run() -> None:
        try:
            if endpoint is not None:
                await endpoint.start(agent.pod)
            await agent.run()
        finally:
            await agent.stop()
            if endpoint is not None:
                await endpoint.stop()

    part.programs = [run]
    part.ready = [agent.registered]
    return part, logs


def _endpoint(listen: tuple[str, int], data_dir: Path, client_ca: bytes, logs: LogSource) -> KubeletServer:
    from engine.kubelet.server import KubeletServer

    try:
        return KubeletServer(listen, data_dir / "kubelet-pki", client_ca, logs)
    except OSError as error:
        raise cannot_listen(*listen, error) from error


def node_names(count: int) -> Sequence[str]:
    """`node-1` … : what `--nodes N` calls them."""
    return [f"node-{number}" for number in range(1, count + 1)]
