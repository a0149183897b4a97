"""The kubelet: one component that serves one node or thousands.

It learns of pods from one informer (over HTTPS with few nodes, one for each node's pods), asks the runtime to run those
bound to its nodes, and writes what the runtime reports, all in batches; nothing here exists once per pod but a record.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine._object import Object
from engine.api import timestamps
from engine.api.resource import NODES, PODS
from engine.client.client import Client
from engine.informers.informer import Change, Informer, Informers, Subscription
from engine.kubelet import admission, status
from engine.kubelet.nodes import Nodes
from engine.kubelet.runtime import Report, Runtime
from engine.kubelet.shape import NodeShape
from engine.kubelet.writer import StatusWriter
from engine.runtime.events import EventRecorder

BATCH_CHANGES = 250  # some 10 ms of the loop
SELECTED_NODES = 4  # up to so many nodes have informers of their own pods, where informers cost a connection


@dataclass(slots=True)
class _Known:
    """What the kubelet remembers of a pod."""

    key: str
    node: str
    wanted: admission.Amounts | None  # what it takes of its node; None when it takes nothing (any more)
    rejected: bool = False


class Kubelet:
    """Serves `node_names`, all of one shape, with one runtime.

    Informers are asked for here: start them before `run`. `run` registers the nodes and works until cancelled; `stop`
    then ends the containers, and the pods stay. `events` is run here.
    """

    def __init__(
        self,
        client: Client,
        informers: Informers,
        node_names: Sequence[str],
        runtime: Runtime,
        *,
        shape: NodeShape | None = None,
        events: EventRecorder | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        shape = shape or runtime.shape()
        self._facts = {name: shape.facts(name, index) for index, name in enumerate(node_names)}
        self._resources = {name: admission.NodeResources(facts.allocatable) for name, facts in self._facts.items()}
        self._runtime = runtime
        self._events = events
        self._informers = self._pod_informers(client, informers)
        self._nodes = Nodes(client, informers.get(NODES), self._facts, shape, runtime.name, clock=clock)
        whose = f"spec.nodeName={node_names[0]}" if len(node_names) == 1 else f"those of {len(node_names)} nodes"
        through = f"pods informer ({whose})"
        self._writer = StatusWriter(client, self._newest, through)
        self._known: dict[str, _Known] = {}
        self._uids: dict[str, str] = {}  # key → uid, of known pods
        self.registered = asyncio.Event()

    def _pod_informers(self, client: Client, informers: Informers) -> list[Informer]:
        if len(self._facts) > SELECTED_NODES or client.transport.shared(PODS) is not None:
            return [informers.get(PODS)]
        return [informers.get(PODS, field_selector=f"spec.nodeName={name}") for name in self._facts]

    def _newest(self, key: str) -> Object | None:
        return next((pod for informer in self._informers if (pod := informer.cache.get(key))), None)

    def pod(self, key: str) -> Object | None:
        """The newest version of a pod that is bound to one of the nodes."""
        found = self._newest(key)
        return found if found is not None and found.peek()["spec"].get("nodeName") in self._facts else None

    async def run(self) -> None:
        """Returns when an informer stopped. Raises what keeps the nodes from being registered."""
        self._runtime.attach(self._facts, self._writer.put)
        await self._nodes.register()
        self.registered.set()
        subscriptions = [informer.subscribe() for informer in self._informers]
        await self._begin([change for subscription in subscriptions for change in await _initial(subscription)])
        workers = [self._writer.run(), self._runtime.run(), self._nodes.run()]
        if self._events:
            workers.append(self._events.run())
        tasks = [asyncio.create_task(worker) for worker in workers]
        followers = [
            asyncio.create_task(self._follow(s, i)) for s, i in zip(subscriptions, self._informers, strict=True)
        ]
        try:
            done, _ = await asyncio.wait([*tasks, *followers], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (*tasks, *followers):
                task.cancel()
            await asyncio.gather(*tasks, *followers, return_exceptions=True)

    async def _begin(self, changes: Sequence[Change]) -> None:
        """Takes up the pods that are there: those that the nodes took in an earlier life before all others."""
        begun = [change for change in changes if _has_begun(change.object)]
        new = [change for change in changes if not _has_begun(change.object)]
        for part in (begun, new):
            for start in range(0, len(part), BATCH_CHANGES):
                self._apply(part[start : start + BATCH_CHANGES])
                await asyncio.sleep(0)
        self._runtime.retain(frozenset(self._known))

    async def stop(self) -> None:
        """After `run`: ends what runs, gracefully, within some 7 s."""
        await self._runtime.stop()

    async def _follow(self, subscription: Subscription, informer: Informer) -> None:
        while not informer.stopped:
            if changes := subscription.next_batch(BATCH_CHANGES):
                self._apply(changes)
                await asyncio.sleep(0)
            else:
                await subscription.wait()

    def _apply(self, changes: Sequence[Change]) -> None:
        """Many changes at once; of a pod that changed several times only the newest state counts."""
        newest: dict[str, Object] = {}
        dropped: list[str] = []
        for change in changes:
            pod = change.object
            known_uid = self._uids.get(change.key)
            if known_uid and (change.type == "DELETED" or known_uid != pod.uid):
                newest.pop(known_uid, None)
                self._drop(change.key, known_uid)
                dropped.append(known_uid)
            if change.type == "DELETED":
                newest.pop(pod.uid, None)
            elif pod.peek()["spec"].get("nodeName") in self._facts:
                newest[pod.uid] = pod
        if dropped:
            self._runtime.remove(dropped)
        if newest:
            self._sync(newest)

    def _drop(self, key: str, uid: str) -> None:
        del self._uids[key]
        known = self._known.pop(uid)
        if known.wanted:
            self._resources[known.node].give_back(known.wanted)
        self._writer.forget(uid)

    def _sync(self, pods: dict[str, Object]) -> None:
        reports = [refusal for uid, pod in pods.items() if uid not in self._known and (refusal := self._admit(pod))]
        taken = []
        for uid, pod in pods.items():
            known = self._known[uid]
            if known.rejected:
                if pod.deletion_timestamp is not None:
                    reports.append(Report(pod.key, uid, None, True))
                continue
            if known.wanted and (pod.peek().get("status") or {}).get("phase") in ("Succeeded", "Failed"):
                self._resources[known.node].give_back(known.wanted)
                known.wanted = None
            taken.append(pod)
        if reports:
            self._writer.put(reports)
        if taken:
            self._runtime.sync(taken)

    def _admit(self, pod: Object) -> Report | None:
        """Takes the pod into account; a report that refuses it when the node has no room."""
        document = pod.peek()
        current = document.get("status") or {}
        known = self._known[pod.uid] = _Known(pod.key, document["spec"]["nodeName"], None)
        self._uids[pod.key] = pod.uid
        if current.get("phase") in ("Succeeded", "Failed"):
            return None
        wanted = admission.requests(document["spec"])
        resources = self._resources[known.node]
        if not _has_begun(pod) and (shortage := resources.shortage(wanted)):
            known.rejected = True
            if self._events:
                self._events.record(pod, "Warning", *shortage)
            generation = document["metadata"].get("generation") or 0
            return Report(pod.key, pod.uid, status.rejected(*shortage, timestamps.now(), generation))
        resources.take(wanted)
        known.wanted = wanted
        return None


def _has_begun(pod: Object) -> bool:
    """Whether a node took it: what was taken is not refused later."""
    return "startTime" in (pod.peek().get("status") or {})


async def _initial(subscription: Subscription) -> list[Change]:
    """The whole content at subscription."""
    content: list[Change] = []
    while True:
        changes = subscription.next_batch(BATCH_CHANGES)
        content += changes
        if subscription.synced:
            return content
        if not changes:
            await subscription.wait()
        else:
            await asyncio.sleep(0)
