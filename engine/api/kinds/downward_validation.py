"""Rules of references from a container to its own pod's fields and resources."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from engine.api.errors import Cause
from engine.api.quantity import canonical, parse
from engine.api.validation import each_invalid, invalid, not_supported, qualified_name, required

Values = dict[str, Any]

ENV_PATHS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
VOLUME_PATHS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")

_KNOWN = {*ENV_PATHS, *VOLUME_PATHS, "spec.restartPolicy", "spec.schedulerName", "status.phase"}
_subscripted = re.compile(r"(.*)\['([^']*)'\]", re.DOTALL).fullmatch

_RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")
_SIZES = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
# The end of a resource's name → the divisors that it takes, and what a message calls it.
_DIVISORS: Mapping[str, tuple[tuple[str, ...], str, str]] = {
    ".cpu": (("1m", "1"), "1m and 1", "cpu"),
    ".memory": (_SIZES, ", ".join(_SIZES), "memory"),
    ".ephemeral-storage": (_SIZES, ", ".join(_SIZES), "local ephemeral storage"),
    "hugepages": (_SIZES, ", ".join(_SIZES), "hugepages"),
}


def check_field(reference: Values, allowed: tuple[str, ...], path: str, causes: list[Cause]) -> None:
    """A `fieldRef`."""
    version, field = reference.get("apiVersion"), reference.get("fieldPath")
    if version == "v1" and field in allowed:
        return
    for member, value in (("apiVersion", version), ("fieldPath", field)):
        if not value:
            causes.append(required(f"{path}.{member}"))
            return
    field = "spec.nodeName" if field == "spec.host" else str(field)
    match = _subscripted(field)
    if why := _unconvertible(str(version), field, match):
        causes.append(invalid(f"{path}.fieldPath", field, f"error converting fieldPath: {why}"))
    elif match:
        key = match[2].lower() if match[1] == "metadata.annotations" else match[2]
        causes += each_invalid(path, key, qualified_name(key))
    elif field not in allowed:
        causes.append(not_supported(f"{path}.fieldPath", field, allowed))


def _unconvertible(version: str, field: str, match: re.Match[str] | None) -> str:
    if version != "v1":
        return f"unsupported pod version: {version}"
    if match:
        known = match[1] in ("metadata.annotations", "metadata.labels")
        return "" if known else f"field label does not support subscript: {field}"
    return "" if field in _KNOWN else f"field label not supported: {field}"


def check_resource(reference: Values, path: str, causes: list[Cause], *, of_volume: bool = False) -> None:
    """A `resourceFieldRef`."""
    resource = reference.get("resource", "")
    if of_volume and not reference.get("containerName"):
        causes.append(required(f"{path}.containerName"))
    elif not resource:
        causes.append(required(f"{path}.resource"))
    elif resource not in _RESOURCES and not resource.startswith(_HUGE_PAGES):
        causes.append(not_supported(f"{path}.resource", resource, _RESOURCES))
    divisor = reference.get("divisor", "0")
    if divisor != "0" and parse(divisor) != 0:
        _check_divisor(resource, canonical(divisor), path, causes)


def _check_divisor(resource: str, divisor: str, path: str, causes: list[Cause]) -> None:
    if resource.startswith(_HUGE_PAGES):
        resource_kind = "hugepages"
    elif resource in _RESOURCES:
        resource_kind = resource[resource.index(".") :]
    else:
        return
    allowed, shown, called = _DIVISORS[resource_kind]
    if divisor not in allowed:
        why = f"only divisor's values {shown} are supported with the {called} resource"
        causes.append(invalid(f"{path}.divisor", resource, why))
