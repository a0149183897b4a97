"""ReplicaSet."""

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
from engine.api.resource import REPLICASETS
from engine.api.schema import Schema

_COUNTERS = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas")


def kind() -> Kind:
    return Kind(
        resource=REPLICASETS,
        singular="replicaset",
        schema=Schema.of("io.k8s.api.apps.v1.ReplicaSet"),
        short_names=("rs",),
        categories=("all",),
        has_status=True,
        scale=Scale(),
        generation=True,
        default=default,
        prepare_create=prepare_create,
        prepare_update=keep_status,
        prepare_status_update=prepare_status_update,
        validate=validate,
        validate_update=validate_update,
        validate_status_update=validate_status_update,
        columns=(
            NAME,
            Column("Desired", "integer", description="Pods that are wanted."),
            Column("Current", "integer", description="Pods that are there."),
            Column("Ready", "integer", description="Pods that are ready."),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ),
        row=row,
        field_labels={"status.replicas": "status.replicas"},
        indexes={"metadata.ownerReferences[0].uid": "metadata.ownerReferences[0].uid"},
    )


def default(document: Document) -> None:
    spec = document.setdefault("spec", {})
    if spec.get("replicas") is None:
        spec["replicas"] = 1
    default_template(spec.setdefault("template", {}))
    document.setdefault("status", {}).setdefault("replicas", 0)


def prepare_create(document: Document) -> None:
    document["status"] = {"replicas": 0}


def prepare_status_update(new: Document, old: Document) -> None:
    new["spec"] = old["spec"]


def validate(document: Document) -> list[Cause]:
    spec = document["spec"]
    return not_negative(spec, "spec", ("replicas", "minReadySeconds")) + validate_selector_and_template(spec)


def validate_update(new: Document, old: Document) -> list[Cause]:
    return validate(new) + immutable_selector(new, old)


def validate_status_update(new: Document, old: Document) -> list[Cause]:
    status = new.get("status") or {}
    causes = not_negative(status, "status", (*_COUNTERS, "observedGeneration", "terminatingReplicas"))
    return causes + counters_within(status, _COUNTERS[1:])


def row(document: Document) -> list[Any]:
    metadata, spec, status = document["metadata"], document["spec"], document.get("status") or {}
    names, images = container_cells(spec["template"])
    return [
        metadata["name"],
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        since(metadata.get("creationTimestamp")),
        names,
        images,
        label_selector.text(spec.get("selector")) or "<none>",
    ]
