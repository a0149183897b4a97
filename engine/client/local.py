"""The verbs in the server's own process: no sockets, no JSON between the two."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from engine._cache import Cache
from engine._object import Object
from engine._watchlog import WatchLog
from engine.api.resource import Resource
from engine.client.transport import Answers, ByteStream, Operation, Page, Shared, WatchEvent, WatchStream

Identity_contra = TypeVar(
    "Identity_contra", contravariant=True
)  # how the server names users: this floor only hands it on


class _Page(Protocol):
    @property
    def items(self) -> Sequence[Object]: ...
    @property
    def resource_version(self) -> int: ...
    @property
    def continue_token(self) -> str: ...
    @property
    def remaining(self) -> int | None: ...


class _Event(Protocol):
    @property
    def type(self) -> str: ...
    @property
    def object(self) -> Object: ...


class _Table(Protocol):
    @property
    def cache(self) -> Cache: ...
    @property
    def log(self) -> WatchLog: ...


class LocalServer(Protocol[Identity_contra]):
    """What the transport asks of a server: its verbs on objects, each with the user who asks. Refusals are StatusError.
    Documents that are handed over are only read."""

    async def get(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        user: Identity_contra,
        subresource: str = "",
        query: Mapping[str, str] | None = None,
    ) -> Object: ...

    async def list(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        user: Identity_contra,
        query: Mapping[str, str] | None = None,
    ) -> _Page: ...

    async def watch(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        user: Identity_contra,
        query: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Sequence[_Event]]: ...

    async def open_log(
        self, namespace: str, name: str, *, user: Identity_contra, query: Mapping[str, str] | None = None
    ) -> AsyncIterator[bytes] | None: ...

    async def batch(self, operations: Sequence[Operation], *, user: Identity_contra) -> Answers: ...

    def table(self, resource: Resource) -> _Table: ...


class LocalTransport(Generic[Identity_contra]):
    """A server in this process, as `user`. Writes take the server's whole way; only HTTP and its encoding fall away.

    The bodies of `execute` and `batch` are read where they lie, perhaps after the call was suspended: they belong to
    the transport, and nobody changes them afterwards.
    """

    def __init__(self, server: LocalServer[Identity_contra], user: Identity_contra) -> None:
        self._server = server
        self._user = user

    async def get(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        subresource: str = "",
        query: Mapping[str, str] = {},
    ) -> Object:
        return await self._server.get(resource, namespace, name, user=self._user, subresource=subresource, query=query)

    async def list(self, resource: Resource, namespace: str | None, *, query: Mapping[str, str] = {}) -> Page:
        page = await self._server.list(resource, namespace, user=self._user, query=query)
        return Page([*page.items], page.resource_version, page.continue_token, page.remaining)

    async def watch(self, resource: Resource, namespace: str | None, *, query: Mapping[str, str] = {}) -> WatchStream:
        stream = await self._server.watch(resource, namespace, user=self._user, query=query)
        try:
            async for events in stream:
                yield [_event(event) for event in events]
        finally:
            await _close(stream)

    async def execute(self, operation: Operation) -> Object:
        (answer,) = await self._server.batch((operation,), user=self._user)
        if isinstance(answer, Object):
            return answer
        raise answer

    async def batch(self, operations: Sequence[Operation]) -> Answers:
        """All of them are one group: one wait for durability."""
        return await self._server.batch(operations, user=self._user)

    async def stream_log(self, namespace: str, name: str, *, query: Mapping[str, str] = {}) -> ByteStream:
        chunks = await self._server.open_log(namespace, name, user=self._user, query=query)
        if chunks is None:
            return
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            await _close(chunks)

    def shared(self, resource: Resource) -> Shared | None:
        """The store's own cache and log. None for a resource that is not served: a watch will say so."""
        try:
            table = self._server.table(resource)
        except KeyError:
            return None
        return Shared(table.cache, table.log)

    async def close(self) -> None:
        """Nothing is held: the server is its owner's to stop."""


def _event(event: _Event) -> WatchEvent:
    if event.type == "BOOKMARK":
        return WatchEvent("BOOKMARK", event.object, getattr(event, "initial_end", False))
    return WatchEvent(event.type, event.object)  # type: ignore[arg-type]


async def _close(stream: AsyncIterator[object]) -> None:
    """Lets the server know at once that nobody reads on."""
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()
