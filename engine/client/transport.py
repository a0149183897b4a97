"""What a client needs of the other side: HTTPS and the same process implement it alike."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from engine._cache import Cache
from engine._object import Object
from engine._watchlog import WatchLog
from engine.api.errors import StatusError
from engine.api.resource import Resource

PatchType = Literal["merge", "strategic", "json", "apply"]
Body = Mapping[str, Any] | Object


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list."""

    items: list[Object]
    resource_version: int
    continue_token: str = ""  # "" on the last page
    remaining: int | None = None


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """What a watch tells. A BOOKMARK's object holds only its resource version; `initial_end` marks the bookmark that
    ends the initial events. An ERROR arrives as an exception instead."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Object
    initial_end: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One write of a batch. Verbs: create, update, patch, delete; `body` as that verb takes it."""

    verb: Literal["create", "update", "patch", "delete"]
    resource: Resource
    namespace: str | None
    name: str = ""  # "" for create
    body: Body | Sequence[Any] | None = None
    subresource: str = ""
    patch_type: PatchType = "merge"
    options: Mapping[str, str] = field(default_factory=dict)  # query parameters: fieldManager, dryRun, …


@dataclass(frozen=True, slots=True)
class Shared:
    """A server's own cache and log, lent read-only to readers in the same process."""

    cache: Cache
    log: WatchLog


Answers = list[Object | StatusError]
ByteStream = AsyncGenerator[bytes, None]
WatchStream = AsyncGenerator[list[WatchEvent], None]


class Transport(Protocol):
    """The verbs of the API. Every refusal raises StatusError; a server that cannot be reached raises OSError."""

    async def get(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        subresource: str = "",
        query: Mapping[str, str] = {},
    ) -> Object: ...

    async def list(self, resource: Resource, namespace: str | None, *, query: Mapping[str, str] = {}) -> Page: ...

    def watch(self, resource: Resource, namespace: str | None, *, query: Mapping[str, str] = {}) -> WatchStream:
        """Batches of events, until the server ends the watch. Raises StatusError, 410 included."""

    async def execute(self, operation: Operation) -> Object: ...

    async def batch(self, operations: Sequence[Operation]) -> Answers:
        """Each operation by itself; the answers in order. One storage group in process, concurrent requests over HTTP.
        A server that cannot be reached raises OSError: then any of them may or may not have been done.

        `execute` and `batch` take the operations' bodies: nobody may change them afterwards."""

    def stream_log(self, namespace: str, name: str, *, query: Mapping[str, str] = {}) -> ByteStream: ...

    def shared(self, resource: Resource) -> Shared | None:
        """The server's own structures when it lives in this process and lends them, else None."""

    async def close(self) -> None: ...
