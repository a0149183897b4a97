"""A kubelet on an API server in this process, whose writes are counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from engine._object import Object
from engine.api.errors import StatusError
from engine.api.kinds import KindTable
from engine.api.resource import PODS, Resource
from engine.client.client import Client
from engine.client.local import LocalTransport
from engine.client.transport import Operation
from engine.informers.informer import Informers
from engine.kubelet.kubelet import Kubelet
from engine.kubelet.runtime import Runtime
from engine.kubelet.shape import NodeShape
from engine.server.apiserver import APIServer
from engine.server.request import ADMIN
from engine.storage import open_store


class Counted(LocalTransport):
    """Remembers every batch of writes; `fail` makes the next batches fail as an unreachable server does."""

    def __init__(self, api: APIServer) -> None:
        super().__init__(api, ADMIN)
        self.batches: list[Sequence[Operation]] = []
        self.fail = 0

    async def batch(self, operations: Sequence[Operation]) -> list[Object | StatusError]:
        if self.fail:
            self.fail -= 1
            raise OSError("connection refused")
        self.batches.append(operations)
        return await super().batch(operations)

    def writes(self, resource: Resource, verb: str = "patch") -> list[Operation]:
        return [op for batch in self.batches for op in batch if op.resource == resource and op.verb == verb]


class Cluster:
    """An API server; `kubelet` runs nodes on it."""

    def __init__(self, api: APIServer) -> None:
        self.transport = Counted(api)
        self.client = Client(self.transport)
        self.others = Client(LocalTransport(api, ADMIN))  # not counted

    async def create_pods(self, *names: str, node: str | Sequence[str] = "node-1", **spec: Any) -> list[Object]:
        container = {"name": "main", "image": "none", "command": ["sleep", "60"], **spec.pop("container", {})}
        nodes = [node] if isinstance(node, str) else node
        bodies = [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"nodeName": nodes[index % len(nodes)], "containers": [container], **spec},
            }
            for index, name in enumerate(names)
        ]
        answers = await self.others.batch([self.others.creating(PODS, "default", body) for body in bodies])
        for answer in answers:
            if isinstance(answer, StatusError):
                raise answer
        return [answer for answer in answers if isinstance(answer, Object)]

    def pods(self) -> list[Object]:
        shared = self.transport.shared(PODS)
        assert shared
        return shared.cache.list()

    def phases(self) -> dict[str, str]:
        return {pod.name: pod.get_path("status.phase") for pod in self.pods()}

    def status(self, name: str) -> Mapping[str, Any]:
        return next(pod.to_dict()["status"] for pod in self.pods() if pod.name == name)

    @asynccontextmanager
    async def kubelet(
        self, runtime: Runtime, nodes: Sequence[str] = ("node-1",), shape: NodeShape | None = None
    ) -> AsyncIterator[Kubelet]:
        informers = Informers(self.client)
        kubelet = Kubelet(self.client, informers, nodes, runtime, shape=shape)
        await informers.start()
        task = asyncio.create_task(kubelet.run())
        try:
            await kubelet.registered.wait()
            yield kubelet
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await kubelet.stop()
            await informers.stop()


@asynccontextmanager
async def cluster(directory: Path) -> AsyncIterator[Cluster]:
    kinds = KindTable.builtin()
    store = open_store("memory", {kind.resource: kind.indexes for kind in kinds}, data_dir=directory)
    await store.start()
    api = APIServer(store, kinds)
    await api.start()
    try:
        yield Cluster(api)
    finally:
        await store.close()
