"""The status of a pod, from the states of its containers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]
Status = dict[str, Any]


def phase(spec: Document, init: Sequence[Document], containers: Sequence[Document]) -> str:
    """Pending, Running, Succeeded or Failed, by the rules of the pod lifecycle."""
    policy = spec.get("restartPolicy", "Always")
    for status in init:
        code = exit_code(status)
        if code is None or (code != 0 and policy != "Never"):
            return "Pending"
        if code != 0:
            return "Failed"
    if any("waiting" in status["state"] and "terminated" not in status["lastState"] for status in containers):
        return "Pending"
    codes = [exit_code(status) for status in containers]
    if policy == "Always" or any(code is None for code in codes):
        return "Running"
    if all(code == 0 for code in codes):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def exit_code(status: Document) -> int | None:
    """Of a container that is not running and not about to start again."""
    terminated = status["state"].get("terminated")
    return terminated["exitCode"] if terminated else None


def conditions(
    phase: str,
    init: Sequence[Document],
    containers: Sequence[Document],
    now: str,
    generation: int,
    *,
    network: bool = True,
) -> list[Status]:
    """The four conditions that a kubelet owns."""
    incomplete = [status["name"] for status in init if exit_code(status) != 0]
    unready = [status["name"] for status in containers if not status["ready"]]
    initialized = _condition("Initialized", not incomplete, now, generation)
    if incomplete:
        initialized["reason"] = "ContainersNotInitialized"
        initialized["message"] = f"containers with incomplete status: [{' '.join(incomplete)}]"
    elif phase == "Succeeded":
        initialized["reason"] = "PodCompleted"
    conditions = [_condition("PodReadyToStartContainers", network, now, generation), initialized]
    for name in ("Ready", "ContainersReady"):
        ready = _condition(name, not unready and phase == "Running", now, generation)
        if phase == "Succeeded":
            ready["reason"] = "PodCompleted"
        elif phase == "Failed":
            ready["reason"] = "PodFailed"
        elif unready:
            ready["reason"] = "ContainersNotReady"
            ready["message"] = f"containers with unready status: [{' '.join(unready)}]"
        conditions.append(ready)
    return conditions


def _condition(name: str, status: bool, now: str, generation: int) -> Status:
    condition: Status = {"type": name, "status": "True" if status else "False"}
    if generation:
        condition["observedGeneration"] = generation
    return {**condition, "lastProbeTime": None, "lastTransitionTime": now}


def keep_transitions(wanted: Status, current: Document) -> None:
    """A condition whose status is what it was keeps the time at which it became so."""
    since = {c["type"]: c for c in current.get("conditions") or ()}
    for condition in wanted.get("conditions", ()):
        before = since.get(condition["type"])
        if before and before.get("status") == condition["status"] and before.get("lastTransitionTime"):
            condition["lastTransitionTime"] = before["lastTransitionTime"]


def is_current(wanted: Status, current: Document) -> bool:
    """Whether the object says already what this status would write."""
    for name, value in wanted.items():
        if name == "conditions":
            have = {c["type"]: c for c in current.get("conditions") or ()}
            if any(have.get(c["type"]) != _without_nulls(c) and have.get(c["type"]) != c for c in value):
                return False
        elif current.get(name) != value:
            return False
    return True


def agrees(wanted: Status, current: Document) -> bool:
    """Whether the object has the same phase and the same readiness."""
    return wanted["phase"] == current.get("phase") and is_ready(wanted) == is_ready(current)


def is_ready(status: Document) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or ())


def _without_nulls(condition: Document) -> Status:
    return {name: value for name, value in condition.items() if value is not None}


def rejected(reason: str, message: str, now: str, generation: int) -> Status:
    """The status of a pod that the node does not take."""
    status: Status = {"phase": "Failed", "reason": reason, "message": message, "startTime": now}
    if generation:
        status["observedGeneration"] = generation
    return status
