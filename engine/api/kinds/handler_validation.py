"""Rules of what is run in or asked of a container: probes and lifecycle hooks."""

from __future__ import annotations

from typing import Any

from engine.api.errors import Cause
from engine.api.validation import (
    NOT_NEGATIVE,
    each_invalid,
    forbidden,
    header_name,
    invalid,
    not_supported,
    port,
    required,
)

Values = dict[str, Any]

_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_SCHEMES = ("HTTP", "HTTPS")
_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def check_probe(probe: Values, path: str, causes: list[Cause], *, one_success: bool = False) -> None:
    get = probe.get
    _check_handler(probe, path, None, causes)
    if (
        get("initialDelaySeconds", 0) < 0
        or get("timeoutSeconds", 0) < 0
        or get("periodSeconds", 0) < 0
        or get("successThreshold", 0) < 0
        or get("failureThreshold", 0) < 0
    ):
        causes += [invalid(f"{path}.{each}", get(each), NOT_NEGATIVE) for each in _NUMBERS if get(each, 0) < 0]
    grace = get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        causes.append(invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0"))
    if one_success and get("successThreshold") != 1:
        causes.append(invalid(f"{path}.successThreshold", get("successThreshold", 0), "must be 1"))


def check_lifecycle(lifecycle: Values, path: str, grace_seconds: int, causes: list[Cause]) -> None:
    for member in ("postStart", "preStop"):
        if (handler := lifecycle.get(member)) is not None:
            _check_handler(handler, f"{path}.{member}", grace_seconds, causes)


def _check_handler(handler: Values, path: str, grace_seconds: int | None, causes: list[Cause]) -> None:
    """Exactly one way to act, and that one in order."""
    found = [name for name in handler if name in _HANDLERS]
    if len(found) > 1:
        found.sort(key=_HANDLERS.index)
    if not found:
        causes.append(required(path, "must specify a handler type"))
        return
    name, action = found[0], handler[found[0]]
    if name == "exec":
        if not action.get("command"):
            causes.append(required(f"{path}.exec.command"))
    elif name == "httpGet":
        _check_http_get(action, f"{path}.httpGet", causes)
    elif name == "sleep":
        seconds = action.get("seconds", 0)
        if grace_seconds is not None and not 0 <= seconds <= grace_seconds:
            why = f"must be non-negative and less than terminationGracePeriodSeconds ({grace_seconds})"
            causes.append(invalid(f"{path}.sleep", seconds, why))
    elif messages := port(action.get("port", 0)):
        causes += each_invalid(f"{path}.{name}.port", action.get("port", 0), messages)
    causes += [forbidden(f"{path}.{other}", "may not specify more than 1 handler type") for other in found[1:]]


def _check_http_get(action: Values, path: str, causes: list[Cause]) -> None:
    if not action.get("path"):
        causes.append(required(f"{path}.path"))
    if messages := port(action.get("port", 0)):
        causes += each_invalid(f"{path}.port", action.get("port", 0), messages)
    if action.get("scheme") not in _SCHEMES:
        causes.append(not_supported(f"{path}.scheme", action.get("scheme", ""), _SCHEMES))
    for header in action.get("httpHeaders") or ():
        name = header.get("name", "")
        causes += each_invalid(f"{path}.httpHeaders", name, header_name(name))
