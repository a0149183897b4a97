"""ServiceAccount: stored only."""

from __future__ import annotations

from typing import Any

from engine.api.kind import Document, Kind
from engine.api.kinds.age import since
from engine.api.kinds.columns import AGE, NAME
from engine.api.resource import SERVICEACCOUNTS
from engine.api.schema import Schema


def kind() -> Kind:
    return Kind(
        resource=SERVICEACCOUNTS,
        singular="serviceaccount",
        schema=Schema.of("io.k8s.api.core.v1.ServiceAccount"),
        short_names=("sa",),
        columns=(NAME, AGE),
        row=row,
    )


def row(document: Document) -> list[Any]:
    metadata = document["metadata"]
    return [metadata["name"], since(metadata.get("creationTimestamp"))]
