"""The store of one process: a journal below, caches and logs above, and groups of writes between them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine._object import Object
from engine.api.resource import Resource
from engine.storage.encoding import encode
from engine.storage.journal import Journal, Record
from engine.storage.store import EMPTY, Conflict, StorageError, Table, Write
from engine.storage.tables import Events, Tables

if TYPE_CHECKING:
    from engine._cache import EventType, IndexSource

LOG = logging.getLogger("engine.storage")
GROUP_RECORDS = 1000  # a group that has this many takes no further writers: it must not hold the loop for long

Answer = list[Object | Conflict]


@dataclass(slots=True)
class _Group:
    """Writes that become durable together, and who waits for them."""

    records: list[Record] = field(default_factory=list)
    writers: list[tuple[asyncio.Future[Answer], Answer]] = field(default_factory=list)


class EmbeddedStore:
    """Implements Store. Writes are accepted at once against the newest pending versions, made durable in groups by the
    journal in a thread, and only then shown: while one group is being written the next one gathers, and an idle store
    writes a lone change without delay.

    A group that fails takes every pending write with it, since later ones may have been built on it. Its revisions are
    not used again.
    """

    def __init__(self, resources: Mapping[Resource, Mapping[str, IndexSource]], journal: Journal) -> None:
        self._journal = journal
        self._tables = Tables(resources)
        self._pending: dict[Resource, dict[str, Record]] = {resource: {} for resource in resources}
        self._assigned = 0  # the newest revision given to a write
        self._gathering: deque[_Group] = deque()
        self._writing: _Group | None = None
        self._woken = False
        self._open = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread: ThreadPoolExecutor | None = None

    async def start(self) -> None:
        self._assigned = self._journal.open()
        try:
            with self._tables.loading():
                for resource, table in self._tables.items():
                    await self._load(resource, table)
                self._tables.advance(self._assigned)
        except BaseException:
            self._journal.close()
            raise
        if self._journal.durable:
            self._thread = ThreadPoolExecutor(1, "engine-journal")
        self._open = True

    async def _load(self, resource: Resource, table: Table) -> None:
        replacement = table.cache.replacement(self._assigned)
        try:
            for page in self._journal.load(resource):
                replacement.add(page)
                await asyncio.sleep(0)  # a big store must not make the process deaf while it loads
            replacement.finish(self._assigned)
        except ValueError as error:
            raise StorageError(f"cannot read the stored {resource.name}: {error}") from error

    async def close(self) -> None:
        self._open = False
        await self._idle.wait()
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None
        self._journal.close()
        self._tables.close()

    @property
    def revision(self) -> int:
        return self._tables.revision

    def table(self, resource: Resource) -> Table:
        return self._tables[resource]

    def newest(self, resource: Resource, key: str) -> Object | None:
        pending = self._pending[resource].get(key)
        if pending is None:
            return self._tables[resource].cache.get(key)
        return None if pending.type == "DELETED" else pending.object

    async def commit(self, writes: Sequence[Write]) -> Answer:
        if not self._open:
            raise StorageError("the store is not open")
        records, answer, unsettled = self._accept(writes)
        if not records and not unsettled:
            return answer
        if not self._journal.durable:
            self._journal.commit(records)
            self._publish(records)
            return answer
        if not self._gathering or len(self._gathering[-1].records) >= GROUP_RECORDS:
            self._gathering.append(_Group())
        group = self._gathering[-1]
        group.records += records
        writer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        group.writers.append((writer, answer))
        self._wake()
        return await writer

    def _accept(self, writes: Sequence[Write]) -> tuple[list[Record], Answer, bool]:
        """Checks each write against the newest version, stamps and encodes it, and lays it over the caches.

        The third value says that a conflict rests on a write that is not durable: its answer has to wait for that one.
        """
        records: list[Record] = []
        answer: Answer = []
        covered: list[tuple[dict[str, Record], str, Record | None]] = []
        unsettled = False
        try:
            for write in writes:
                overlay = self._pending[write.resource]
                pending = overlay.get(write.key)
                current = self.newest(write.resource, write.key)
                if (EMPTY if current is None else current.resource_version) != write.expected:
                    answer.append(Conflict(current))
                    unsettled = unsettled or pending is not None
                    continue
                obj = encode(write.document, self._assigned + 1)
                self._assigned += 1
                kind: EventType = "DELETED" if write.delete else "ADDED" if current is None else "MODIFIED"
                record = Record(write.resource, write.key, kind, obj, self._assigned)
                overlay[write.key] = record
                covered.append((overlay, write.key, pending))
                records.append(record)
                answer.append(obj)
        except BaseException:
            # A document that JSON cannot hold: the caller gets the exception, and nothing of this call happened.
            for overlay, key, before in reversed(covered):
                if before is None:
                    del overlay[key]
                else:
                    overlay[key] = before
            raise
        return records, answer, unsettled

    def _wake(self) -> None:
        """Writes the next group once everything that is ready to run in this turn of the loop has joined it."""
        if self._writing is None and not self._woken:
            self._woken = True
            self._idle.clear()
            asyncio.get_running_loop().call_soon(self._write_next)

    def _write_next(self) -> None:
        self._woken = False
        group = self._gathering.popleft()
        if not group.records:
            self._settle(group, None)  # it only waited for the group before it
            return
        assert self._thread is not None
        self._writing = group
        loop = asyncio.get_running_loop()
        written = self._thread.submit(self._journal.commit, group.records)
        written.add_done_callback(lambda done: loop.call_soon_threadsafe(self._settle, group, done.exception()))

    def _settle(self, group: _Group, failure: BaseException | None) -> None:
        self._writing = None
        if failure is not None:
            self._fail(group, failure)
        else:
            self._publish(group.records)
            for writer, answer in group.writers:
                if not writer.done():  # cancelled: the write stands all the same
                    writer.set_result(answer)
        if self._gathering:
            self._wake()
        else:
            self._idle.set()

    def _publish(self, records: Sequence[Record]) -> None:
        if not records:
            return
        events: Events = {}
        for record in records:
            events.setdefault(record.resource, []).append((record.type, record.object))
            overlay = self._pending[record.resource]
            if overlay[record.key] is record:
                del overlay[record.key]
        self._tables.apply(events, records[-1].revision)

    def _fail(self, group: _Group, failure: BaseException) -> None:
        LOG.error("%d writes were not stored: %s", sum(len(g.records) for g in (group, *self._gathering)), failure)
        for overlay in self._pending.values():
            overlay.clear()
        message = str(failure) if isinstance(failure, StorageError) else f"cannot store: {failure!r}"
        for failed in (group, *self._gathering):
            for writer, _ in failed.writers:
                if not writer.done():
                    writer.set_exception(StorageError(message))
        self._gathering.clear()
