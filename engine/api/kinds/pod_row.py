"""A pod's row in a table: what kubectl shows."""

from __future__ import annotations

from typing import Any

from engine.api.kind import Column, Document
from engine.api.kinds.age import since
from engine.api.kinds.columns import AGE, NAME

Values = dict[str, Any]

NONE = "<none>"

COLUMNS = (
    NAME,
    Column("Ready", "string", description="Containers that are ready, of all."),
    Column("Status", "string", description="What the pod is doing, or what hinders it."),
    Column("Restarts", "string", description="Restarts of its containers, and the time since the last."),
    AGE,
    Column("IP", "string", priority=1, description="Address of the pod."),
    Column("Node", "string", priority=1, description="Node that runs the pod."),
    Column("Nominated Node", "string", priority=1, description="Node where room is being made for the pod."),
    Column("Readiness Gates", "string", priority=1, description="Readiness gates that are true, of all."),
)


def row(document: Document) -> list[Any]:
    metadata, spec, status = document["metadata"], document.get("spec", {}), document.get("status", {})
    found = _Summary(metadata, spec, status)
    restarts = str(found.restarts)
    if found.restarts and found.last_restart:
        restarts = f"{found.restarts} ({since(found.last_restart)} ago)"
    addresses = status.get("podIPs") or [{}]
    return [
        metadata["name"],
        f"{found.ready}/{found.containers}",
        found.reason,
        restarts,
        since(metadata.get("creationTimestamp")),
        addresses[0].get("ip") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _readiness_gates(spec, status),
    ]


class _Summary:
    """What the containers' states say of the pod as a whole."""

    def __init__(self, metadata: Values, spec: Values, status: Values) -> None:
        self._status = status
        inits = spec.get("initContainers") or ()
        self._sidecars = {each["name"] for each in inits if each.get("restartPolicy") == "Always"}
        self._inits = len(inits)
        self._sidecar_restarts, self._last_sidecar_restart = 0, ""
        self.containers = len(spec.get("containers") or ()) + len(self._sidecars)
        self.ready = self.restarts = 0
        self.last_restart = ""
        self.reason = status.get("reason") or status.get("phase", "")
        if any(
            each.get("type") == "PodScheduled" and each.get("reason") == "SchedulingGated"
            for each in self._conditions()
        ):
            self.reason = "SchedulingGated"
        initializing = self._read_init_containers()
        if not initializing or self._condition("Initialized"):
            self._read_containers()
        if metadata.get("deletionTimestamp"):
            if status.get("reason") == "NodeLost":
                self.reason = "Unknown"
            elif status.get("phase") not in ("Succeeded", "Failed"):
                self.reason = "Terminating"

    def _conditions(self) -> list[Values]:
        return self._status.get("conditions") or []

    def _condition(self, type_: str) -> bool:
        return any(each.get("type") == type_ and each.get("status") == "True" for each in self._conditions())

    def _read_init_containers(self) -> bool:
        """Counts them, and says whether the pod is still initializing, or failed to."""
        for index, container in enumerate(self._status.get("initContainerStatuses") or ()):
            state = container.get("state") or {}
            sidecar = container.get("name") in self._sidecars
            self._count_restarts(container, sidecar)
            terminated = state.get("terminated")
            if terminated is not None and not terminated.get("exitCode"):
                continue
            if sidecar and container.get("started"):
                self.ready += bool(container.get("ready"))
                continue
            waiting = (state.get("waiting") or {}).get("reason", "")
            if terminated is not None:
                self.reason = f"Init:{_ended(terminated)}"
            elif waiting and waiting != "PodInitializing":
                self.reason = f"Init:{waiting}"
            else:
                self.reason = f"Init:{index}/{self._inits}"
            return True
        return False

    def _count_restarts(self, container: Values, sidecar: bool) -> None:
        count, finished = container.get("restartCount", 0), _last_finished(container)
        self.restarts += count
        self.last_restart = max(self.last_restart, finished)
        if sidecar:
            self._sidecar_restarts += count
            self._last_sidecar_restart = max(self._last_sidecar_restart, finished)

    def _read_containers(self) -> None:
        """Restarts now count those of the sidecars and containers only."""
        self.restarts, self.last_restart = self._sidecar_restarts, self._last_sidecar_restart
        running, error = False, ""
        for container in reversed(self._status.get("containerStatuses") or ()):
            state = container.get("state") or {}
            self._count_restarts(container, sidecar=False)
            terminated = state.get("terminated")
            if waiting := (state.get("waiting") or {}).get("reason"):
                self.reason = waiting
            elif terminated is not None:
                self.reason = _ended(terminated)
                if terminated.get("exitCode"):
                    error = self.reason
            elif container.get("ready") and state.get("running") is not None:
                running = True
                self.ready += 1
        if self.reason == "Completed":
            if running and self._condition("Ready"):
                self.reason = "Running"
            elif error:
                self.reason = error
            elif running:
                self.reason = "NotReady"


def _ended(terminated: Values) -> str:
    if reason := terminated.get("reason"):
        return str(reason)
    if signal := terminated.get("signal"):
        return f"Signal:{signal}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _last_finished(container: Values) -> str:
    """Timestamps of one form and zone, so that the later one is the greater string."""
    terminated = (container.get("lastState") or {}).get("terminated") or {}
    return terminated.get("finishedAt") or ""


def _readiness_gates(spec: Values, status: Values) -> str:
    gates = spec.get("readinessGates")
    if not gates:
        return NONE
    states = {each.get("type"): each.get("status") for each in reversed(status.get("conditions") or ())}
    return f"{sum(states.get(gate.get('conditionType')) == 'True' for gate in gates)}/{len(gates)}"
