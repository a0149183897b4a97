"""Node."""

from __future__ import annotations

import ipaddress
from typing import Any

from engine.api.errors import Cause
from engine.api.kind import Column, Document, Kind, keep_status
from engine.api.kinds.age import since
from engine.api.kinds.columns import AGE, NAME
from engine.api.kinds.pod_defaults import NOT_READY
from engine.api.kinds.resources_validation import check_amount
from engine.api.kinds.scheduling_validation import TAINT_EFFECTS
from engine.api.resource import NODES
from engine.api.schema import Schema
from engine.api.validation import (
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    label_value,
    not_supported,
    qualified_name,
    required,
)

Values = dict[str, Any]

ROLE_PREFIX = "node-role.kubernetes.io/"


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
        validate=validate,
        validate_update=validate_update,
        validate_status_update=validate_update,
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


def prepare_create(document: Document) -> None:
    """Admission's part: a new node takes no pods until somebody who sees it ready removes the taint."""
    taints = document["spec"].setdefault("taints", [])
    if not any(taint.get("key") == NOT_READY and taint.get("effect") == "NoSchedule" for taint in taints):
        taints.append({"key": NOT_READY, "effect": "NoSchedule"})


def prepare_status_update(new: Document, old: Document) -> None:
    new["spec"] = old["spec"]


def validate(document: Document) -> list[Cause]:
    return _taint_faults(document["spec"]) + _resource_faults(document) + _pod_cidr_faults(document["spec"])


def _taint_faults(spec: Values) -> list[Cause]:
    """Kubernetes looks for taints in the metadata when it names their field."""
    causes: list[Cause] = []
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(spec.get("taints") or ()):
        where, key, value, effect = (
            f"metadata.taints[{index}]",
            taint.get("key", ""),
            taint.get("value", ""),
            taint.get("effect", ""),
        )
        causes += each_invalid(f"{where}.key", key, qualified_name(key))
        if messages := label_value(value):
            causes.append(invalid(f"{where}.value", value, ";".join(messages)))
        if not effect:
            causes.append(required(f"{where}.effect"))
        elif effect not in TAINT_EFFECTS:
            causes.append(not_supported(f"{where}.effect", effect, TAINT_EFFECTS))
        if (key, effect) in seen:
            twice = duplicate(where, taint)
            why = "taints must be unique by key and effect pair"
            causes.append(Cause(twice.reason, twice.field, f"{twice.message}: {why}"))
        seen.add((key, effect))
    return causes


def _resource_faults(document: Document) -> list[Cause]:
    causes: list[Cause] = []
    status = document.get("status") or {}
    for member in ("capacity", "allocatable"):
        for name, amount in (status.get(member) or {}).items():
            check_amount(name, amount, f"status.{member}.{name}", causes)
    return causes


def _pod_cidr_faults(spec: Values) -> list[Cause]:
    causes: list[Cause] = []
    for index, cidr in enumerate(spec.get("podCIDRs") or ()):
        try:
            ipaddress.ip_network(cidr, strict=False)
        except ValueError:
            why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            causes.append(invalid(f"spec.podCIDRs[{index}]", cidr, why))
    return causes


def validate_update(new: Document, old: Document) -> list[Cause]:
    """Addresses and the provider's name are given once."""
    spec, before = new["spec"], old["spec"]
    causes = _resource_faults(new)
    addresses = (new.get("status") or {}).get("addresses") or []
    for index, address in enumerate(addresses):
        if address in addresses[:index]:
            causes.append(duplicate(f"status.addresses[{index}]", address))
    for member, name in (("podCIDRs", "podCIDR"), ("providerID", "providerID")):
        if before.get(member) and spec.get(member) != before[member]:
            why = f'node updates may not change {name} except from "" to valid'
            causes.append(forbidden(f"spec.{member}", why))
    return causes + _taint_faults(spec)


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
