"""Tables, the form in which kubectl asks for what it prints, and objects cut down to their metadata."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from engine.api.kind import Document, Kind

Include = Literal["Metadata", "Object", "None"]

META_V1 = "meta.k8s.io/v1"


def table(
    kind: Kind,
    documents: Iterable[Document],
    metadata: Document,
    *,
    include: Include = "Metadata",
    api_version: str = META_V1,
    with_columns: bool = True,
) -> Document:
    """A Table with one row per object. `metadata` is the list's, or for one object its resourceVersion. `include` says
    what each row carries beside its cells. A watch names the columns in its first event only."""
    return {
        "kind": "Table",
        "apiVersion": api_version,
        "metadata": metadata,
        "columnDefinitions": columns(kind) if with_columns else None,
        "rows": [row(kind, document, include, api_version) for document in documents],
    }


def columns(kind: Kind) -> list[Document]:
    """The `columnDefinitions` of a kind's Tables."""
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        }
        for column in kind.columns
    ]


def row(kind: Kind, document: Document, include: Include = "Metadata", api_version: str = META_V1) -> Document:
    """One object's row. What the row carries is shared with the document."""
    carried: Any = None
    if include == "Metadata":
        carried = partial_metadata(document, api_version)
    elif include == "Object":
        carried = document
    return {"cells": kind.row(document), "object": carried}


def partial_metadata(document: Document, api_version: str = META_V1) -> Document:
    """An object as PartialObjectMetadata."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": api_version,
        "metadata": document.get("metadata", {}),
    }


def partial_metadata_list(documents: Iterable[Document], metadata: Document, api_version: str = META_V1) -> Document:
    """A list as PartialObjectMetadataList; `metadata` is the list's own."""
    return {
        "kind": "PartialObjectMetadataList",
        "apiVersion": api_version,
        "metadata": metadata,
        "items": [partial_metadata(document, api_version) for document in documents],
    }
