"""A scheduler at work on a real API server, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest_asyncio

from engine._object import Object
from engine.api.errors import StatusError
from engine.api.kinds import KindTable
from engine.api.resource import EVENTS, NODES, PODS
from engine.client.client import Client
from engine.client.local import LocalTransport
from engine.client.transport import Operation
from engine.informers.informer import Informers
from engine.runtime.component import run_all
from engine.runtime.events import EventRecorder
from engine.scheduler.scheduler import Scheduler
from engine.server.apiserver import APIServer
from engine.server.request import ADMIN
from engine.storage import open_store

DEADLINE_SECONDS = 10.0


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Unreliable(Client):
    """The real client, whose batches can be held up, and lost before they reach the server."""

    def __init__(self, transport: LocalTransport) -> None:
        super().__init__(transport)
        self.lose = 0
        self.passing = asyncio.Event()
        self.passing.set()
        self.batches: list[Sequence[Operation]] = []

    async def batch(self, operations: Sequence[Operation]) -> list[Object | StatusError]:
        self.batches.append(operations)
        await self.passing.wait()
        if self.lose:
            self.lose -= 1
            raise OSError("connection reset")
        return await super().batch(operations)


class Cluster:
    """What the tests see: a client of their own, and the scheduler's."""

    def __init__(self, server: APIServer) -> None:
        self.client = Client(LocalTransport(server, ADMIN))
        self.scheduling = Unreliable(LocalTransport(server, ADMIN))
        self.clock = Clock()
        self.cache = server.store.table(PODS).cache
        self._events = server.store.table(EVENTS).cache
        self.informers = Informers(self.scheduling)
        self.recorder = EventRecorder(self.scheduling, "default-scheduler")
        self.scheduler = Scheduler(self.scheduling, self.informers, recorder=self.recorder, clock=self.clock)

    async def node(self, name: str, *, cpu: str = "4", pods: str = "110", **spec: Any) -> None:
        """A node that is ready. The server's not-ready taint comes off before anybody sees it: writes to a memory
        store don't give way to other tasks."""
        status = {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": pods}}
        body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": spec, "status": status}
        await self.client.create(NODES, None, body)
        await self.client.patch(NODES, None, name, {"spec": {"taints": None}})

    async def pod(self, name: str, *, cpu: str = "100m", **spec: Any) -> Object:
        return await self.client.create(PODS, "default", pod(name, cpu=cpu, **spec))

    def node_of(self, name: str) -> str:
        found = self.cache.get(f"default/{name}")
        return found.get_path("spec.nodeName", "") if found is not None else ""

    def told(self, name: str) -> str:
        """The message of the PodScheduled=False condition."""
        found = self.cache.get(f"default/{name}")
        conditions = found.get_path("status.conditions", ()) if found is not None else ()
        return next((c["message"] for c in conditions if c["type"] == "PodScheduled" and c["status"] == "False"), "")

    def events(self, name: str) -> list[tuple[str, str]]:
        about = [event for event in self._events.list() if event.get_path("involvedObject.name") == name]
        return [(event["reason"], event["message"]) for event in about]


def pod(name: str, *, cpu: str = "100m", **spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu, "memory": "10Mi"}}}
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}
    body["spec"] = {"containers": [container], **spec}
    return body


async def eventually(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[Cluster]:
    kinds = KindTable.builtin()
    store = open_store("memory", {kind.resource: kind.indexes for kind in kinds})
    await store.start()
    server = APIServer(store, kinds)
    await server.start()
    made = Cluster(server)
    task = asyncio.create_task(run_all(made.informers, [made.recorder.run, made.scheduler.run]))
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await store.close()
