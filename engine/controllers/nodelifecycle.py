"""The node lifecycle controller: what happens when a node falls silent, comes back, or is deleted.

A kubelet renews its node's Lease. When it has not for `grace_seconds`, the node's conditions become Unknown and it is
tainted; its pods stop counting as ready and leave when their tolerations run out. A kubelet that comes back posts its
conditions itself, and the taints follow them.

Heartbeats make no work: each is a time written into a dict. One deadline, the earliest of all nodes, is waited for.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine._object import Object
from engine.api.errors import StatusError
from engine.api.resource import LEASES, NODES, PODS
from engine.api.timestamps import rfc3339
from engine.client.client import Client
from engine.client.transport import Operation
from engine.controllers import conditions, taints
from engine.informers.informer import Change, Informers
from engine.runtime.controller import Controller, Requeue, Result, Source
from engine.runtime.events import EventRecorder

BY_NODE = "spec.nodeName"
LEASE_NAMESPACE = "kube-node-lease"
SWEEP = ":sweep"  # the key of the one deadline; no node has such a name
WATCHED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
SILENT = "Kubelet stopped posting node status."
NEVER_POSTED = "Kubelet never posted node status."


@dataclass(frozen=True, slots=True)
class Settings:
    """How long silence is borne, in seconds."""

    grace_seconds: float = 40.0  # without a renewal before a node counts as unreachable
    gone_seconds: float = 40.0  # that the pods of a node which does not exist are left alone: it may register again


class NodeLifecycleController:
    """`now` is wall-clock time in seconds, for what is written; `clock` a monotonic one, for what is measured:
    heartbeats are timed by their arrival, so that the nodes' clocks do not matter."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        recorder: EventRecorder,
        settings: Settings = Settings(),
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._settings = settings
        self._now = now
        self._clock = clock
        self._nodes = informers.get(NODES)
        self._leases = informers.get(LEASES)
        self._pods = informers.get(PODS, indexes={BY_NODE: BY_NODE})
        self._heard: dict[str, float] = {}  # node → when its last heartbeat arrived
        self._silent: set[str] = set()  # nodes whose heartbeat would be news
        self._evicting: set[str] = set()  # nodes with a taint that drives pods away
        self._missing: dict[str, float] = {}  # node that does not exist but has pods → since when
        sources = [
            Source(self._nodes, self._node_changed),
            Source(self._leases, self._lease_changed),
            Source(self._pods, self._pod_changed),
        ]
        self.controller = Controller("nodelifecycle", sources, self.reconcile)

    async def run(self) -> None:
        await self.controller.run()

    # Which nodes to look at.

    def _node_changed(self, change: Change) -> Iterable[str]:
        name = change.key
        if change.type == "DELETED":
            self._heard.pop(name, None)
            self._silent.discard(name)
            self._evicting.discard(name)
            return (name,)
        if name not in self._heard:
            self._heard[name] = self._clock()
            return (name, SWEEP)
        if change.old is not None and _heartbeat(change.object) != _heartbeat(change.old):
            self._heard[name] = self._clock()
            return (name, SWEEP) if name in self._silent else (name,)
        return (name,)

    def _lease_changed(self, change: Change) -> Iterable[str]:
        lease = change.object.peek()
        metadata = lease["metadata"]
        if change.type == "DELETED" or metadata.get("namespace") != LEASE_NAMESPACE:
            return ()
        name = metadata["name"]
        if name not in self._heard:
            return ()  # a Lease without a node is no heartbeat of one
        self._heard[name] = self._clock()
        return (name, SWEEP) if name in self._silent else ()

    def _pod_changed(self, change: Change) -> Iterable[str]:
        """A pod is news when it comes to a node that drives pods away, or that does not exist."""
        node = change.object.peek()["spec"].get("nodeName")
        if not node or change.type == "DELETED":
            return ()
        if change.old is not None and change.old.peek()["spec"].get("nodeName") == node:
            return ()
        return (node,) if node in self._evicting or node not in self._nodes.cache else ()

    # What to do.

    async def reconcile(self, keys: Sequence[str]) -> Mapping[str, Result]:
        results: dict[str, Result] = {}
        names = [key for key in keys if key != SWEEP]
        if SWEEP in keys:
            overdue, results[SWEEP] = self._sweep()
            names += [name for name in overdue if name not in names]
        planned: list[tuple[str, Operation]] = []
        for name, node in zip(names, self._nodes.cache.get_many(names), strict=True):
            try:
                operations, seconds = self._plan(node) if node is not None else await self._collect(name)
            except StatusError as error:
                results[name] = error
                continue
            planned += [(name, each) for each in operations]
            if seconds is not None:
                results[name] = Requeue(seconds)
        if planned:
            answers = await self._client.batch([operation for _, operation in planned])
            for (name, _), answer in zip(planned, answers, strict=True):
                if isinstance(answer, StatusError) and answer.code != 404:
                    results[name] = answer
        for name in set(results) - set(keys):
            self.controller.queue.add(name)  # found overdue just now: it was not taken from the queue
        return results

    def _sweep(self) -> tuple[list[str], Result]:
        """The nodes that fell silent, and when the next may: after the longest silence there is."""
        horizon = self._clock() - self._settings.grace_seconds
        overdue = [name for name, heard in self._heard.items() if heard <= horizon and name not in self._silent]
        oldest = min((heard for heard in self._heard.values() if heard > horizon), default=None)
        return overdue, None if oldest is None else Requeue(oldest - horizon)

    def _plan(self, node: Object) -> tuple[list[Operation], float | None]:
        """What a node that exists needs, and in how many seconds the next of its pods has to leave."""
        self._missing.pop(node.name, None)
        document = node.peek()
        if self._clock() - self._heard.get(node.name, self._clock()) >= self._settings.grace_seconds:
            self._silent.add(node.name)
            unknown = self._unknown_conditions(document)
            if unknown is not None:
                self._recorder.record(node, "Normal", "NodeNotReady", f"Node {node.name} status is now: NodeNotReady")
                patch = {"metadata": {"uid": node.uid}, "status": {"conditions": unknown}}
                return [self._client.patching(NODES, None, node.name, patch, subresource="status")], None
        else:
            self._silent.discard(node.name)
        operations = []
        wanted = taints.next_taints(document, self._now())
        if wanted is not None:
            metadata = {
                "resourceVersion": str(node.resource_version)
            }  # others write taints too: the list is theirs as well
            patch = {"metadata": metadata, "spec": {"taints": wanted or None}}
            operations.append(self._client.patching(NODES, None, node.name, patch))
        ready = conditions.find(document.get("status") or {}, "Ready")
        if ready is not None and ready.get("status") != "True":
            operations += self._unready_pods(node)
        evictions, seconds = self._evict(node)
        return operations + evictions, seconds

    def _unknown_conditions(self, node: Mapping[str, Any]) -> list[conditions.Condition] | None:
        """All conditions of a node that fell silent; None when they say so already."""
        moment = rfc3339(self._now())
        known: list[conditions.Condition] = [dict(each) for each in (node.get("status") or {}).get("conditions") or ()]
        changed = False
        for type in WATCHED:
            current = conditions.find({"conditions": known}, type)
            if current is None:
                unknown = {
                    "type": type,
                    "status": "Unknown",
                    "reason": "NodeStatusNeverUpdated",
                    "message": NEVER_POSTED,
                }
                known.append({**unknown, "lastHeartbeatTime": moment, "lastTransitionTime": moment})
            elif current["status"] == "Unknown":
                continue
            else:
                current.update(status="Unknown", reason="NodeStatusUnknown", message=SILENT, lastTransitionTime=moment)
            changed = True
        return known if changed else None

    def _unready_pods(self, node: Object) -> list[Operation]:
        """Takes the readiness off the pods of a node that is not ready: nobody knows how they are."""
        operations = []
        for pod in self._pods.cache.by_index(BY_NODE, node.name):
            status = pod.peek().get("status") or {}
            if not conditions.is_true(status, "Ready"):
                continue
            known = [dict(each) for each in status["conditions"]]
            ready = conditions.find({"conditions": known}, "Ready")
            assert ready is not None
            ready.update(status="False", lastTransitionTime=rfc3339(self._now()))
            metadata = {"resourceVersion": str(pod.resource_version)}
            patch = {"metadata": metadata, "status": {"conditions": known}}
            operations.append(self._client.patching(PODS, pod.namespace, pod.name, patch, subresource="status"))
        return operations

    def _evict(self, node: Object) -> tuple[list[Operation], float | None]:
        """Deletes the pods whose tolerations have run out."""
        driving = taints.evicting(node.peek())
        if not driving:
            self._evicting.discard(node.name)
            return [], None
        self._evicting.add(node.name)
        operations, next_seconds = [], math.inf
        for pod in self._pods.cache.by_index(BY_NODE, node.name):
            if pod.deletion_timestamp is not None:
                continue
            left = taints.eviction_time(pod.peek(), driving) - self._now()
            if left > 0:
                next_seconds = min(next_seconds, left)
                continue
            self._recorder.record(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {pod.key}")
            operations.append(self._client.deleting(PODS, pod.namespace, pod.name, preconditions={"uid": pod.uid}))
        return operations, None if next_seconds == math.inf else next_seconds

    async def _collect(self, name: str) -> tuple[list[Operation], float | None]:
        """Removes the pods of a node that does not exist: no kubelet is there to end them."""
        pods = self._pods.cache.by_index(BY_NODE, name)
        if not pods:
            self._missing.pop(name, None)
            return [], None
        since = self._missing.setdefault(name, self._clock())
        left = since + self._settings.gone_seconds - self._clock()
        if left > 0:
            return [], left
        if await self._exists(name):
            return [], self._settings.gone_seconds  # the cache lags
        del self._missing[name]
        return [
            self._client.deleting(PODS, pod.namespace, pod.name, gracePeriodSeconds=0, preconditions={"uid": pod.uid})
            for pod in pods
        ], None

    async def _exists(self, name: str) -> bool:
        try:
            await self._client.get(NODES, None, name)
        except StatusError as error:
            if error.code == 404:
                return False
            raise
        return True


def _heartbeat(node: Object) -> Any:
    """What changes when a kubelet posts its node's status."""
    ready = conditions.find(node.peek().get("status") or {}, "Ready")
    return ready.get("lastHeartbeatTime") if ready is not None else None
