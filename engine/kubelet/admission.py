"""Whether a node can take a pod: what the pods on it have asked for, against what the node can give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.api import quantity

Document = Mapping[str, Any]
Amounts = dict[str, int]  # cpu in thousandths of a core, everything else in units


def requests(spec: Document) -> Amounts:
    """What a pod asks for: its containers and sidecars together, or its hungriest init container if that is more."""
    total: Amounts = {}
    for container in spec["containers"]:
        _add(total, _requested(container))
    most: Amounts = {}
    for container in spec.get("initContainers") or ():
        wanted = _requested(container)
        if container.get("restartPolicy") == "Always":
            _add(total, wanted)
            continue
        for name, amount in wanted.items():
            most[name] = max(most.get(name, 0), amount)
    for name, amount in most.items():
        total[name] = max(total.get(name, 0), amount)
    if overhead := spec.get("overhead"):
        _add(total, {name: _amount(name, value) for name, value in overhead.items()})
    total["pods"] = 1
    return total


def amounts(quantities: Mapping[str, str]) -> Amounts:
    return {name: _amount(name, value) for name, value in quantities.items()}


class NodeResources:
    """The account of one node. Kinds of resources that the node does not name are not limited by it."""

    def __init__(self, allocatable: Mapping[str, str]) -> None:
        self._allocatable = amounts(allocatable)
        self._used: Amounts = dict.fromkeys(self._allocatable, 0)

    def shortage(self, wanted: Amounts) -> tuple[str, str] | None:
        """The reason and the message of a refusal; None when the pod fits."""
        for name, amount in wanted.items():
            if name not in self._allocatable:
                continue
            used, capacity = self._used[name], self._allocatable[name]
            if amount and used + amount > capacity:
                words = (
                    f"Node didn't have enough resource: {name}, requested: {amount}, used: {used}, capacity: {capacity}"
                )
                return f"OutOf{name}", f"Pod was rejected: {words}"
        return None

    def take(self, wanted: Amounts) -> None:
        for name, amount in wanted.items():
            if name in self._used:
                self._used[name] += amount

    def give_back(self, wanted: Amounts) -> None:
        for name, amount in wanted.items():
            if name in self._used:
                self._used[name] -= amount


def _requested(container: Document) -> Amounts:
    return {
        name: _amount(name, value) for name, value in ((container.get("resources") or {}).get("requests") or {}).items()
    }


def _amount(name: str, value: str) -> int:
    return quantity.milli(value) if name == "cpu" else -(-quantity.milli(value) // 1000)


def _add(total: Amounts, more: Amounts) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount
