"""The quality of service class of a pod."""

from __future__ import annotations

from typing import Any

from engine.api.kinds.resources_validation import compared

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
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        for name in _COUNTED:
            request, limit = requests.get(name, "0"), limits.get(name, "0")
            requested, limited = compared(request, "0") > 0, compared(limit, "0") > 0
            anything = anything or requested or limited
            guaranteed = guaranteed and limited and (request == limit or compared(request, limit) == 0)
    if not anything:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"
