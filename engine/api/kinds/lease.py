"""Lease."""

from __future__ import annotations

from typing import Any

from engine.api.errors import Cause
from engine.api.kind import Column, Document, Kind
from engine.api.kinds.age import since
from engine.api.kinds.columns import AGE, NAME
from engine.api.resource import LEASES
from engine.api.schema import Schema
from engine.api.validation import NOT_NEGATIVE, invalid


def kind() -> Kind:
    return Kind(
        resource=LEASES,
        singular="lease",
        schema=Schema.of("io.k8s.api.coordination.v1.Lease"),
        default=default,
        prepare_create=prepare_create,
        prepare_update=prepare_update,
        validate=validate,
        validate_update=validate_update,
        columns=(NAME, Column("Holder", "string", description="Who holds the lease."), AGE),
        row=row,
    )


def default(document: Document) -> None:
    document.setdefault("spec", {})


def prepare_create(document: Document) -> None:
    """Coordinated leader election is off, as it is by default: its two fields are dropped."""
    document["spec"].pop("strategy", None)
    document["spec"].pop("preferredHolder", None)


def prepare_update(new: Document, old: Document) -> None:
    prepare_create(new)


def validate(document: Document) -> list[Cause]:
    causes: list[Cause] = []
    spec = document["spec"]
    duration = spec.get("leaseDurationSeconds")
    if duration is not None and duration <= 0:
        causes.append(invalid("spec.leaseDurationSeconds", duration, "must be greater than 0"))
    transitions = spec.get("leaseTransitions")
    if transitions is not None and transitions < 0:
        causes.append(invalid("spec.leaseTransitions", transitions, NOT_NEGATIVE))
    return causes


def validate_update(new: Document, old: Document) -> list[Cause]:
    return validate(new)


def row(document: Document) -> list[Any]:
    metadata = document["metadata"]
    return [metadata["name"], document["spec"].get("holderIdentity", ""), since(metadata.get("creationTimestamp"))]
