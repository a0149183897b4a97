"""The store whose objects live in etcd, shared with other API servers."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine._json import splice_resource_version
from engine._object import Object
from engine.api.resource import Resource
from engine.storage import etcd_wire as wire
from engine.storage.encoding import encode
from engine.storage.etcd_client import Compacted, EtcdClient, Unavailable
from engine.storage.store import Conflict, StorageError, Table, Write
from engine.storage.tables import Events, Tables

if TYPE_CHECKING:
    from engine._cache import EventType, IndexSource

LOG = logging.getLogger("engine.storage")
PREFIX = b"/registry/"
PREFIX_END = b"/registry0"  # the first key after all that start with PREFIX
PAGE_KEYS = 500
IN_FLIGHT = 256  # transactions of one commit that are under way at a time
MAX_BACKOFF_SECONDS = 1.0


@dataclass(slots=True)
class _Sent:
    """A write under way: when the watch brings its bytes back, the parsed form is still here."""

    etcd_key: bytes
    value: bytes | None  # None: a deletion
    document: dict[str, Any]
    delivered: Object | None = None


class EtcdStore:
    """Implements Store over etcd v3, in Kubernetes' layout: `/registry/<resource>/<namespace>/<name>` holds the object
    without its resourceVersion, which is the key's mod revision.

    Each write is a transaction of its own that compares the mod revision. Caches and logs are fed by one watch on
    everything, and `commit` answers when the watch has brought what it wrote: so several servers on one etcd see the
    same changes in the same order. Writes of one commit to different keys run side by side and may get their revisions
    in another order; those to one key run one after the other. A commit that raises StorageError may have been carried
    out in part: etcd has no groups. `newest` is the cache's object.

    When etcd is away, writes wait for it up to `deadline_seconds`, readers keep what they have, and the watch resumes
    where it was. Every `compact_seconds` (None: never) the history older than that is dropped.
    """

    def __init__(
        self,
        resources: Mapping[Resource, Mapping[str, IndexSource]],
        endpoints: Sequence[str],
        *,
        deadline_seconds: float = 10.0,
        compact_seconds: float | None = 300.0,
    ) -> None:
        self._endpoints = ", ".join(endpoints)
        self._client = EtcdClient(endpoints)
        self._deadline_seconds = deadline_seconds
        self._compact_seconds = compact_seconds
        self._tables = Tables(resources)
        self._named = {resource.name: resource for resource in resources}
        self._sent: dict[bytes, _Sent] = {}
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []  # a heap of (revision, tie-breaker, waiter)
        self._waits = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._open = False
        self._commits = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        self._client.open()
        try:
            with self._tables.loading():
                await self._list()
        except Unavailable as error:
            await self._client.close()
            raise StorageError(f"cannot reach etcd at {self._endpoints}: {error}") from error
        except BaseException:
            await self._client.close()
            raise
        self._tasks.append(asyncio.create_task(self._follow()))
        if self._compact_seconds is not None:
            self._tasks.append(asyncio.create_task(self._compact_every(self._compact_seconds)))
        self._open = True

    async def close(self) -> None:
        self._open = False
        await self._idle.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self._client.close()
        self._tables.close()

    @property
    def revision(self) -> int:
        return self._tables.revision

    def table(self, resource: Resource) -> Table:
        return self._tables[resource]

    def newest(self, resource: Resource, key: str) -> Object | None:
        return self._tables[resource].cache.get(key)

    # Reading: the list, then the watch.

    async def _list(self) -> None:
        """Everything, at one revision: caches swap at the end, logs tell the difference."""
        replacements = {resource: table.cache.replacement(0) for resource, table in self._tables.items()}
        start, revision = PREFIX, 0
        while True:
            page = await self._client.range(
                start, PREFIX_END, limit=PAGE_KEYS, revision=revision, timeout_seconds=self._deadline_seconds
            )
            revision = revision or page.revision
            for kv in page.kvs:
                place = self._place(kv.key)
                if place is not None and (obj := self._object(kv, place[1])) is not None:
                    replacements[place[0]].add([obj])
            if not page.more:
                break
            start = page.kvs[-1].key + b"\0"
        for replacement in replacements.values():
            replacement.finish(revision)
        self._tables.advance(revision)
        self._answer(revision)

    async def _follow(self) -> None:
        failures = 0
        while True:
            try:
                async for response in self._client.watch(PREFIX, PREFIX_END, self._tables.revision + 1):
                    failures = 0
                    self._deliver(response)
            except Compacted:
                LOG.warning(
                    "etcd has dropped the changes after revision %d: listing everything again", self._tables.revision
                )
                with contextlib.suppress(Unavailable, Compacted):
                    await self._list()
            except Unavailable as error:
                LOG.warning("the watch on etcd at %s broke: %s", self._endpoints, error)
            except Exception:
                LOG.exception("the watch on etcd at %s failed", self._endpoints)
            await asyncio.sleep(min(0.05 * 2**failures, MAX_BACKOFF_SECONDS))
            failures += 1

    def _deliver(self, response: wire.WatchResponse) -> None:
        events: Events = {}
        fresh: dict[tuple[Resource, str], Object] = {}  # what this response holds and the caches do not yet
        for deleted, kv in response.events:
            place = self._place(kv.key)
            if place is None:
                continue
            resource, key = place
            if deleted:
                last = fresh.pop(place, None) or self._tables[resource].cache.get(key)
                if last is not None:
                    stamped = Object(splice_resource_version(last.raw, kv.mod_revision))
                    events.setdefault(resource, []).append(("DELETED", stamped))
                    if (sent := self._sent.get(kv.key)) is not None and sent.value is None:
                        sent.delivered = stamped
                continue
            obj = self._object(kv, key)
            if obj is None:
                continue
            fresh[place] = obj
            kind: EventType = "ADDED" if kv.create_revision == kv.mod_revision else "MODIFIED"
            events.setdefault(resource, []).append((kind, obj))
        if response.events:
            revision = response.events[-1][1].mod_revision
            self._tables.apply(events, revision)
            self._answer(revision)

    def _answer(self, revision: int) -> None:
        """Wakes the writers whose revision has arrived."""
        while self._waiting and self._waiting[0][0] <= revision:
            waiter = heapq.heappop(self._waiting)[2]
            if not waiter.done():
                waiter.set_result(None)

    def _place(self, etcd_key: bytes) -> tuple[Resource, str] | None:
        """None for what other programs keep there."""
        name, _, key = etcd_key[len(PREFIX) :].decode("utf-8", "replace").partition("/")
        resource = self._named.get(name)
        return (resource, key) if resource is not None and key else None

    def _object(self, kv: wire.KeyValue, key: str) -> Object | None:
        """None, and a line in the log, for what is no object of that name: not written by us."""
        sent = self._sent.get(kv.key)
        if sent is None or sent.delivered is not None or sent.value != kv.value:
            try:
                obj = _read(kv)
                if obj.key == key:
                    return obj
            except ValueError:
                pass
            LOG.error("skipped the key %r in etcd: it holds no object of that name", kv.key)
            return None
        raw = splice_resource_version(kv.value, kv.mod_revision)
        sent.document["metadata"]["resourceVersion"] = str(kv.mod_revision)
        sent.delivered = Object.adopt(raw, sent.document)
        return sent.delivered

    async def _compact_every(self, seconds: float) -> None:
        while True:
            old = self._tables.revision
            await asyncio.sleep(seconds)
            try:
                await self._client.compact(old, timeout_seconds=self._deadline_seconds)
            except Compacted:
                pass  # another server was faster
            except (Unavailable, StorageError) as error:
                LOG.warning("etcd did not drop its history before revision %d: %s", old, error)

    # Writing.

    async def commit(self, writes: Sequence[Write]) -> list[Object | Conflict]:
        if not self._open:
            raise StorageError("the store is not open")
        self._commits += 1
        self._idle.clear()
        deadline = asyncio.get_running_loop().time() + self._deadline_seconds
        answer: dict[int, Object | Conflict] = {}
        try:
            waiting = list(enumerate(writes))
            while waiting:
                batch, waiting = _next_batch(waiting)
                await self._write(batch, answer, deadline)
        finally:
            self._commits -= 1
            if not self._commits:
                self._idle.set()
        return [answer[index] for index in range(len(writes))]

    async def _write(
        self, batch: Sequence[tuple[int, Write]], answer: dict[int, Object | Conflict], deadline: float
    ) -> None:
        """Writes to different keys, side by side; every one is settled before an error is raised."""
        encoded = [_sent(write) for _, write in batch]  # all of them before anything is sent: this may raise
        under_way: list[tuple[int, Write, _Sent, bytes, Awaitable[bytes]]] = []
        for (index, write), sent in zip(batch, encoded, strict=True):
            self._sent.setdefault(sent.etcd_key, sent)
            request = wire.txn_request(sent.etcd_key, sent.value, write.expected)
            call = self._client.send_txn(request, timeout_seconds=self._left(deadline))
            under_way.append((index, write, sent, request, call))
        failure: StorageError | None = None
        newest = 0
        gone: list[Write] = []
        stored: list[tuple[int, Write, _Sent, int]] = []
        try:
            for index, write, sent, request, call in under_way:
                try:
                    response = await self._settle(sent, request, call, deadline)
                    conflict = None if response.succeeded or response.found is None else _read(response.found)
                except StorageError as error:
                    failure = failure or error
                    continue
                except ValueError:
                    failure = failure or StorageError(f"the key {sent.etcd_key!r} in etcd holds no object")
                    continue
                if response.succeeded:
                    stored.append((index, write, sent, response.revision))
                    newest = max(newest, response.revision)
                    if not response.revision:
                        gone.append(write)
                    continue
                answer[index] = Conflict(conflict)
                if conflict is None:
                    gone.append(write)
                else:
                    newest = max(newest, conflict.resource_version)
            await self._delivered(newest, deadline)
            await self._forgotten(gone, deadline)
        finally:
            for _, _, sent, _, _ in under_way:
                if self._sent.get(sent.etcd_key) is sent:
                    del self._sent[sent.etcd_key]
        if failure is not None:
            raise failure
        for index, write, sent, revision in stored:
            answer[index] = _result(write, sent, revision or self._tables.revision)

    async def _settle(self, sent: _Sent, request: bytes, call: Awaitable[bytes], deadline: float) -> wire.TxnResponse:
        """The transaction's answer, sent again for as long as etcd is away and there is time.

        A transaction whose answer was lost may have been carried out; its repetition then finds its own work.
        """
        lost = False
        while True:
            try:
                response = await self._client.txn(call)
            except Unavailable as error:
                lost = True
                left = self._left(deadline)
                if left <= 0:
                    raise StorageError(f"etcd at {self._endpoints} does not answer: {error}") from error
                await asyncio.sleep(min(0.05, left))
                call = self._client.send_txn(request, timeout_seconds=left)
                continue
            except Compacted as error:
                raise StorageError(f"etcd refused: {error}") from error
            if lost and not response.succeeded:
                _claim(response, sent)
            return response

    async def _delivered(self, revision: int, deadline: float) -> None:
        if revision <= self._tables.revision:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waits += 1
        heapq.heappush(self._waiting, (revision, self._waits, waiter))
        try:
            async with asyncio.timeout_at(deadline):
                await waiter
        except TimeoutError:
            message = f"etcd at {self._endpoints} stored revision {revision}, but its watch has not told of it"
            raise StorageError(message) from None

    async def _forgotten(self, gone: Sequence[Write], deadline: float) -> None:
        """Waits until the caches know that these keys are gone, else a retry from `newest` would run into the same
        conflict; when the deadline passes, it may."""
        for write in gone:
            while self._left(deadline) > 0 and write.key in self._tables[write.resource].cache:
                with contextlib.suppress(StorageError):
                    await self._delivered(self._tables.revision + 1, deadline)

    def _left(self, deadline: float) -> float:
        return deadline - asyncio.get_running_loop().time()


def _next_batch(
    writes: Sequence[tuple[int, Write]],
) -> tuple[list[tuple[int, Write]], list[tuple[int, Write]]]:
    """The writes that may run side by side, at most one per key, and those that come after them."""
    batch: list[tuple[int, Write]] = []
    later: list[tuple[int, Write]] = []
    keys: set[tuple[Resource, str]] = set()
    for numbered in writes:
        place = (numbered[1].resource, numbered[1].key)
        if place in keys or len(batch) >= IN_FLIGHT:
            later.append(numbered)
        else:
            batch.append(numbered)
        keys.add(place)
    return batch, later


def _read(kv: wire.KeyValue) -> Object:
    return Object(splice_resource_version(kv.value, kv.mod_revision))


def _claim(response: wire.TxnResponse, sent: _Sent) -> None:
    """Turns the refusal of a repeated transaction into success when what etcd holds is what was to be written."""
    if response.found is None:
        response.succeeded = sent.value is None
        response.revision = 0  # not known; the watch tells
    elif response.found.value == sent.value:
        response.succeeded = True
        response.revision = response.found.mod_revision


def _sent(write: Write) -> _Sent:
    encoded = encode(write.document)
    etcd_key = PREFIX + f"{write.resource.name}/{write.key}".encode()
    return _Sent(etcd_key, None if write.delete else encoded.raw, encoded.peek())


def _result(write: Write, sent: _Sent, revision: int) -> Object:
    if sent.delivered is not None and (write.delete or sent.delivered.resource_version == revision):
        return sent.delivered
    if sent.value is None:
        return encode(write.document, revision)
    return Object(splice_resource_version(sent.value, revision))
