"""The scheduler: pods without a node get the best one, in batches, in the order of the queue."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from engine import logs
from engine._object import Object
from engine.api import timestamps
from engine.api.errors import StatusError
from engine.api.resource import NODES, PODS
from engine.client.client import Client
from engine.client.transport import Operation
from engine.informers.informer import Change, Informers, Subscription
from engine.runtime.events import EventRecorder
from engine.scheduler.cluster import FINISHED, Cluster
from engine.scheduler.decisions import Decisions
from engine.scheduler.podclass import PodClass, classify
from engine.scheduler.queue import SchedulingQueue, Waiting

LOG = logging.getLogger(__name__)

BATCH = 256  # decisions whose bindings are written together
TURN = 64  # decisions before others get their turn: about 5 ms at 1,000 nodes
DRAIN = 1000  # changes taken in before others get their turn
NAME = "default-scheduler"
LABELS_AND_SPEC = ("spec", "metadata.labels")  # what makes a waiting pod worth another try when it changes


class Scheduler:
    """Binds the pods whose `schedulerName` is `name`.

    Every decision reads local state only: the informers' caches and what was decided before. A binding that fails
    gives its room back and the pod is tried again with backoff. A pod that fits nowhere gets its PodScheduled condition
    and an event, and is tried again when nodes or placements change.
    """

    def __init__(
        self,
        client: Client,
        informers: Informers,
        *,
        name: str = NAME,
        recorder: EventRecorder | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.cluster = Cluster()
        self.decisions = Decisions(self.cluster.nodes)
        self.queue = SchedulingQueue(clock)
        self._client = client
        self._recorder = recorder
        self._clock = clock
        self._pods = informers.get(PODS)
        self._nodes = informers.get(NODES)

    async def run(self) -> None:
        """Until cancelled. Starts to decide once both informers' first lists have been taken in."""
        nodes, pods = self._nodes.subscribe(), self._pods.subscribe()
        for informer in (self._nodes, self._pods):
            await informer.synced()
        while not (nodes.stopped or pods.stopped):
            more = self._take_in(nodes, self._node_changed) | self._take_in(pods, self._pod_changed)
            if nodes.synced and pods.synced and (batch := self.queue.take(BATCH)):
                await self._schedule(batch)
            elif more:
                await asyncio.sleep(0)  # others get their turn
            else:
                await self._park(nodes, pods)

    async def _park(self, *subscriptions: Subscription) -> None:
        """Until one of them may have something, or a waiting pod's time has come. Nobody waits on a subscription at
        other times: with changes pending, its `wait` would return at once, again and again."""
        deadline = self.queue.next_deadline()
        delay = None if deadline is None else max(0.0, deadline - self._clock())
        waits = [asyncio.ensure_future(subscription.wait()) for subscription in subscriptions]
        try:
            await asyncio.wait(waits, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def _take_in(self, subscription: Subscription, handle: Callable[[Change], None]) -> bool:
        changes = subscription.next_batch(DRAIN)
        for change in changes:
            try:
                handle(change)
            except Exception:
                LOG.exception("%s %s cannot be understood; it is left out", change.type, change.key)
        return bool(changes)

    def _node_changed(self, change: Change) -> None:
        if change.type == "DELETED":
            self.cluster.nodes.remove(change.object.name)
        elif self.cluster.nodes.set(change.object):
            self.queue.retry_unschedulable()

    def _pod_changed(self, change: Change) -> None:
        pod = change.object
        if change.type == "DELETED":
            self.queue.remove(change.key)
            if self.cluster.drop(change.key):
                self.queue.retry_unschedulable()
            return
        if self.cluster.observe(pod):
            self.queue.retry_unschedulable()
        if not self._is_mine(pod):
            self.queue.remove(change.key)
        elif self.cluster.is_assumed(pod):
            return  # an update from before our binding
        elif not self._same(pod, change.old) or not self.queue.refresh(pod):
            self.queue.add(pod)

    def _is_mine(self, pod: Object) -> bool:
        document = pod.peek()
        spec = document.get("spec") or {}
        return (
            not spec.get("nodeName")
            and not pod.deletion_timestamp
            and not spec.get("schedulingGates")
            and spec.get("schedulerName", NAME) == self.name
            and (document.get("status") or {}).get("phase") not in FINISHED
        )

    def _same(self, pod: Object, old: Object | None) -> bool:
        return old is not None and all(pod.get_path(path) == old.get_path(path) for path in LABELS_AND_SPEC)

    async def _schedule(self, batch: Sequence[Waiting]) -> None:
        bound: list[tuple[Waiting, str]] = []
        failed: list[tuple[Waiting, str]] = []
        for number, waiting in enumerate(batch):
            if number % TURN == TURN - 1:
                await asyncio.sleep(0)
            asked = self._class(waiting)
            if asked is None:
                continue
            node = self.decisions.choose(asked, self.cluster.spread(waiting.pod))
            if node:
                self.cluster.assume(waiting.pod, asked, node)
                bound.append((waiting, node))
            else:
                failed.append((waiting, self.decisions.explain(asked)))
        if failed:
            await self._reject(failed)
        if bound:
            await self._bind(bound)

    def _class(self, waiting: Waiting) -> PodClass | None:
        try:
            return self.cluster.intern(classify(waiting.pod))
        except (ValueError, KeyError, TypeError, AttributeError):
            LOG.exception("pod %s cannot be understood; tried again later", waiting.pod.key)
            self.queue.put_back(waiting)
            return None

    async def _bind(self, bound: Sequence[tuple[Waiting, str]]) -> None:
        operations = [
            self._client.binding(waiting.pod.namespace, waiting.pod.name, node, uid=waiting.pod.uid)
            for waiting, node in bound
        ]
        written = 0
        for (waiting, node), answer in zip(bound, await self._send(operations), strict=True):
            if not isinstance(answer, Exception):
                written += 1
                self._record(waiting.pod, "Normal", "Scheduled", f"Successfully assigned {waiting.pod.key} to {node}")
                continue
            self._unbind(waiting, node, answer)
        if written:
            first, node = bound[0]
            wrote = f"pods/{first.pod.name}/binding to {node}"
            logs.step(3, "scheduler", saw=f"pods {first.pod.key}", through="pods informer", wrote=wrote, count=written)

    def _unbind(self, waiting: Waiting, node: str, error: Exception) -> None:
        """Gives the room back. The pod is tried again unless the cache knows better: gone, replaced, or bound."""
        self.cluster.forget(waiting.pod)
        newest = self._pods.cache.get(waiting.pod.key)
        if newest is not None and newest.uid == waiting.pod.uid and self._is_mine(newest):
            LOG.warning("binding %s to %s failed, again with backoff: %s", newest.key, node, error)
            waiting.pod = newest
            self.queue.put_back(waiting)

    async def _reject(self, failed: Sequence[tuple[Waiting, str]]) -> None:
        news = [(waiting, message) for waiting, message in failed if waiting.told != message]
        now = timestamps.now()
        operations = [self._telling(waiting.pod, message, now) for waiting, message in news]
        for waiting, _ in failed:
            self.queue.park(waiting)
        for (waiting, message), answer in zip(news, await self._send(operations), strict=True):
            self._record(waiting.pod, "Warning", "FailedScheduling", message)
            if isinstance(answer, Exception):
                LOG.warning("the condition of %s could not be written: %s", waiting.pod.key, answer)
            else:
                waiting.told = message

    def _telling(self, pod: Object, message: str, now: str) -> Operation:
        patch = _unscheduled(pod, message, now)
        return self._client.patching(PODS, pod.namespace, pod.name, patch, type="strategic", subresource="status")

    async def _send(self, operations: Sequence[Operation]) -> Sequence[Object | Exception]:
        """The answers in order; when the server cannot be reached, that error for each."""
        if not operations:
            return []
        try:
            return await self._client.batch(operations)
        except (OSError, StatusError) as error:
            return [error] * len(operations)

    def _record(self, pod: Object, type: str, reason: str, message: str) -> None:
        if self._recorder is not None:
            self._recorder.record(pod, type, reason, message)


def _unscheduled(pod: Object, message: str, now: str) -> dict[str, Any]:
    """The patch that says so; the time stays when the condition said False before."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    known = next((c for c in pod.get_path("status.conditions", ()) if c["type"] == "PodScheduled"), None)
    same = known is not None and known["status"] == "False"
    condition["lastTransitionTime"] = known["lastTransitionTime"] if known is not None and same else now
    return {"metadata": {"uid": pod.uid}, "status": {"conditions": [condition]}}
