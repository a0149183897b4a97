"""API errors: every refusal is a Kubernetes `Status`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Cause:
    """One field's fault. `reason` is Kubernetes' cause type: FieldValueRequired, FieldValueInvalid, …"""

    reason: str
    field: str
    message: str

    def to_dict(self) -> dict[str, str]:
        """Empty members are left out, as the server does."""
        members = {"reason": self.reason, "message": self.message, "field": self.field}
        return {name: value for name, value in members.items() if value}


@dataclass(slots=True)
class StatusError(Exception):
    """A request that was refused, with what `kind: Status` needs to say so.

    `details` are the Status' details without `causes`; `retry_after_seconds` is also sent as the Retry-After header.
    """

    code: int
    reason: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)
    causes: list[Cause] = field(default_factory=list)
    retry_after_seconds: int = 0

    def __post_init__(self) -> None:
        Exception.__init__(self, self.message)

    def __str__(self) -> str:
        return self.message

    def to_dict(self) -> dict[str, Any]:
        """The Status object as the server sends it."""
        details = dict(self.details)
        if self.causes:
            details["causes"] = [cause.to_dict() for cause in self.causes]
        if self.retry_after_seconds:
            details["retryAfterSeconds"] = self.retry_after_seconds
        status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        status["message"] = self.message
        if self.reason:
            status["reason"] = self.reason
        if details:
            status["details"] = details
        status["code"] = self.code
        return status

    @classmethod
    def from_dict(cls, status: dict[str, Any]) -> StatusError:
        """What a server's Status said; unknown or missing parts become empty."""
        details = dict(status.get("details") or {})
        causes = [
            Cause(cause.get("reason", ""), cause.get("field", ""), cause.get("message", ""))
            for cause in details.pop("causes", None) or []
        ]
        retry = int(details.pop("retryAfterSeconds", 0) or 0)
        code = int(status.get("code") or 500)
        return cls(code, status.get("reason", ""), status.get("message", ""), details, causes, retry)


class GenericRefusal(StatusError):
    """One whose Status has its details even when there are none: what Kubernetes says without knowing the object."""

    def to_dict(self) -> dict[str, Any]:
        status = StatusError.to_dict(self)
        if "details" not in status:
            code = status.pop("code")
            status["details"], status["code"] = {}, code
        return status


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def not_found(group: str, plural: str, name: str) -> StatusError:
    details = {"name": name, "group": group, "kind": plural} if group else {"name": name, "kind": plural}
    return StatusError(404, "NotFound", f'{qualified(group, plural)} "{name}" not found', details)


def already_exists(group: str, plural: str, name: str) -> StatusError:
    details = {"name": name, "group": group, "kind": plural} if group else {"name": name, "kind": plural}
    return StatusError(409, "AlreadyExists", f'{qualified(group, plural)} "{name}" already exists', details)


def conflict(group: str, plural: str, name: str, why: str) -> StatusError:
    details = {"name": name, "group": group, "kind": plural} if group else {"name": name, "kind": plural}
    message = f'Operation cannot be fulfilled on {qualified(group, plural)} "{name}": {why}'
    return StatusError(409, "Conflict", message, details)


def qualified(group: str, plural: str) -> str:
    """`deployments.apps`, or `pods` in the core group."""
    return f"{plural}.{group}" if group else plural


def invalid(group: str, kind: str, name: str, causes: list[Cause]) -> StatusError:
    """422: what is wrong with an object's fields, each with its path. `kind` is the kind itself, `Deployment`."""
    details = {"name": name, "group": group, "kind": kind}
    faults = list(dict.fromkeys(f"{cause.field}: {cause.message}" for cause in causes))
    listed = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
    message = f'{qualified(group, kind)} "{name}" is invalid: {listed}'
    return StatusError(422, "Invalid", message, {key: value for key, value in details.items() if value}, causes)
