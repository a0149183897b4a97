"""A transport that plays a script: what the server answers, request by request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import Any

from engine._object import Object
from engine.api.errors import StatusError
from engine.api.resource import PODS, Resource
from engine.client.transport import Page, Shared, WatchEvent

GONE = StatusError(410, "Expired", "too old resource version: 1 (5)")
NO_STREAMING = StatusError(422, "Invalid", "sendInitialEvents: Forbidden: not enabled")


def pod(name: str, version: int, *, namespace: str = "default", uid: str = "", **spec: Any) -> Object:
    metadata = {"name": name, "namespace": namespace, "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    return Object({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def added(obj: Object) -> WatchEvent:
    return WatchEvent("ADDED", obj)


def modified(obj: Object) -> WatchEvent:
    return WatchEvent("MODIFIED", obj)


def deleted(obj: Object) -> WatchEvent:
    return WatchEvent("DELETED", obj)


def bookmark(version: int, *, end: bool = False) -> WatchEvent:
    obj = Object({"apiVersion": "v1", "kind": "Pod", "metadata": {"resourceVersion": str(version)}})
    return WatchEvent("BOOKMARK", obj, end)


FOREVER = object()
Step = Iterable[Any] | Exception | Page


class ScriptedTransport:
    """Each request takes the next step: an exception is raised, a Page answers a list, a sequence is a watch of batches
    (an exception in it breaks the watch, FOREVER keeps it open). After the last step every request waits for ever."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.times: list[float] = []
        self.live: asyncio.Queue[list[WatchEvent] | Exception] = asyncio.Queue()  # what a FOREVER watch tells

    async def _next(self, verb: str, query: Mapping[str, str]) -> Any:
        self.requests.append((verb, dict(query)))
        self.times.append(asyncio.get_running_loop().time())
        if not self.steps:
            await asyncio.get_running_loop().create_future()
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    async def list(self, resource: Resource, namespace: str | None, *, query: Mapping[str, str] = {}) -> Page:
        page = await self._next("list", query)
        assert isinstance(page, Page)
        return page

    async def watch(
        self, resource: Resource, namespace: str | None, *, query: Mapping[str, str] = {}
    ) -> AsyncGenerator[list[WatchEvent], None]:
        for batch in await self._next("watch", query):
            if isinstance(batch, Exception):
                raise batch
            if batch is not FOREVER:
                yield batch
                continue
            while True:
                more = await self.live.get()
                if isinstance(more, Exception):
                    raise more
                yield more

    def shared(self, resource: Resource) -> Shared | None:
        return None


async def until(condition: Callable[[], bool]) -> None:
    """Waits for a condition that the running tasks bring about; a test's own deadline ends it."""
    while not condition():  # noqa: ASYNC110 (in virtual time this costs nothing)
        await asyncio.sleep(0.01)


RESOURCE = PODS
