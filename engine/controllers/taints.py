"""Taints that follow from a node's state, and how long a pod may stay on a node that has one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engine.api.timestamps import epoch_seconds, rfc3339
from engine.controllers import conditions

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
DEFAULT_TOLERATION_SECONDS = 300.0  # of the two taints above, for a pod that says nothing of them

_BY_CONDITION = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
_MANAGED = frozenset((NOT_READY, UNREACHABLE, UNSCHEDULABLE, *_BY_CONDITION.values()))

Taint = dict[str, Any]


def managed_taints(node: Mapping[str, Any]) -> set[tuple[str, str]]:
    """The (key, effect) of every taint that the node's conditions and spec call for."""
    status = node.get("status") or {}
    wanted = {(key, "NoSchedule") for type, key in _BY_CONDITION.items() if conditions.is_true(status, type)}
    ready = conditions.find(status, "Ready")
    if ready is not None and ready.get("status") != "True":
        key = NOT_READY if ready.get("status") == "False" else UNREACHABLE
        wanted |= {(key, "NoSchedule"), (key, "NoExecute")}
    if (node.get("spec") or {}).get("unschedulable"):
        wanted.add((UNSCHEDULABLE, "NoSchedule"))
    return wanted


def next_taints(node: Mapping[str, Any], now: float) -> list[Taint] | None:
    """All taints that the node shall have, those of others as they are; None when it has them. A node whose state is
    not known yet keeps what it registered with."""
    taints: Sequence[Taint] = (node.get("spec") or {}).get("taints") or []
    wanted = managed_taints(node)
    if conditions.find(node.get("status") or {}, "Ready") is None:
        wanted |= {(taint["key"], taint["effect"]) for taint in taints if taint["key"] in (NOT_READY, UNREACHABLE)}
    kept = [t for t in taints if t["key"] not in _MANAGED or (t["key"], t["effect"]) in wanted]
    missing = wanted - {(taint["key"], taint["effect"]) for taint in kept}
    if not missing and len(kept) == len(taints):
        return None
    for key, effect in sorted(missing):
        added: Taint = {"key": key, "effect": effect}
        if effect == "NoExecute":
            added["timeAdded"] = rfc3339(now)
        kept.append(added)
    return kept


def evicting(node: Mapping[str, Any]) -> list[Taint]:
    """The taints that drive pods away."""
    return [taint for taint in (node.get("spec") or {}).get("taints") or () if taint["effect"] == "NoExecute"]


def eviction_time(pod: Mapping[str, Any], taints: Iterable[Taint]) -> float:
    """When the pod has to leave a node with these NoExecute taints, in seconds since the epoch; inf for never."""
    tolerations = pod["spec"].get("tolerations") or ()
    times = (_leaves(taint, tolerations) for taint in taints)
    return min(times, default=math.inf)


def _leaves(taint: Taint, tolerations: Iterable[Mapping[str, Any]]) -> float:
    added = epoch_seconds(taint.get("timeAdded"))
    matching = [toleration for toleration in tolerations if tolerates(toleration, taint)]
    if not matching:
        return added + (DEFAULT_TOLERATION_SECONDS if taint["key"] in (NOT_READY, UNREACHABLE) else 0.0)
    seconds = [each["tolerationSeconds"] for each in matching if each.get("tolerationSeconds") is not None]
    return added + max(0, min(seconds)) if seconds else math.inf


def tolerates(toleration: Mapping[str, Any], taint: Taint) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")
