"""Namespace."""

from __future__ import annotations

from typing import Any

from engine.api.errors import Cause
from engine.api.kind import Column, Document, Kind, keep_status
from engine.api.kinds.age import since
from engine.api.kinds.columns import AGE, NAME
from engine.api.resource import NAMESPACES
from engine.api.schema import Schema
from engine.api.validation import dns1123_label, each_invalid, invalid, qualified_name

NAME_LABEL = "kubernetes.io/metadata.name"
FINALIZER = "kubernetes"


def kind() -> Kind:
    return Kind(
        resource=NAMESPACES,
        singular="namespace",
        schema=Schema.of("io.k8s.api.core.v1.Namespace"),
        short_names=("ns",),
        verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
        has_status=True,
        subresources=("finalize",),
        name_rule=dns1123_label,
        default=default,
        prepare_create=prepare_create,
        prepare_update=prepare_update,
        prepare_status_update=prepare_status_update,
        validate=validate,
        validate_status_update=validate_status_update,
        columns=(NAME, Column("Status", "string", description="Phase of the namespace."), AGE),
        row=row,
        field_labels={"status.phase": "status.phase"},
    )


def default(document: Document) -> None:
    metadata = document["metadata"]
    if name := metadata.get("name"):
        metadata.setdefault("labels", {})[NAME_LABEL] = name
    document.setdefault("spec", {})
    status = document.setdefault("status", {})
    if not status.get("phase"):
        status["phase"] = "Active"


def prepare_create(document: Document) -> None:
    document["status"] = {"phase": "Active"}
    metadata = document["metadata"]
    metadata.setdefault("labels", {})[NAME_LABEL] = metadata["name"]  # the name may have been generated
    finalizers = document["spec"].setdefault("finalizers", [])
    if FINALIZER not in finalizers:
        finalizers.append(FINALIZER)


def prepare_update(new: Document, old: Document) -> None:
    """Finalizers in the spec change through the subresource `finalize` only."""
    new["spec"] = {**new["spec"], "finalizers": old["spec"].get("finalizers", [])}
    keep_status(new, old)


def prepare_status_update(new: Document, old: Document) -> None:
    new["spec"] = old["spec"]


def validate(document: Document) -> list[Cause]:
    causes: list[Cause] = []
    for name in document["spec"].get("finalizers", ()):
        if messages := qualified_name(name):
            causes += each_invalid("spec.finalizers", name, messages)
        elif "/" not in name and name != FINALIZER:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            causes.append(invalid("spec.finalizers", name, why))
    return causes


def validate_status_update(new: Document, old: Document) -> list[Cause]:
    """A namespace terminates exactly while it is being deleted."""
    phase = new.get("status", {}).get("phase", "")
    if "deletionTimestamp" in new["metadata"]:
        if phase != "Terminating":
            return [invalid("status.Phase", phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")]
    elif phase != "Active":
        return [invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")]
    return []


def row(document: Document) -> list[Any]:
    metadata = document["metadata"]
    return [metadata["name"], document.get("status", {}).get("phase", ""), since(metadata.get("creationTimestamp"))]
