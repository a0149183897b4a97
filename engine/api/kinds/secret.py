"""Secret."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import orjson

from engine.api.errors import Cause
from engine.api.kind import Column, Document, Kind
from engine.api.kinds.age import since
from engine.api.kinds.columns import AGE, NAME
from engine.api.kinds.configmap import MAX_BYTES, decoded_length, frozen
from engine.api.resource import SECRETS
from engine.api.schema import Schema
from engine.api.validation import IS_IMMUTABLE, config_key, each_invalid, invalid, required, too_long

SERVICE_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"
SERVICE_ACCOUNT_NAME = "kubernetes.io/service-account.name"

# The keys that a type requires, and those that must hold a JSON object.
_REQUIRED_KEYS: Mapping[str, tuple[str, ...]] = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_JSON_KEYS = (".dockercfg", ".dockerconfigjson")


def kind() -> Kind:
    return Kind(
        resource=SECRETS,
        singular="secret",
        schema=Schema.of("io.k8s.api.core.v1.Secret"),
        default=default,
        validate=validate,
        validate_update=validate_update,
        columns=(
            NAME,
            Column("Type", "string", description="What the data is for."),
            Column("Data", "string", description="Number of keys."),
            AGE,
        ),
        row=row,
        field_labels={"type": "type"},
    )


def default(document: Document) -> None:
    """Also moves `stringData`, which is only ever written, into `data`."""
    if not document.get("type"):
        document["type"] = "Opaque"
    if texts := document.pop("stringData", None):
        data = document["data"] = document.get("data") or {}
        for key, text in texts.items():
            data[key] = base64.b64encode(text.encode()).decode()


def validate(document: Document) -> list[Cause]:
    causes: list[Cause] = []
    data = document.get("data") or {}
    for key in sorted(data):
        causes += each_invalid(f"data[{key}]", key, config_key(key))
    if sum(map(decoded_length, data.values())) > MAX_BYTES:
        causes.append(too_long("data", MAX_BYTES))
    return causes + _typed(document, data)


def _typed(document: Document, data: Mapping[str, str]) -> list[Cause]:
    """What the type asks of the data."""
    type_ = document.get("type", "")
    if type_ == SERVICE_ACCOUNT_TOKEN:
        named = (document["metadata"].get("annotations") or {}).get(SERVICE_ACCOUNT_NAME)
        return [] if named else [required(f"metadata.annotations[{SERVICE_ACCOUNT_NAME}]")]
    if type_ == "kubernetes.io/basic-auth":
        if "username" in data or "password" in data:
            return []
        return [required("data[username]"), required("data[password]")]
    causes: list[Cause] = []
    for key in _REQUIRED_KEYS.get(type_, ()):
        field = f"data[{key}]"
        if key not in data or (key == "ssh-privatekey" and not data[key]):
            causes.append(required(field))
        elif key in _JSON_KEYS and (why := _json_fault(data[key])):
            causes.append(invalid(field, "<secret contents redacted>", why))
    return causes


def _json_fault(base64_text: str) -> str:
    try:
        value = orjson.loads(base64.b64decode(base64_text))
    except ValueError:
        return "invalid JSON"
    return "" if isinstance(value, dict) else "must be a JSON object"


def validate_update(new: Document, old: Document) -> list[Cause]:
    causes: list[Cause] = []
    if new.get("type") != old.get("type"):
        causes.append(invalid("type", new.get("type"), IS_IMMUTABLE))
    return causes + frozen(new, old, ("data",)) + validate(new)


def row(document: Document) -> list[Any]:
    metadata = document["metadata"]
    count = len(document.get("data") or ())
    return [metadata["name"], document.get("type", ""), count, since(metadata.get("creationTimestamp"))]
