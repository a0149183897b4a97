"""What is filled in to a Pod beyond what any pod's spec takes, and what a new Pod gets from the server."""

from __future__ import annotations

from typing import Any

from engine.api.errors import StatusError
from engine.api.kind import Document, keep_status
from engine.api.kinds.pod_qos import qos_class
from engine.api.kinds.podspec_defaults import default_spec

Values = dict[str, Any]

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
TOLERATION_SECONDS = 300

# The priority classes that every cluster has.
SYSTEM_PRIORITIES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}


def default(document: Document) -> None:
    spec = document.setdefault("spec", {})
    default_spec(spec)
    if spec["terminationGracePeriodSeconds"] < 0:
        spec["terminationGracePeriodSeconds"] = 1
    for member in ("containers", "initContainers"):
        for container in spec.get(member) or ():
            if limits := container["resources"].get("limits"):
                _request_limits(container["resources"], limits)
    if (resources := spec.get("resources")) and (limits := resources.get("limits")):
        _request_limits(resources, limits)
    if spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True
    document.setdefault("status", {})


def _request_limits(resources: Values, limits: Values) -> None:
    """What is limited and not requested is requested up to the limit."""
    requests = resources.get("requests")
    resources["requests"] = {**limits, **requests} if requests else dict(limits)


def prepare_create(document: Document) -> None:
    """A new pod is pending. Admission's part: default tolerations, and the priority of its class.

    Raises StatusError (403) for a priority class that does not exist.
    """
    spec = document["spec"]
    status: Values = {"phase": "Pending", "qosClass": qos_class(spec)}
    if spec.get("schedulingGates"):
        status["conditions"] = [_gated()]
    document["status"] = status
    _admit_tolerations(spec)
    _admit_priority(document["metadata"].get("name", ""), spec)
    for constraint in spec.get("topologySpreadConstraints") or ():
        if keys := constraint.get("matchLabelKeys"):
            _merge_label_keys(constraint, keys, document["metadata"].get("labels") or {})


def prepare_update(new: Document, old: Document) -> None:
    """The status stays. Admission again fills in what a client's manifest does not have, as it did at creation."""
    keep_status(new, old)
    spec, before = new["spec"], old["spec"]
    if spec is before:
        return
    for member in ("priority", "preemptionPolicy"):
        if spec.get(member) is None and member in before:
            spec[member] = before[member]
    spec["tolerations"] = list(spec.get("tolerations") or [])
    _admit_tolerations(spec)


def _gated() -> Values:
    return {
        "type": "PodScheduled",
        "status": "False",
        "lastProbeTime": None,
        "lastTransitionTime": None,
        "reason": "SchedulingGated",
        "message": "Scheduling is blocked due to non-empty scheduling gates",
    }


def _admit_tolerations(spec: Values) -> None:
    """Every pod outlives a failing node by five minutes unless it says otherwise."""
    tolerations = spec.get("tolerations") or []
    tolerated = {
        toleration.get("key", "") for toleration in tolerations if toleration.get("effect") in (None, "", "NoExecute")
    }
    if "" not in tolerated:
        tolerations += [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_SECONDS}
            for key in (NOT_READY, UNREACHABLE)
            if key not in tolerated
        ]
    if tolerations:
        spec["tolerations"] = tolerations


def _admit_priority(name: str, spec: Values) -> None:
    priority = 0
    if class_name := spec.get("priorityClassName"):
        if class_name not in SYSTEM_PRIORITIES:
            why = f'pods "{name}" is forbidden: no PriorityClass with name {class_name} was found'
            raise StatusError(403, "Forbidden", why, {"name": name, "kind": "pods"})
        priority = SYSTEM_PRIORITIES[class_name]
    if spec.get("priority") not in (None, priority):
        why = "the integer value of priority must not be provided in pod spec; priority admission controller computed "
        why += f"{priority} from the given PriorityClass name"
        raise StatusError(403, "Forbidden", f'pods "{name}" is forbidden: {why}', {"name": name, "kind": "pods"})
    spec["priority"] = priority
    if not spec.get("preemptionPolicy"):
        spec["preemptionPolicy"] = "PreemptLowerPriority"


def _merge_label_keys(constraint: Values, keys: list[str], labels: dict[str, str]) -> None:
    """The pod's own values of `matchLabelKeys` become part of the constraint's selector."""
    selector = constraint.setdefault("labelSelector", {})
    expressions = selector.setdefault("matchExpressions", [])
    for key in keys:
        if key in labels:
            expressions.append({"key": key, "operator": "In", "values": [labels[key]]})
