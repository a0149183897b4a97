"""The write pipeline: each verb prepares one write without waiting for anything; a group of them is committed at once.

Preparing reads the newest version, pending writes included, decodes, defaults, validates and records field managers.
What it returns is either a write with its precondition, or an answer when there is nothing to write. A write whose
precondition failed is prepared anew on what is there then, unless the client itself named the version.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from engine import logs
from engine._object import Object
from engine.api.errors import StatusError, already_exists, conflict, not_found
from engine.api.kind import Document, Kind
from engine.server.authorization import is_component
from engine.server.negotiation import JSON
from engine.server.refusals import MODIFIED, internal_error
from engine.server.request import User
from engine.storage.store import EMPTY, Conflict, StorageError, Store, Write

LOG = logging.getLogger("engine.server")
TURN_REQUESTS = 64  # prepared in one turn of the loop: some 10 ms
MAX_ATTEMPTS = 8  # of one write whose precondition keeps failing

Verb = Literal["create", "update", "patch", "delete"]
PatchType = Literal["merge", "strategic", "json", "apply"]
# What a client in this process has in hand, or bytes from the wire.
Body = bytes | Mapping[str, Any] | Sequence[Any] | Object | None


@dataclass(slots=True)
class WriteRequest:
    """One write as it was asked for. `body` is bytes of the media type `media`, or what a client in this process has in
    hand; `query` are the parameters (dryRun, fieldManager, …)."""

    verb: Verb
    kind: Kind
    namespace: str | None
    name: str
    user: User
    body: Body = None
    subresource: str = ""
    media: str = JSON
    patch_type: PatchType = "merge"
    query: Mapping[str, str] = field(default_factory=dict)
    user_agent: str = ""

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(slots=True)
class Prepared:
    """What became of a request before it is stored: a write, or the answer when there is nothing to write."""

    code: int
    write: Write | None = None
    answer: Object | None = None
    view: Callable[[Object], Object] | None = None  # from what is stored to what is answered
    warnings: Sequence[str] = ()
    retriable: bool = True  # the client named no version, so a new attempt is what it asked for


@dataclass(slots=True)
class Result:
    """A write's answer, its HTTP code, and what the client is to be warned of."""

    code: int
    object: Object
    warnings: Sequence[str] = ()


Prepare = Callable[[WriteRequest], Prepared]


class Pipeline:
    """Runs writes against one store."""

    def __init__(self, store: Store, prepare: Prepare) -> None:
        self._store = store
        self._prepare = prepare

    async def run(self, requests: Sequence[WriteRequest]) -> list[Result | StatusError]:
        """Each request by itself, the answers in order. After every TURN_REQUESTS the loop gives others their turn; the
        store gathers what is prepared while it writes."""
        if len(requests) <= TURN_REQUESTS:
            told = await self._run(requests)
        else:
            turns: list[asyncio.Task[list[Result | StatusError]]] = []
            for start in range(0, len(requests), TURN_REQUESTS):
                turns.append(asyncio.create_task(self._run(requests[start : start + TURN_REQUESTS])))
                await asyncio.sleep(0)
            told = [result for turn in turns for result in await turn]
        _tell_story(requests, told)
        return told

    async def _run(self, requests: Sequence[WriteRequest]) -> list[Result | StatusError]:
        """All are prepared, then committed as one group. Those that have to be prepared anew form the next group."""
        results: list[Result | StatusError | None] = [None] * len(requests)
        waiting: Sequence[int] = range(len(requests))
        for attempt in range(1, MAX_ATTEMPTS + 1):
            prepared = self._prepare_all(requests, waiting, results)
            if not prepared:
                break
            waiting = await self._commit(requests, prepared, results, last=attempt == MAX_ATTEMPTS)
            if not waiting:
                break
        told = [result for result in results if result is not None]
        assert len(told) == len(requests)
        return told

    def _prepare_all(
        self, requests: Sequence[WriteRequest], waiting: Sequence[int], results: list[Result | StatusError | None]
    ) -> list[tuple[int, Prepared, Write]]:
        prepared: list[tuple[int, Prepared, Write]] = []
        for index in waiting:
            request = requests[index]
            try:
                ready = self._prepare(request)
            except StatusError as refusal:
                results[index] = refusal
            except Exception as error:
                LOG.exception("cannot %s %s %s", request.verb, request.kind.resource.name, request.key)
                results[index] = internal_error(f"{type(error).__name__}: {error}")
            else:
                if ready.write is None:
                    assert ready.answer is not None
                    results[index] = Result(ready.code, ready.answer, ready.warnings)
                else:
                    prepared.append((index, ready, ready.write))
        return prepared

    async def _commit(
        self,
        requests: Sequence[WriteRequest],
        prepared: Sequence[tuple[int, Prepared, Write]],
        results: list[Result | StatusError | None],
        *,
        last: bool,
    ) -> list[int]:
        """Returns the requests that have to be prepared anew."""
        again: list[int] = []
        try:
            stored = await self._store.commit([write for _, _, write in prepared])
        except StorageError as error:
            LOG.error("the store refused %d writes: %s", len(prepared), error)
            for index, _, _ in prepared:
                results[index] = internal_error(str(error))
            return again
        for (index, ready, write), outcome in zip(prepared, stored, strict=True):
            if isinstance(outcome, Object):
                answer = ready.view(outcome) if ready.view is not None else outcome
                results[index] = Result(ready.code, answer, ready.warnings)
            elif ready.retriable and not last:
                again.append(index)
            else:
                results[index] = _refusal(requests[index], write, outcome)
        return again


def _refusal(request: WriteRequest, write: Write, found: Conflict) -> StatusError:
    resource = write.resource
    name = write.document["metadata"]["name"]
    if write.expected == EMPTY and found.current is not None:
        return already_exists(resource.group, resource.plural, name)
    if found.current is None:
        return not_found(resource.group, resource.plural, name)
    return conflict(resource.group, resource.plural, name, MODIFIED)


def _tell_story(requests: Sequence[WriteRequest], results: Sequence[Result | StatusError]) -> None:
    """What people create, told once per call; what the control plane itself creates is told by its parts."""
    told = [
        (request, result)
        for request, result in zip(requests, results, strict=True)
        if request.verb == "create"
        and not request.subresource
        and isinstance(result, Result)
        and not is_component(request.user)
        and not request.query.get("dryRun")
    ]
    if told:
        request, result = told[0]
        plural = request.kind.resource.name
        saw = f"POST {plural} by {request.user.name}"
        logs.step(1, "apiserver", saw=saw, wrote=f"{plural} {result.object.key}", count=len(told))


def body_document(request: WriteRequest) -> Document:
    """The body of a client in this process as a plain dict, which is only read."""
    body = request.body
    if isinstance(body, Object):
        return body.peek()
    if type(body) is dict:
        return body
    if isinstance(body, Mapping):
        return Object(body).peek()
    return {}


def editable(live: Object) -> Document:
    """A stored object to be changed: itself and its metadata are copies, what is below is shared and only replaced."""
    document = dict(live.peek())
    document["metadata"] = dict(document["metadata"])
    return document
