"""Documents as a server has them: decoded, with defaults, and as a create or an update leaves them."""

from __future__ import annotations

import copy
from typing import Any

from engine.api.decode import decode_document
from engine.api.errors import Cause
from engine.api.kind import Document, Kind
from engine.api.kinds import KindTable

TABLE = KindTable.builtin()
UID = "0c67e7e4-abee-4679-a4e6-0dd5760ca04a"


def kind(name: str) -> Kind:
    return next(each for each in TABLE if each.resource.kind == name)


def defaulted(name: str, document: Document) -> Document:
    found = kind(name)
    decoded = decode_document(copy.deepcopy(document), found.schema, found.resource, field_validation="Strict").document
    found.default(decoded)
    return decoded


def created(name: str, document: Document) -> Document:
    """As stored, faults or not."""
    found = kind(name)
    made = defaulted(name, {"metadata": {"name": "x"}, **document})
    made["metadata"]["uid"] = UID
    if found.resource.namespaced:
        made["metadata"].setdefault("namespace", "default")
    found.prepare_create(made)
    return made


def faults(name: str, document: Document) -> list[tuple[str, str]]:
    """What is wrong with creating it: field and message of each cause."""
    return told(kind(name).validate(created(name, document)))


def updated(name: str, stored: Document, change: Document, subresource: str = "") -> Document:
    """What a merge patch makes of a stored document."""
    found = kind(name)
    new = defaulted(name, merged(stored, change))
    prepare = found.prepare_status_update if subresource == "status" else found.prepare_update
    prepare(new, stored)
    return new


def update_faults(name: str, stored: Document, change: Document, subresource: str = "") -> list[tuple[str, str]]:
    found = kind(name)
    before = copy.deepcopy(stored)
    new = updated(name, stored, change, subresource)
    judge = found.validate_status_update if subresource == "status" else found.validate_update
    causes = told(judge(new, stored))
    assert stored == before, "the stored document was changed"
    return causes


def told(causes: list[Cause]) -> list[tuple[str, str]]:
    return [(cause.field, cause.message) for cause in causes]


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    out = copy.deepcopy(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merged(out.get(key), value)
    return out


def pod(container: Document | None = None, metadata: Document | None = None, **spec: Any) -> Document:
    """A pod of one container, with these members over."""
    containers = [{"name": "c", "image": "nginx", **(container or {})}]
    return {"metadata": {"name": "p", **(metadata or {})}, "spec": {"containers": containers, **spec}}


def template(**spec: Any) -> Document:
    return {"metadata": {"labels": {"app": "w"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}], **spec}}


def workload(**spec: Any) -> Document:
    """The spec of a Deployment or ReplicaSet."""
    return {"spec": {"selector": {"matchLabels": {"app": "w"}}, "template": template(), **spec}}


def job(**spec: Any) -> Document:
    return {"spec": {"template": {"spec": {**template()["spec"], "restartPolicy": "Never"}}, **spec}}
