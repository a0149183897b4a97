"""Refusals that the server itself makes, with Kubernetes' codes and wording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.api.errors import Cause, GenericRefusal, StatusError, invalid
from engine.api.resource import Resource

MAX_BODY_BYTES = 3 * 1024 * 1024
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


@dataclass(slots=True)
class ExpiredList(StatusError):
    """A continue token whose snapshot is gone; `continue_token` goes on from there without one."""

    continue_token: str = ""

    def to_dict(self) -> dict[str, Any]:
        status = StatusError.to_dict(self)
        if self.continue_token:
            status["metadata"] = {"continue": self.continue_token}
        return status


def unknown_resource() -> StatusError:
    return GenericRefusal(404, "NotFound", "the server could not find the requested resource")


def method_not_allowed() -> StatusError:
    why = "the server does not allow this method on the requested resource"
    return GenericRefusal(405, "MethodNotAllowed", why)


def not_acceptable(available: str) -> StatusError:
    return GenericRefusal(406, "NotAcceptable", f"406: Not Acceptable\n\nAvailable representations: {available}")


def unsupported_patch() -> StatusError:
    return GenericRefusal(415, "UnsupportedMediaType", "415: Unsupported Media Type")


def too_many() -> StatusError:
    """The server is at its bound: the client is to come back in a second."""
    message = "Too many requests, please try again later."
    return StatusError(429, "TooManyRequests", message, retry_after_seconds=1)


def too_large() -> StatusError:
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {MAX_BODY_BYTES}")


def internal_error(why: str) -> StatusError:
    return StatusError(500, "InternalError", f"Internal error occurred: {why}", causes=[Cause("", "", why)])


def unavailable(why: str) -> StatusError:
    return StatusError(503, "ServiceUnavailable", why, retry_after_seconds=1)


def invalid_options(options: str, causes: Sequence[Cause]) -> StatusError:
    """`options` is the kind of options: CreateOptions, PatchOptions, ListOptions, …"""
    return invalid("meta.k8s.io", options, "", list(causes))


def forbidden(resource: Resource, name: str, why: str, causes: Sequence[Cause] = ()) -> StatusError:
    details = {"name": name, "group": resource.group, "kind": resource.plural}
    details = {key: value for key, value in details.items() if value}
    return StatusError(403, "Forbidden", f'{resource.name} "{name}" is forbidden: {why}', details, list(causes))


def unsupported_include(value: str) -> StatusError:
    why = f'Unsupported value: "{value}": supported values: "", "Metadata", "None", "Object"'
    return invalid_options("TableOptions", [Cause("FieldValueNotSupported", "includeObject", why)])


def version_ahead(asked: int, current: int) -> StatusError:
    """A resourceVersion that the store has not reached."""
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    cause = Cause("ResourceVersionTooLarge", "", "Too large resource version")
    return StatusError(504, "Timeout", message, {}, [cause], retry_after_seconds=1)


def expired(message: str) -> StatusError:
    return StatusError(410, "Expired", message)
