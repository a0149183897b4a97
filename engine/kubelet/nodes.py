"""The nodes that a kubelet serves: their objects, their Leases, their heartbeats."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import socket
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from engine._object import Object
from engine.api import timestamps
from engine.api.errors import StatusError
from engine.api.resource import LEASES, NODES
from engine.client.client import Client
from engine.client.transport import Operation
from engine.informers.informer import Informer, Subscription
from engine.kubelet.shape import NodeFacts, NodeShape

LOG = logging.getLogger(__name__)

VERSION = "v1.37.0"  # of the kubelet whose behaviour this is
LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40
RENEW_SECONDS = 10.0
STATUS_SECONDS = 300.0
SLOTS = 10  # a fleet's renewals are spread over the interval in so many batches
REGISTER_BATCH = 200

_CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


class Nodes:
    """Registers the nodes and keeps their heartbeats: a Lease every 10 s and a status every 5 minutes each, or when
    somebody else made a node not ready. Writes go in batches, spread over the interval.

    A node whose object is deleted is not registered again, and its heartbeats end.
    """

    def __init__(
        self,
        client: Client,
        informer: Informer,
        nodes: Mapping[str, NodeFacts],
        shape: NodeShape,
        runtime_name: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._informer = informer
        self._changes: Subscription | None = None
        self._nodes = dict(nodes)
        self._shape = shape
        self._clock = clock
        self._info = _node_info(runtime_name)
        self._status_due: dict[str, float] = {}
        self._status_now: dict[str, None] = {}  # posted at the next beat
        self._behind: dict[str, None] = {}  # nodes whose renewal failed
        self._no_lease: dict[str, None] = dict.fromkeys(nodes)

    async def register(self) -> None:
        """Returns when every node has an object that says Ready, and a Lease. OSError and refusals are raised."""
        names = list(self._nodes)
        for start in range(0, len(names), REGISTER_BATCH):
            part = names[start : start + REGISTER_BATCH]
            answers = await self._client.batch(
                [self._client.creating(NODES, None, self._document(name)) for name in part]
            )
            stale = []
            for name, answer in zip(part, answers, strict=True):
                if isinstance(answer, StatusError) and answer.code != 409:
                    raise answer
                if isinstance(answer, StatusError) or not _is_ready(answer):
                    stale.append(name)
            for name, refusal in await self._post(stale):
                LOG.error("node %s: its status was refused: %s", name, refusal.message)
            await self._renew(part)
        now = self._clock()
        for index, name in enumerate(names):
            self._status_due[name] = now + STATUS_SECONDS * (index + 1) / len(names)

    async def run(self) -> None:
        """Beats until cancelled."""
        names = list(self._nodes)
        slots = max(1, min(SLOTS, len(names)))
        begun = self._clock()
        beat = 0
        while True:
            beat += 1
            behind = self._clock() - (begun + beat * RENEW_SECONDS / slots)
            if behind > RENEW_SECONDS:  # suspended: the missed beats are not made up
                begun, beat = self._clock(), 0
                continue
            await asyncio.sleep(max(0.0, -behind))
            try:
                await self.beat(names[beat % slots :: slots])
            except OSError as error:
                LOG.warning("cannot write heartbeats: %s", error)

    async def beat(self, names: Sequence[str]) -> None:
        """Renews the Leases of these nodes, and posts the statuses that are due."""
        self._look_at_changes()
        now = self._clock()
        again = list(self._behind)
        self._behind.clear()
        renewed = [name for name in dict.fromkeys([*again, *names]) if name in self._nodes]
        self._status_now.update((name, None) for name in renewed if self._status_due.get(name, now) <= now)
        try:
            await self._renew(renewed)
        except OSError:
            self._behind.update(dict.fromkeys(renewed))
            raise
        due = [name for name in self._status_now if name in self._nodes]
        refused = dict(await self._post(due))
        for name in due:
            if name not in refused:
                del self._status_now[name]
                self._status_due[name] = now + STATUS_SECONDS
            elif refused[name].code == 404:
                self._lose(name)

    def _look_at_changes(self) -> None:
        """Others write nodes too: a controller that missed heartbeats calls a node not ready, people delete nodes."""
        if self._changes is None:
            self._changes = self._informer.subscribe()
        while changes := self._changes.next_batch():
            for change in changes:
                if change.key not in self._nodes or change.initial:
                    continue
                if change.type == "DELETED" and self._informer.cache.get(change.key) is None:
                    self._lose(change.key)
                elif not _is_ready(change.object):
                    self._status_now[change.key] = None

    def _lose(self, name: str) -> None:
        if self._nodes.pop(name, None):
            LOG.warning("node %s was deleted: its heartbeats end", name)
        self._status_now.pop(name, None)
        self._behind.pop(name, None)

    async def _renew(self, names: Sequence[str]) -> None:
        """A Lease that is not there is made."""
        if not names:
            return
        now = timestamps.format_micro(datetime.now(UTC))
        operations = [
            self._new_lease(name, now) if name in self._no_lease else self._renewal(name, now) for name in names
        ]
        found = []
        for name, answer in zip(names, await self._client.batch(operations), strict=True):
            if not isinstance(answer, StatusError):
                self._no_lease.pop(name, None)
            elif answer.code == 409 and name in self._no_lease:  # left by an earlier life
                del self._no_lease[name]
                found.append(name)
            elif answer.code == 404:
                self._no_lease[name] = None
                self._behind[name] = None
            else:
                LOG.warning("node %s: its Lease was refused: %s", name, answer.message)
                self._behind[name] = None
        await self._renew(found)

    def _renewal(self, name: str, now: str) -> Operation:
        spec = {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now}
        return self._client.patching(LEASES, LEASE_NAMESPACE, name, {"spec": spec})

    def _new_lease(self, name: str, now: str) -> Operation:
        metadata: dict[str, Any] = {"name": name, "namespace": LEASE_NAMESPACE}
        if node := self._informer.cache.get(name):
            owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node.uid}
            metadata["ownerReferences"] = [owner]
        spec = {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now}
        document = {"apiVersion": LEASES.api_version, "kind": "Lease", "metadata": metadata, "spec": spec}
        return self._client.creating(LEASES, LEASE_NAMESPACE, document)

    async def _post(self, names: Sequence[str]) -> list[tuple[str, StatusError]]:
        """Writes the whole status of each; the refusals."""
        if not names:
            return []
        operations = []
        for name in names:
            patch = {"status": self._status(name, self._informer.cache.get(name))}
            operations.append(self._client.patching(NODES, None, name, patch, type="strategic", subresource="status"))
        answers = await self._client.batch(operations)
        return [(name, answer) for name, answer in zip(names, answers, strict=True) if isinstance(answer, StatusError)]

    def _labels(self, name: str) -> dict[str, str]:
        system, machine = platform.system().lower(), self._info["architecture"]
        return {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": system,
            "kubernetes.io/arch": machine,
            "beta.kubernetes.io/os": system,
            "beta.kubernetes.io/arch": machine,
            **self._shape.labels,
        }

    def _document(self, name: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": self._labels(name)},
            "spec": {},
            "status": self._status(name, None),
        }

    def _status(self, name: str, current: Object | None) -> dict[str, Any]:
        facts, now = self._nodes[name], timestamps.now()
        conditions = current.peek().get("status", {}).get("conditions") or [] if current else []
        before = {condition["type"]: condition for condition in conditions}
        conditions = []
        for type_, status, reason, message in _CONDITIONS:
            old = before.get(type_, {})
            since = old.get("lastTransitionTime", now) if old.get("status") == status else now
            condition = {"type": type_, "status": status, "lastHeartbeatTime": now, "lastTransitionTime": since}
            conditions.append({**condition, "reason": reason, "message": message})
        return {
            "capacity": self._shape.capacity(),
            "allocatable": dict(facts.allocatable),
            "conditions": conditions,
            "addresses": [{"type": "InternalIP", "address": facts.address}, {"type": "Hostname", "address": name}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._shape.port}},
            "nodeInfo": self._info,
        }


def _is_ready(node: Object) -> bool:
    conditions = (node.peek().get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _node_info(runtime_name: str) -> dict[str, str]:
    def kernel(path: str) -> str:
        try:
            with open(path, encoding="ascii") as file:
                return file.read().strip()
        except OSError:
            return uuid.uuid5(uuid.NAMESPACE_DNS, socket.gethostname()).hex

    system = platform.freedesktop_os_release() if os.path.exists("/etc/os-release") else {}
    return {
        "machineID": kernel("/etc/machine-id"),
        "systemUUID": kernel("/sys/class/dmi/id/product_uuid"),
        "bootID": kernel("/proc/sys/kernel/random/boot_id"),
        "kernelVersion": platform.release(),
        "osImage": system.get("PRETTY_NAME", platform.system()),
        "containerRuntimeVersion": f"{runtime_name}://1",
        "kubeletVersion": VERSION,
        "kubeProxyVersion": VERSION,
        "operatingSystem": platform.system().lower(),
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
    }
