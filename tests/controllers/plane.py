"""A control plane in one process, without nodes: the store, the API, the controllers; and pods run by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from engine._object import Object
from engine.api.kinds import KindTable
from engine.api.resource import DEPLOYMENTS, PODS, REPLICASETS, Resource
from engine.api.timestamps import rfc3339
from engine.client.client import Client
from engine.client.local import LocalTransport
from engine.controllers.manager import ControllerManager
from engine.informers.informer import Informers
from engine.server.apiserver import APIServer
from engine.server.request import ADMIN
from engine.storage import open_store
from engine.storage.store import Store

DEADLINE_SECONDS = 10.0
READY = ("Initialized", "Ready", "ContainersReady", "PodScheduled")
Build = Callable[[Client, Informers], Any]


class Plane:
    """What a test does with the API: through the same client that controllers use."""

    def __init__(self, store: Store, api: APIServer, client: Client) -> None:
        self.store, self.api, self.client = store, api, client

    def cached(self, resource: Resource, name: str) -> Object | None:
        return self.store.table(resource).cache.get(f"default/{name}" if resource.namespaced else name)

    def all(self, resource: Resource, selector: str = "") -> list[Object]:
        return self.store.table(resource).cache.list(label_selector=selector or None)

    def pods(self, selector: str = "") -> list[Object]:
        return [pod for pod in self.all(PODS, selector) if pod.deletion_timestamp is None]

    def sets(self) -> list[Object]:
        return sorted(
            self.all(REPLICASETS), key=lambda rs: int(rs.annotations.get("deployment.kubernetes.io/revision", 0))
        )

    def status(self, resource: Resource, name: str) -> Mapping[str, Any]:
        found = self.cached(resource, name)
        return found.peek().get("status") or {} if found is not None else {}

    async def until(self, holds: Callable[[], Any], why: str = "") -> Any:
        """Waits until the condition holds, at most DEADLINE_SECONDS; returns what it returned."""
        loop = asyncio.get_running_loop()
        end = loop.time() + DEADLINE_SECONDS
        while not (found := holds()):
            assert loop.time() < end, why or "the condition never held"
            await asyncio.sleep(0.005)
        return found

    async def settled(self, quiet_seconds: float = 0.3) -> None:
        """Waits until nothing was written for a while."""
        loop = asyncio.get_running_loop()
        end, revision, since = loop.time() + DEADLINE_SECONDS, self.store.revision, loop.time()
        while loop.time() - since < quiet_seconds:
            assert loop.time() < end, "the control plane does not come to rest"
            await asyncio.sleep(0.02)
            if self.store.revision != revision:
                revision, since = self.store.revision, loop.time()

    async def create(self, resource: Resource, document: Mapping[str, Any]) -> Object:
        return await self.client.create(resource, "default" if resource.namespaced else None, document)

    async def patch(self, resource: Resource, name: str, patch: Mapping[str, Any], **options: Any) -> Object:
        return await self.client.patch(resource, "default" if resource.namespaced else None, name, patch, **options)

    async def run_pods(
        self, pods: list[Object], *, ready: bool = True, since: float | None = None, node: str = "n1"
    ) -> None:
        """What a scheduler and a kubelet do: binds the pods and reports them running."""
        unbound = [pod for pod in pods if not pod.get_path("spec.nodeName")]
        operations = [self.client.binding("default", pod.name, node) for pod in unbound]
        when = rfc3339(since) if since is not None else "2026-01-01T00:00:00Z"
        status = {
            "phase": "Running",
            "conditions": [
                {
                    "type": type,
                    "status": "True" if ready or type == "PodScheduled" else "False",
                    "lastTransitionTime": when,
                }
                for type in READY
            ],
        }
        operations += [
            self.client.patching(PODS, "default", pod.name, {"status": status}, subresource="status") for pod in pods
        ]
        for answer in await self.client.batch(operations):
            assert isinstance(answer, Object) or answer.code == 404, answer
        await asyncio.sleep(0)  # a store in memory answers at once: let the controllers have their turn

    async def kubelet(self) -> None:
        """Makes every pod ready and ends every one that is being deleted, forever."""
        while True:
            pods = self.all(PODS)
            idle = [pod for pod in pods if pod.get_path("status.phase") != "Running" and pod.deletion_timestamp is None]
            if idle:
                await self.run_pods(idle)
            ending = [pod for pod in pods if pod.deletion_timestamp is not None]
            if ending:
                await self.client.batch(
                    [self.client.deleting(PODS, pod.namespace, pod.name, gracePeriodSeconds=0) for pod in ending]
                )
            await asyncio.sleep(0.005)


@asynccontextmanager
async def plane() -> AsyncIterator[Plane]:
    """A store and an API without controllers."""
    kinds = KindTable.builtin()
    store = open_store("memory", {kind.resource: kind.indexes for kind in kinds})
    await store.start()
    api = APIServer(store, kinds)
    await api.start()
    yield Plane(store, api, Client(LocalTransport(api, ADMIN)))
    await store.close()


@asynccontextmanager
async def controllers(on: Plane, build: Build = ControllerManager, client: Client | None = None) -> AsyncIterator[Any]:
    """Controllers at work on a plane until the block ends."""
    client = client or on.client
    informers = Informers(client)
    program = build(client, informers)
    await informers.start()
    running = asyncio.create_task(program.run())
    try:
        yield program
    finally:
        if running.done():
            running.result()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await informers.stop()


@asynccontextmanager
async def task(coroutine: Any) -> AsyncIterator[None]:
    running = asyncio.create_task(coroutine)
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def template(image: str = "nginx", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}], **spec}}


def deployment(name: str = "web", replicas: int = 3, image: str = "nginx", **spec: Any) -> dict[str, Any]:
    selector = {"matchLabels": {"app": "web"}}
    body = {"replicas": replicas, "selector": selector, "template": template(image), **spec}
    return {"apiVersion": DEPLOYMENTS.api_version, "kind": "Deployment", "metadata": {"name": name}, "spec": body}


def replicaset(name: str = "web", replicas: int = 3, **spec: Any) -> dict[str, Any]:
    selector = {"matchLabels": {"app": "web"}}
    body = {"replicas": replicas, "selector": selector, "template": template(), **spec}
    return {"apiVersion": REPLICASETS.api_version, "kind": "ReplicaSet", "metadata": {"name": name}, "spec": body}


def pod(name: str, labels: Mapping[str, str], **metadata: Any) -> dict[str, Any]:
    meta = {"name": name, "labels": dict(labels), **metadata}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template()["spec"]}


def node(name: str) -> dict[str, Any]:
    conditions = [
        {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    ]
    document = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
    return {**document, "status": {"conditions": conditions, "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"}}}


def condition(status: Mapping[str, Any], type: str) -> Mapping[str, Any]:
    return next((each for each in status.get("conditions") or () if each["type"] == type), {})
