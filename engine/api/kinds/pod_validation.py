"""Rules of a Pod: what it may be created as, and what of it may change."""

from __future__ import annotations

import difflib
from typing import Any

import orjson

from engine.api.errors import Cause
from engine.api.kind import Document
from engine.api.kinds.podspec_validation import check_spec
from engine.api.kinds.scheduling_validation import check_tolerations
from engine.api.validation import (
    INT32_MAX,
    IS_IMMUTABLE,
    dns1123_subdomain,
    each_invalid,
    forbidden,
    invalid,
    ip_address,
    qualified_name,
    range_message,
    required,
    same,
)

Values = dict[str, Any]

_UPDATABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_NO_SPACE = "must not have leading or trailing whitespace"
_SYSTEM_CONDITIONS = frozenset(("PodScheduled", "Ready", "Initialized"))


def validate(document: Document) -> list[Cause]:
    causes = _always(document)
    spec = document["spec"]
    if spec.get("ephemeralContainers"):
        causes.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        causes.append(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    return causes


def _always(document: Document) -> list[Cause]:
    """What holds for every pod, however it came about."""
    causes = _annotation_faults(document)
    spec = document["spec"]
    check_spec(spec, "spec", causes, of_pod=True)
    if not spec.get("serviceAccountName"):
        _check_no_tokens(spec.get("volumes") or [], causes)
    for member in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(member) or ()):
            image = container.get("image") or ""
            if image != image.strip():
                causes.append(invalid(f"spec.{member}[{index}].image", image, _NO_SPACE))
    return causes


def _annotation_faults(document: Document) -> list[Cause]:
    cost = (document["metadata"].get("annotations") or {}).get(_DELETION_COST)
    if cost is None:
        return []
    digits = cost.removeprefix("-")
    leading_zero = len(digits) > 1 and digits.startswith("0")
    if digits.isascii() and digits.isdigit() and not leading_zero and -INT32_MAX - 1 <= int(cost) <= INT32_MAX:
        return []
    return [invalid(f"metadata.annotations[{_DELETION_COST}]", cost, "must be a 32bit integer")]


def _check_no_tokens(volumes: list[Values], causes: list[Cause]) -> None:
    for index, volume in enumerate(volumes):
        for number, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
            if source.get("serviceAccountToken") is not None:
                where = f"spec.volumes[{index}].projected.sources[{number}].serviceAccountToken"
                causes.append(forbidden(where, "must not be specified when serviceAccountName is not set"))


def validate_update(new: Document, old: Document) -> list[Cause]:
    spec, before = new["spec"], old["spec"]
    if spec == before:  # judged when it was stored
        return _annotation_faults(new)
    causes = _always(new)
    for member in ("containers", "initContainers"):
        containers = spec.get(member) or []
        if len(containers) != len(before.get(member) or []):
            return [*causes, forbidden(f"spec.{member}", "pod updates may not add or remove containers")]
        for index, container in enumerate(containers):
            image = container.get("image") or ""
            if not image:
                causes.append(required(f"spec.{member}[{index}].image"))
            if image != image.strip():
                causes.append(invalid(f"spec.{member}[{index}].image", image, _NO_SPACE))
    if deadline_causes := _deadline_change(spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")):
        causes += deadline_causes
        if spec.get("activeDeadlineSeconds") is not None:
            return causes
    _check_added_tolerations(spec.get("tolerations") or [], before.get("tolerations") or [], causes)
    _check_removed_gates(spec.get("schedulingGates") or [], before.get("schedulingGates") or [], causes)
    _check_unchanged(spec, before, causes)
    return causes


def _deadline_change(deadline: int | None, before: int | None) -> list[Cause]:
    """A deadline can be set and shortened."""
    field = "spec.activeDeadlineSeconds"
    if deadline is None:
        why = "must not update from a positive integer to nil value"
        return [] if before is None else [invalid(field, None, why)]
    if not 0 <= deadline <= INT32_MAX:
        return [invalid(field, deadline, range_message(0, INT32_MAX))]
    if before is not None and before < deadline:
        return [invalid(field, deadline, "must be less than or equal to previous value")]
    return []


def _check_added_tolerations(tolerations: list[Values], before: list[Values], causes: list[Cause]) -> None:
    kept = [{**toleration, "tolerationSeconds": None} for toleration in tolerations]
    if any({**toleration, "tolerationSeconds": None} not in kept for toleration in before):
        why = "existing toleration can not be modified except its tolerationSeconds"
        causes.append(forbidden("spec.tolerations", why))
    elif tolerations != before:
        check_tolerations(tolerations, "spec.tolerations", causes)


def _check_removed_gates(gates: list[Values], before: list[Values], causes: list[Cause]) -> None:
    known = {gate.get("name") for gate in before}
    for index, gate in enumerate(gates):
        if gate.get("name") not in known:
            why = f"only deletion is allowed, but found new scheduling gate '{gate.get('name', '')}'"
            causes.append(forbidden(f"spec.schedulingGates[{index}].name", why))


def _check_unchanged(spec: Values, before: Values, causes: list[Cause]) -> None:
    """All but what was judged before is as it was. A gated pod may still narrow its node selector."""
    reverted = dict(spec)
    for member in ("containers", "initContainers"):
        if spec.get(member):
            pairs = zip(spec[member], before[member], strict=True)
            reverted[member] = [{**container, "image": was.get("image")} for container, was in pairs]
    for member in ("activeDeadlineSeconds", "schedulingGates", "tolerations"):
        reverted[member] = before.get(member)
    if before.get("terminationGracePeriodSeconds", 0) < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        reverted["terminationGracePeriodSeconds"] = before["terminationGracePeriodSeconds"]
    if before.get("schedulingGates"):
        selector, was = spec.get("nodeSelector") or {}, before.get("nodeSelector") or {}
        if any(selector.get(key) != value for key, value in was.items()):
            why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
            causes.append(invalid("spec.nodeSelector", dict(sorted(selector.items())), why))
        reverted["nodeSelector"] = was
    if not same(reverted, before):
        why = f"pod updates may not change fields other than {_UPDATABLE}\n{_difference(before, reverted)}"
        causes.append(forbidden("spec", why))


def _difference(before: Values, after: Values) -> str:
    """The changed lines with three around them, as `diff -u` shows them."""
    texts = [
        orjson.dumps(
            {key: value for key, value in spec.items() if value}, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
        ).decode()
        for spec in (before, after)
    ]
    lines = difflib.unified_diff(texts[0].splitlines(), texts[1].splitlines(), lineterm="", n=3)
    return "".join(f"{line}\n" for line in list(lines)[2:])


def validate_status_update(new: Document, old: Document) -> list[Cause]:
    causes: list[Cause] = []
    status, was, spec = new.get("status") or {}, old.get("status") or {}, old["spec"]
    for index, condition in enumerate(status.get("conditions") or ()):
        if condition.get("observedGeneration", 0) < 0:
            field = f"status.conditions[{index}].observedGeneration"
            causes.append(invalid(field, condition["observedGeneration"], "must be a non-negative integer"))
        type_ = condition.get("type", "")
        if type_ not in _SYSTEM_CONDITIONS and (messages := qualified_name(type_)):
            causes += each_invalid(f"status.conditions[{index}].Type", type_, messages)
    nominated = status.get("nominatedNodeName")
    if nominated and nominated != was.get("nominatedNodeName"):
        causes += each_invalid("status.nominatedNodeName", nominated, dns1123_subdomain(nominated))
        if spec.get("nodeName"):
            why = "may not be set on pods that are already bound to a node"
            causes.append(forbidden("status.nominatedNodeName", why))
    if status.get("observedGeneration", 0) < 0:
        why = "must be a non-negative integer"
        causes.append(invalid("status.observedGeneration", status["observedGeneration"], why))
    if status.get("qosClass", "") != was.get("qosClass", ""):
        causes.append(invalid("status.qosClass", status.get("qosClass", ""), IS_IMMUTABLE))
    _check_stay_terminated(status, was, spec, "containerStatuses", causes)
    _check_stay_terminated(status, was, spec, "initContainerStatuses", causes)
    if (addresses := status.get("podIPs")) and addresses != was.get("podIPs"):
        for index, address in enumerate(addresses):
            causes += each_invalid(f"status.podIPs[{index}]", address.get("ip", ""), ip_address(address.get("ip", "")))
    return causes


def _check_stay_terminated(status: Values, was: Values, spec: Values, member: str, causes: list[Cause]) -> None:
    """A container that ended for good does not run again."""
    policy = spec.get("restartPolicy")
    if policy == "Always":
        return
    now = {each.get("name"): each for each in status.get(member) or ()}
    restarting = {
        each.get("name")
        for each in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
        if each.get("restartPolicy") or each.get("restartPolicyRules")
    }
    for index, before in enumerate(was.get(member) or ()):
        terminated, name = (before.get("state") or {}).get("terminated"), before.get("name")
        if terminated is None or name not in now or name in restarting:
            continue
        if terminated.get("exitCode", 0) and policy == "OnFailure":
            continue
        if (now[name].get("state") or {}).get("terminated") is None:
            why = "may not be transitioned to non-terminated state"
            causes.append(forbidden(f"status.{member}[{index}].state", why))
