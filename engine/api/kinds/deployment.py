"""Deployment."""

from __future__ import annotations

from typing import Any

from engine.api.errors import Cause
from engine.api.kind import Column, Document, Kind, Scale, keep_status
from engine.api.kinds import label_selector
from engine.api.kinds.age import since
from engine.api.kinds.columns import AGE, CONTAINERS, IMAGES, NAME, SELECTOR, container_cells
from engine.api.kinds.podspec_defaults import default_template
from engine.api.kinds.workload_validation import (
    counters_within,
    immutable_selector,
    not_negative,
    validate_selector_and_template,
)
from engine.api.resource import DEPLOYMENTS
from engine.api.schema import Schema
from engine.api.validation import NOT_NEGATIVE, forbidden, invalid, not_supported, percent

Values = dict[str, Any]

_COUNTERS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")


def kind() -> Kind:
    return Kind(
        resource=DEPLOYMENTS,
        singular="deployment",
        schema=Schema.of("io.k8s.api.apps.v1.Deployment"),
        short_names=("deploy",),
        categories=("all",),
        has_status=True,
        scale=Scale(),
        generation=True,
        generation_counts_annotations=True,
        default=default,
        prepare_create=prepare_create,
        prepare_update=keep_status,
        prepare_status_update=prepare_status_update,
        validate=validate,
        validate_update=validate_update,
        validate_status_update=validate_status_update,
        columns=(
            NAME,
            Column("Ready", "string", description="Pods that are ready, of those wanted."),
            Column("Up-to-date", "string", description="Pods of the newest template."),
            Column("Available", "string", description="Pods that have been ready for long enough."),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ),
        row=row,
    )


def default(document: Document) -> None:
    spec = document.setdefault("spec", {})
    if spec.get("replicas") is None:
        spec["replicas"] = 1
    strategy = spec["strategy"] = spec.get("strategy") or {}
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy["rollingUpdate"] = strategy.get("rollingUpdate") or {}
        for member in ("maxUnavailable", "maxSurge"):
            if rolling.get(member) is None:
                rolling[member] = "25%"
    if spec.get("revisionHistoryLimit") is None:
        spec["revisionHistoryLimit"] = 10
    if spec.get("progressDeadlineSeconds") is None:
        spec["progressDeadlineSeconds"] = 600
    default_template(spec.setdefault("template", {}))
    document.setdefault("status", {})


def prepare_create(document: Document) -> None:
    document["status"] = {}


def prepare_status_update(new: Document, old: Document) -> None:
    new["spec"] = old["spec"]
    if "labels" in old["metadata"]:
        new["metadata"]["labels"] = old["metadata"]["labels"]
    else:
        new["metadata"].pop("labels", None)


def validate(document: Document) -> list[Cause]:
    spec = document["spec"]
    causes = not_negative(spec, "spec", ("replicas",))
    causes += validate_selector_and_template(spec)
    causes += _strategy_faults(spec["strategy"])
    causes += not_negative(spec, "spec", ("minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"))
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline <= (spec.get("minReadySeconds") or 0):
        causes.append(invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))
    return causes


def _strategy_faults(strategy: Values) -> list[Cause]:
    type_, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if type_ == "Recreate":
        if rolling is None:
            return []
        why = "may not be specified when strategy `type` is 'Recreate'"
        return [forbidden("spec.strategy.rollingUpdate", why)]
    if type_ != "RollingUpdate":
        return [
            not_supported("spec.strategy", {"Type": type_, "RollingUpdate": rolling}, ("Recreate", "RollingUpdate"))
        ]
    return _rolling_faults(rolling or {})


def _rolling_faults(rolling: Values) -> list[Cause]:
    causes: list[Cause] = []
    for member in ("maxUnavailable", "maxSurge"):
        causes += _int_or_percent_faults(rolling[member], f"spec.strategy.rollingUpdate.{member}")
    unavailable = rolling["maxUnavailable"]
    field = "spec.strategy.rollingUpdate.maxUnavailable"
    if _amount(unavailable) == 0 and _amount(rolling["maxSurge"]) == 0:
        causes.append(invalid(field, unavailable, "may not be 0 when `maxSurge` is 0"))
    if isinstance(unavailable, str) and _amount(unavailable) > 100:
        causes.append(invalid(field, unavailable, "must not be greater than 100%"))
    return causes


def _int_or_percent_faults(value: int | str, field: str) -> list[Cause]:
    if isinstance(value, str):
        return [invalid(field, value, message) for message in percent(value)]
    return [invalid(field, value, NOT_NEGATIVE)] if value < 0 else []


def _amount(value: int | str) -> int:
    """The number, also of a percentage; 0 for a text that is none."""
    if isinstance(value, int):
        return value
    digits = value.removesuffix("%")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0


def validate_update(new: Document, old: Document) -> list[Cause]:
    return validate(new) + immutable_selector(new, old)


def validate_status_update(new: Document, old: Document) -> list[Cause]:
    status, was = new.get("status") or {}, old.get("status") or {}
    causes = not_negative(status, "status", ("observedGeneration", *_COUNTERS, "terminatingReplicas", "collisionCount"))
    causes += counters_within(status, ("updatedReplicas", "readyReplicas", "availableReplicas"))
    count = status.get("collisionCount") or 0
    if count < (was.get("collisionCount") or 0):
        causes.append(invalid("status.collisionCount", count, "cannot be decremented"))
    return causes


def row(document: Document) -> list[Any]:
    metadata, spec, status = document["metadata"], document["spec"], document.get("status") or {}
    names, images = container_cells(spec["template"])
    return [
        metadata["name"],
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        since(metadata.get("creationTimestamp")),
        names,
        images,
        label_selector.text(spec.get("selector")),
    ]
