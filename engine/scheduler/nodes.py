"""The nodes as columns: what they have, what is taken, and a log of which changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from engine._object import Object
from engine.api.quantity import milli, whole
from engine.scheduler.podclass import BASIC, Requests

Integers = npt.NDArray[np.int64]
ZONE = "topology.kubernetes.io/zone"
COLUMNS = (
    "allocatable_cpu",
    "allocatable_memory",
    "allocatable_storage",
    "allocatable_pods",
    "used_cpu",
    "used_memory",
    "used_storage",
    "used_pods",
    "scored_cpu",
    "scored_memory",
    "zone",
)


class Nodes:
    """Node columns by index. An index belongs to one node name until the node is gone; free ones are used again.

    cpu is in milli-units, memory and storage in bytes. `changes` names the indexes whose numbers changed, in order;
    `generation` counts changes of what is static (labels, taints, existence).
    """

    allocatable_cpu: Integers
    allocatable_memory: Integers
    allocatable_storage: Integers
    allocatable_pods: Integers
    used_cpu: Integers
    used_memory: Integers
    used_storage: Integers
    used_pods: Integers
    scored_cpu: Integers
    scored_memory: Integers
    zone: Integers  # an id per zone name, -1 for none

    def __init__(self) -> None:
        self.capacity = 0
        self.index: dict[str, int] = {}
        self.names: list[str] = []
        self.labels: list[Mapping[str, str]] = []
        self.taints: list[list[Mapping[str, str]]] = []
        self.unschedulable: list[bool] = []
        self.exists = np.zeros(0, dtype=bool)
        self.extended_allocatable: dict[str, Integers] = {}
        self.extended_used: dict[str, Integers] = {}
        self.zones: dict[str, int] = {}
        self.changes: list[int] = []
        self.generation = 0
        self._free: list[int] = []
        for column in COLUMNS:
            setattr(self, column, np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        """Nodes that exist; those that only hold pods yet are not counted."""
        return int(np.count_nonzero(self.exists))

    def set(self, node: Object) -> bool:
        """Takes a node's newest state. True when something that decisions read has changed."""
        document = node.peek()
        index = self.claim(node.name)
        spec, status = document.get("spec") or {}, document.get("status") or {}
        labels: Mapping[str, str] = dict(node.labels)
        taints: list[Mapping[str, str]] = [dict(taint) for taint in spec.get("taints") or ()]
        unschedulable = bool(spec.get("unschedulable"))
        static = (labels, taints, unschedulable)
        changed = False
        if not self.exists[index] or static != (self.labels[index], self.taints[index], self.unschedulable[index]):
            self.labels[index], self.taints[index], self.unschedulable[index] = static
            name = labels.get(ZONE, "")
            self.zone[index] = self.zones.setdefault(name, len(self.zones)) if name else -1
            self.exists[index] = True
            self.generation += 1
            changed = True
        return self._set_allocatable(index, status.get("allocatable") or status.get("capacity") or {}) or changed

    def _set_allocatable(self, index: int, allocatable: Mapping[str, Any]) -> bool:
        values = (
            milli(allocatable.get("cpu", 0)),
            whole(allocatable.get("memory", 0)),
            whole(allocatable.get("ephemeral-storage", 0)),
            whole(allocatable.get("pods", 0)),
        )
        columns = (self.allocatable_cpu, self.allocatable_memory, self.allocatable_storage, self.allocatable_pods)
        changed = False
        for column, value in zip(columns, values, strict=True):
            if column[index] != value:
                column[index] = value
                changed = True
        named = {name for name in allocatable if name not in BASIC and name != "pods"}
        for name in named | set(self.extended_allocatable):
            amount = whole(allocatable.get(name, 0))
            if self._extended(self.extended_allocatable, name)[index] != amount:
                self.extended_allocatable[name][index] = amount
                changed = True
        if changed:
            self.changes.append(index)
        return changed

    def remove(self, name: str) -> None:
        """The node is gone; its pods, while they exist, keep the place until `release` by the last of them."""
        index = self.index.get(name)
        if index is None:
            return
        self.exists[index] = False
        self.zone[index] = -1
        self.labels[index], self.taints[index], self.unschedulable[index] = {}, [], False
        self._set_allocatable(index, {})
        self.generation += 1
        self._free_when_empty(index)

    def claim(self, name: str) -> int:
        """The node's index; a new one when the name is new (a pod may be seen before its node)."""
        index = self.index.get(name)
        if index is None:
            if not self._free:
                self._grow()
            index = self._free.pop()
            self.index[name] = index
            self.names[index] = name
        return index

    def take(self, index: int, requests: Requests) -> None:
        """A pod is on this node from now on."""
        self._change(index, requests, 1)

    def release(self, index: int, requests: Requests) -> None:
        """It is no longer."""
        self._change(index, requests, -1)
        self._free_when_empty(index)

    def extended_free(self, name: str) -> Integers:
        """What each node has left of an extended resource."""
        return self._extended(self.extended_allocatable, name) - self._extended(self.extended_used, name)

    def _change(self, index: int, requests: Requests, sign: int) -> None:
        self.used_pods[index] += sign
        self.used_cpu[index] += sign * requests.cpu
        self.used_memory[index] += sign * requests.memory
        self.used_storage[index] += sign * requests.ephemeral_storage
        self.scored_cpu[index] += sign * requests.scored_cpu
        self.scored_memory[index] += sign * requests.scored_memory
        for name, amount in requests.extended:
            self._extended(self.extended_used, name)[index] += sign * amount
        self.changes.append(index)

    def _extended(self, columns: dict[str, Integers], name: str) -> Integers:
        column = columns.get(name)
        if column is None:
            column = columns[name] = np.zeros(self.capacity, dtype=np.int64)
        return column

    def _free_when_empty(self, index: int) -> None:
        if not self.exists[index] and self.used_pods[index] == 0 and self.names[index]:
            del self.index[self.names[index]]
            self.names[index] = ""
            self._free.append(index)

    def _grow(self) -> None:
        more = max(64, self.capacity)
        for column in COLUMNS:
            setattr(self, column, np.concatenate([getattr(self, column), np.zeros(more, dtype=np.int64)]))
        self.zone[self.capacity :] = -1
        self.exists = np.concatenate([self.exists, np.zeros(more, dtype=bool)])
        for columns in (self.extended_allocatable, self.extended_used):
            for name, values in columns.items():
                columns[name] = np.concatenate([values, np.zeros(more, dtype=np.int64)])
        self.names += [""] * more
        self.labels += [{} for _ in range(more)]
        self.taints += [[] for _ in range(more)]
        self.unschedulable += [False] * more
        self._free += range(self.capacity + more - 1, self.capacity - 1, -1)
        self.capacity += more
        self.generation += 1  # every vector of the old length is stale
