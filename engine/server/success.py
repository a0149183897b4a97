"""`kind: Status` for what went well."""

from __future__ import annotations

from typing import Any

from engine._object import Object
from engine.api.kind import Kind


def success(details: dict[str, Any] | None = None, code: int = 0) -> Object:
    """A Status that says Success."""
    status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if details:
        status["details"] = details
    if code:
        status["code"] = code
    return Object(status)


def deleted(kind: Kind, found: Object) -> Object:
    """What is answered for an object that is gone."""
    resource = kind.resource
    details: dict[str, Any] = {"name": found.name}
    if resource.group:
        details["group"] = resource.group
    return success({**details, "kind": resource.plural, "uid": found.uid})
