"""Node."""

from __future__ import annotations

from typing import Any

from engine.api.errors import Cause
from engine.api.kind import Column, Document, Kind, keep_status
from engine.api.kinds.age import since
from engine.api.kinds.columns import AGE, NAME
from engine.api.kinds.pod_defaults import NOT_READY
from engine.api.resource import NODES
from engine.api.schema import Schema

ROLE_PREFIX = "node-role.kubernetes.io/"
_INFO = (
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
)


def kind() -> Kind:
    return Kind(
        resource=NODES,
        singular="node",
        schema=Schema.of("io.k8s.api.core.v1.Node"),
        short_names=("no",),
        has_status=True,
        default=default,
        prepare_create=prepare_create,
        prepare_update=keep_status,
        prepare_status_update=prepare_status_update,
        columns=(
            NAME,
            Column("Status", "string", description="Whether the node is ready and takes pods."),
            Column("Roles", "string", description="What the node is for, by its labels."),
            AGE,
            Column("Version", "string", description="Version of its kubelet."),
            Column("Internal-IP", "string", priority=1, description="Address within the cluster."),
            Column("External-IP", "string", priority=1, description="Address from outside."),
            Column("OS-Image", "string", priority=1, description="Operating system."),
            Column("Kernel-Version", "string", priority=1, description="Kernel, and architecture."),
            Column("Container-Runtime", "string", priority=1, description="Container runtime and its version."),
        ),
        row=row,
        field_labels={"spec.unschedulable": "spec.unschedulable"},
    )


def default(document: Document) -> None:
    document.setdefault("spec", {})
    status = document.setdefault("status", {})
    if "allocatable" not in status and (capacity := status.get("capacity")) is not None:
        status["allocatable"] = dict(capacity)
    status.setdefault("daemonEndpoints", {}).setdefault("kubeletEndpoint", {"Port": 0})
    info = status.setdefault("nodeInfo", {})
    for member in _INFO:
        info.setdefault(member, "")
    for condition in status.get("conditions") or ():
        condition.setdefault("lastHeartbeatTime", None)
        condition.setdefault("lastTransitionTime", None)


def prepare_create(document: Document) -> None:
    """Admission's part: a new node takes no pods until somebody who sees it ready removes the taint."""
    taints = document["spec"].setdefault("taints", [])
    if not any(taint.get("key") == NOT_READY and taint.get("effect") == "NoSchedule" for taint in taints):
        taints.append({"key": NOT_READY, "effect": "NoSchedule"})


def prepare_status_update(new: Document, old: Document) -> None:
    new["spec"] = old["spec"]


def validate(document: Document) -> list[Cause]:
    return []


def row(document: Document) -> list[Any]:
    metadata, status = document["metadata"], document.get("status", {})
    info = status.get("nodeInfo", {})
    kernel = info.get("kernelVersion") or "<unknown>"
    if architecture := info.get("architecture"):
        kernel = f"{kernel} ({architecture})"
    return [
        metadata["name"],
        _state(document),
        _roles(metadata.get("labels") or {}),
        since(metadata.get("creationTimestamp")),
        info.get("kubeletVersion", ""),
        _address(status, "InternalIP"),
        _address(status, "ExternalIP"),
        info.get("osImage") or "<unknown>",
        kernel,
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def _state(document: Document) -> str:
    conditions = document.get("status", {}).get("conditions") or ()
    ready = [condition.get("status") for condition in conditions if condition.get("type") == "Ready"]
    state = "Unknown" if not ready else "Ready" if ready[-1] == "True" else "NotReady"
    return f"{state},SchedulingDisabled" if document.get("spec", {}).get("unschedulable") else state


def _roles(labels: dict[str, str]) -> str:
    roles = {key.removeprefix(ROLE_PREFIX) for key in labels if key.startswith(ROLE_PREFIX)}
    roles.add(labels.get("kubernetes.io/role", ""))
    return ",".join(sorted(roles - {""})) or "<none>"


def _address(status: dict[str, Any], type_: str) -> str:
    for address in status.get("addresses") or ():
        if address.get("type") == type_:
            return str(address.get("address", ""))
    return "<none>"
