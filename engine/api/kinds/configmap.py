"""ConfigMap."""

from __future__ import annotations

from typing import Any

from engine.api.errors import Cause
from engine.api.kind import Column, Document, Kind
from engine.api.kinds.age import since
from engine.api.kinds.columns import AGE, NAME
from engine.api.resource import CONFIGMAPS
from engine.api.schema import Schema
from engine.api.validation import config_key, each_invalid, forbidden, invalid, too_long

MAX_BYTES = 1024 * 1024
FROZEN = "field is immutable when `immutable` is set"


def kind() -> Kind:
    return Kind(
        resource=CONFIGMAPS,
        singular="configmap",
        schema=Schema.of("io.k8s.api.core.v1.ConfigMap"),
        short_names=("cm",),
        validate=validate,
        validate_update=validate_update,
        columns=(NAME, Column("Data", "string", description="Number of keys."), AGE),
        row=row,
    )


def validate(document: Document) -> list[Cause]:
    causes: list[Cause] = []
    size = 0
    texts, blobs = document.get("data") or {}, document.get("binaryData") or {}
    for key, text in sorted(texts.items()):
        causes += each_invalid(f"data[{key}]", key, config_key(key))
        if key in blobs:
            causes.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
        size += len(text) if text.isascii() else len(text.encode())
    for key, blob in sorted(blobs.items()):
        causes += each_invalid(f"binaryData[{key}]", key, config_key(key))
        size += decoded_length(blob)
    if size > MAX_BYTES:
        causes.append(too_long("[]", MAX_BYTES))  # Kubernetes' spelling of "the whole object"
    return causes


def validate_update(new: Document, old: Document) -> list[Cause]:
    return frozen(new, old, ("data", "binaryData")) + validate(new)


def frozen(new: Document, old: Document, members: tuple[str, ...]) -> list[Cause]:
    """What an immutable ConfigMap or Secret may not change: `members`, and that it is immutable."""
    if not old.get("immutable"):
        return []
    causes = [] if new.get("immutable") else [forbidden("immutable", FROZEN)]
    return causes + [
        forbidden(member, FROZEN) for member in members if (new.get(member) or {}) != (old.get(member) or {})
    ]


def decoded_length(base64_text: str | None) -> int:
    """The number of bytes that a base64 text stands for; of none, none."""
    if not base64_text:
        return 0
    return len(base64_text) // 4 * 3 - base64_text[-2:].count("=")


def row(document: Document) -> list[Any]:
    metadata = document["metadata"]
    count = len(document.get("data") or ()) + len(document.get("binaryData") or ())
    return [metadata["name"], count, since(metadata.get("creationTimestamp"))]
