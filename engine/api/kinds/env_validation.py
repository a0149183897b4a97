"""Rules of a container's environment."""

from __future__ import annotations

from typing import Any

from engine.api.errors import Cause
from engine.api.kinds.downward_validation import ENV_PATHS, check_field, check_resource
from engine.api.validation import config_key, dns1123_subdomain, each_invalid, env_name, invalid, required

Values = dict[str, Any]

_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def check_env(variables: list[Values], path: str, causes: list[Cause]) -> None:
    for index, variable in enumerate(variables):
        name = variable.get("name")
        if not name:
            causes.append(required(f"{path}[{index}].name"))
        elif messages := env_name(name):
            causes += each_invalid(f"{path}[{index}].name", name, messages)
        source = variable.get("valueFrom")
        if source is not None and not _is_plain_field(source, variable):
            _check_source(source, variable.get("value"), f"{path}[{index}].valueFrom", causes)


def _is_plain_field(source: Values, variable: Values) -> bool:
    """Whether it is, as most are, one of the pod's own fields and nothing else, which is without fault."""
    field = source.get("fieldRef") if len(source) == 1 else None
    if field is None or variable.get("value"):
        return False
    return field.get("apiVersion") == "v1" and field.get("fieldPath") in ENV_PATHS


def _check_source(source: Values, value: str | None, path: str, causes: list[Cause]) -> None:
    get = source.get
    count = 0
    if (field := get("fieldRef")) is not None:
        count += 1
        check_field(field, ENV_PATHS, f"{path}.fieldRef", causes)
    if (resource := get("resourceFieldRef")) is not None:
        count += 1
        check_resource(resource, f"{path}.resourceFieldRef", causes)
    for member in ("configMapKeyRef", "secretKeyRef"):
        if (key := get(member)) is not None:
            count += 1
            _check_key(key, f"{path}.{member}", causes)
    if (file := get("fileKeyRef")) is not None:
        count += 1
        causes += [
            required(f"{path}.fileKeyRef.{each}") for each in ("key", "volumeName", "path") if not file.get(each)
        ]
    if not count:
        listed = ", ".join(f"`{name}`" for name in _SOURCES[:-1])
        causes.append(invalid(path, "", f"must specify one of: {listed} or `fileKeyRef`"))
    elif value:
        causes.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif count > 1:
        causes.append(invalid(path, "", "may not have more than one field specified at a time"))


def _check_key(reference: Values, path: str, causes: list[Cause]) -> None:
    """A key of a ConfigMap or Secret."""
    name, key = reference.get("name", ""), reference.get("key", "")
    if messages := dns1123_subdomain(name):
        causes += each_invalid(f"{path}.name", name, messages)
    if not key:
        causes.append(required(f"{path}.key"))
    elif messages := config_key(key):
        causes += each_invalid(f"{path}.key", key, messages)


def check_env_from(sources: list[Values], path: str, causes: list[Cause]) -> None:
    """Every key of a ConfigMap or Secret becomes a variable."""
    for index, source in enumerate(sources):
        if prefix := source.get("prefix"):
            causes += each_invalid(f"{path}[{index}].prefix", prefix, env_name(prefix))
        count = 0
        for member in ("configMapRef", "secretRef"):
            if (reference := source.get(member)) is not None:
                count += 1
                _check_named(reference, f"{path}[{index}].{member}.name", causes)
        if not count:
            causes.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif count > 1:
            causes.append(invalid(path, "", "may not have more than one field specified at a time"))


def _check_named(reference: Values, path: str, causes: list[Cause]) -> None:
    name = reference.get("name")
    if not name:
        causes.append(required(path))
    else:
        causes += each_invalid(path, name, dns1123_subdomain(name))
