"""The controller loop: changes become keys, keys are reconciled in batches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from engine._object import Object
from engine._workqueue import WorkQueue
from engine.api.errors import StatusError
from engine.informers.backoff import Backoff
from engine.informers.informer import Change, Informer, Subscription

LOG = logging.getLogger(__name__)

INITIAL_PRIORITY = -100  # what was there at the start waits behind what changes now
DRAIN_CHANGES = 1000  # changes turned into keys before the event loop gets its turn


@dataclass(frozen=True, slots=True)
class Requeue:
    """Reconcile this key again after so many seconds."""

    after_seconds: float


# What one key's reconcile came to: None is done, Requeue asks for another time, an exception is retried with backoff.
Result = None | Requeue | Exception
Reconcile = Callable[[Sequence[str]], Awaitable[Mapping[str, Result]]]
Mapper = Callable[[Change], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Source:
    """Changes of one informer, turned into keys to reconcile."""

    informer: Informer
    keys: Mapper


def own_key(change: Change) -> Iterable[str]:
    """The changed object itself."""
    return (change.key,)


class Controller:
    """Drains its sources into a work queue and hands batches of keys to `reconcile`.

    `reconcile(keys)` returns what became of each key: None (done), `Requeue(after_seconds)`, or an exception (again,
    with backoff). It is called for a state, not for an event: a change of its own making brings the key once more.

    One task, and one per source, whatever the number of keys: never two reconciles of one key at a time. A key missing
    from the answer is done. An exception raised by `reconcile` itself retries the whole batch, key by key: each one
    after its own backoff and in a batch of its own, so that one bad key does not hold up the others. Keys wait until
    every source is synced and its initial changes have been drained. Sources go on being drained while a batch runs,
    into the queue, which holds a key once.
    """

    queue: WorkQueue

    def __init__(
        self,
        name: str,
        sources: Sequence[Source],
        reconcile: Reconcile,
        *,
        batch: int = 100,
        queue: WorkQueue | None = None,
    ) -> None:
        self.name = name
        self.queue = WorkQueue() if queue is None else queue
        self._sources = sources
        self._reconcile = reconcile
        self._batch = batch
        self._alone: set[str] = set()  # keys whose last batch raised: they are tried one by one

    async def run(self) -> None:
        """Until cancelled; a batch in progress is finished first."""
        drained = [asyncio.Event() for _ in self._sources]
        pumps = [
            asyncio.create_task(self._pump(source, event), name=f"{self.name} {source.informer.resource.plural}")
            for source, event in zip(self._sources, drained, strict=True)
        ]
        try:
            for event in drained:
                await event.wait()
            while keys := await self.queue.get_batch(self._batch):
                await self._work(keys)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, source: Source, drained: asyncio.Event) -> None:
        """Turns one source's changes into keys until its informer stops. Failures are logged and waited out."""
        backoff = Backoff(asyncio.get_running_loop().time)
        subscription = source.informer.subscribe()
        while True:
            try:
                await self._drain(source, subscription, drained)
                return
            except Exception:
                delay = backoff.next()
                resource = source.informer.resource.name
                LOG.exception("%s: reading %s failed, again in %.1f s", self.name, resource, delay)
            await asyncio.sleep(delay)

    async def _drain(self, source: Source, subscription: Subscription, drained: asyncio.Event) -> None:
        while True:
            while changes := subscription.next_batch(DRAIN_CHANGES):
                self._add(source.keys, changes)
                await asyncio.sleep(0)
            if subscription.synced:
                drained.set()
            if subscription.stopped:
                drained.set()
                return
            await subscription.wait()

    def _add(self, mapper: Mapper, changes: Sequence[Change]) -> None:
        initial: list[str] = []
        live: list[str] = []
        for change in changes:
            try:
                (initial if change.initial else live).extend(mapper(change))
            except Exception:
                LOG.exception("%s: no keys for the change of %s", self.name, change.key)
        if live:
            self.queue.add_many(live)
        if initial:
            self.queue.add_many(initial, INITIAL_PRIORITY)

    async def _work(self, keys: list[str]) -> None:
        """Reconciles what was taken from the queue, to the end even when cancelled meanwhile."""
        work = asyncio.ensure_future(self._reconcile_all(keys))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            await work
            raise

    async def _reconcile_all(self, keys: list[str]) -> None:
        alone = self._alone.intersection(keys)
        if len(alone) < len(keys):
            await self._reconcile_batch([key for key in keys if key not in alone])
        for key in alone:
            await self._reconcile_batch([key])

    async def _reconcile_batch(self, keys: list[str]) -> None:
        results: Mapping[str, Result]
        try:
            results = await self._reconcile(keys)
        except Exception as error:
            if len(keys) > 1:
                LOG.exception("%s: a batch of %d keys failed, each comes again alone", self.name, len(keys))
            self._alone.update(keys)
            results = dict.fromkeys(keys, error)
        else:
            self._alone.difference_update(keys)
        for key in keys:
            self._settle(key, results.get(key), quiet=len(keys) > 1 and key in self._alone)
        self.queue.done(keys)

    def _settle(self, key: str, result: Result, *, quiet: bool) -> None:
        """Puts one key's result into effect. `quiet`: its failure was logged with its batch's."""
        if isinstance(result, Exception):
            delay = self.queue.add_rate_limited(key)
            if not quiet:
                self._log_failure(key, result, delay)
            return
        self.queue.forget(key)
        if result is not None:
            self.queue.add_after(key, result.after_seconds)

    def _log_failure(self, key: str, error: Exception, delay: float) -> None:
        """Once for each failure. A conflict is how concurrent writers meet: no news."""
        level = logging.DEBUG if isinstance(error, StatusError) and error.reason == "Conflict" else logging.WARNING
        trace = None if isinstance(error, StatusError | OSError) else error
        reason = str(error) or type(error).__name__
        LOG.log(level, "%s: %s: again in %.3f s: %s", self.name, key, delay, reason, exc_info=trace)


def controller_of(kind: str) -> Mapper:
    """Maps a change to the key of the owner of this kind that is its controller, of the old and the new object both."""

    def keys(change: Change) -> list[str]:
        found = _controller_key(change.object, kind)
        if change.old is not None and change.old is not change.object:
            found += [key for key in _controller_key(change.old, kind) if key not in found]
        return found

    return keys


def _controller_key(obj: Object, kind: str) -> list[str]:
    for owner in obj.owner_references:
        if owner.get("controller") and owner["kind"] == kind:
            return [f"{obj.namespace}/{owner['name']}" if obj.namespace else owner["name"]]
    return []
