"""The quality of service class of a pod."""

from __future__ import annotations

from typing import Any

from engine.api.quantity import parse

_COUNTED = ("cpu", "memory")


def qos_class(spec: dict[str, Any]) -> str:
    """Guaranteed: every container limits cpu and memory and requests what it limits. BestEffort: none asks at all."""
    if resources := spec.get("resources"):
        asked = [resources]
    else:
        containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
        asked = [container.get("resources") or {} for container in containers]
    guaranteed, anything = bool(asked), False
    for resources in asked:
        requests = _positive(resources.get("requests"))
        limits = _positive(resources.get("limits"))
        anything = anything or bool(requests) or bool(limits)
        guaranteed = guaranteed and len(limits) == len(_COUNTED) and (not requests or requests == limits)
    if not anything:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _positive(amounts: dict[str, Any] | None) -> dict[str, Any]:
    if not amounts:
        return {}
    found = {name: parse(str(amounts[name])) for name in _COUNTED if name in amounts}
    return {name: amount for name, amount in found.items() if amount > 0}
