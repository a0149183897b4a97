"""The verbs of the API for programs: one thin face over a transport."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine._object import Object
from engine.api.resource import PODS, Resource
from engine.client.transport import Answers, Body, Operation, Page, PatchType, Transport


class Client:
    """Reads and writes objects; `manager` is the field manager that writes are recorded under."""

    def __init__(self, transport: Transport, *, manager: str = "engine") -> None:
        self.transport = transport
        self.manager = manager

    async def get(self, resource: Resource, namespace: str | None, name: str, *, subresource: str = "") -> Object:
        """Raises StatusError 404 when there is none."""
        return await self.transport.get(resource, namespace, name, subresource=subresource)

    async def list(self, resource: Resource, namespace: str | None = None, **query: str) -> Page:
        """One page; `limit`, `continue_`, `labelSelector`, `fieldSelector` as query parameters."""
        return await self.transport.list(resource, namespace, query={k.rstrip("_"): v for k, v in query.items()})

    async def create(
        self, resource: Resource, namespace: str | None, body: Body, *, name: str = "", subresource: str = ""
    ) -> Object:
        return await self.transport.execute(
            self.creating(resource, namespace, body, name=name, subresource=subresource)
        )

    async def update(self, resource: Resource, namespace: str | None, body: Body, *, subresource: str = "") -> Object:
        """A stale resourceVersion in `body` raises StatusError 409."""
        return await self.transport.execute(self.updating(resource, namespace, body, subresource=subresource))

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        patch: Body | Sequence[Any],
        *,
        type: PatchType = "merge",
        subresource: str = "",
    ) -> Object:
        return await self.transport.execute(
            self.patching(resource, namespace, name, patch, type=type, subresource=subresource)
        )

    async def delete(self, resource: Resource, namespace: str | None, name: str, **options: Any) -> Object:
        """`options` are DeleteOptions' fields: gracePeriodSeconds, propagationPolicy, preconditions."""
        return await self.transport.execute(self.deleting(resource, namespace, name, **options))

    async def bind(self, namespace: str, pod: str, node: str) -> Object:
        return await self.transport.execute(self.binding(namespace, pod, node))

    async def batch(self, operations: Sequence[Operation]) -> Answers:
        """Many writes at once, each by itself; answers in order, refusals as values. The bodies of all writes belong to
        the client from the call on: a caller that goes on editing one passes a copy."""
        return await self.transport.batch(operations)

    # The same verbs as values, for batches.

    def creating(
        self, resource: Resource, namespace: str | None, body: Body, *, name: str = "", subresource: str = ""
    ) -> Operation:
        return Operation("create", resource, namespace, name, body, subresource, options=self._options())

    def updating(self, resource: Resource, namespace: str | None, body: Body, *, subresource: str = "") -> Operation:
        name = body.name if isinstance(body, Object) else body["metadata"]["name"]
        return Operation("update", resource, namespace, name, body, subresource, options=self._options())

    def patching(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        patch: Body | Sequence[Any],
        *,
        type: PatchType = "merge",
        subresource: str = "",
    ) -> Operation:
        return Operation("patch", resource, namespace, name, patch, subresource, type, self._options())

    def deleting(self, resource: Resource, namespace: str | None, name: str, **options: Any) -> Operation:
        return Operation("delete", resource, namespace, name, options or None)

    def binding(self, namespace: str, pod: str, node: str, *, uid: str = "") -> Operation:
        metadata = {"name": pod, "namespace": namespace, **({"uid": uid} if uid else {})}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": metadata}
        body["target"] = {"apiVersion": "v1", "kind": "Node", "name": node}
        return Operation("create", PODS, namespace, pod, body, "binding", options=self._options())

    def _options(self) -> Mapping[str, str]:
        return {"fieldManager": self.manager}
