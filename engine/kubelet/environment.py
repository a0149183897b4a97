"""A container's environment, command and arguments, resolved as Kubernetes does."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine._object import Object
from engine._path import Path
from engine.api import quantity
from engine.api.resource import CONFIGMAPS, SECRETS, Resource

Document = Mapping[str, Any]

# `$$` is a dollar, `$(NAME)` a reference; any other dollar stands for itself.
_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


class ConfigError(Exception):
    """The container cannot be started as it is written now: `reason` is its waiting reason, the text the message."""

    def __init__(self, message: str, reason: str = "CreateContainerConfigError") -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Reference:
    """A ConfigMap or Secret in the pod's namespace that a container's environment is made of."""

    resource: Resource
    name: str


Lookup = Callable[[Reference], Object | None]


@dataclass(frozen=True, slots=True)
class Facts:
    """What fields of the pod say that its object may not say yet, and what stands in for absent limits."""

    pod_ip: str
    host_ip: str
    allocatable: Mapping[str, str]


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`$(NAME)` becomes the variable's value, or stays when there is none; `$$` becomes `$`."""
    if "$" not in text:
        return text

    def replacement(match: re.Match[str]) -> str:
        whole = match.group(0)
        return "$" if whole == "$$" else variables.get(match.group(1), whole)

    return _REFERENCE.sub(replacement, text)


def references(container: Document) -> Iterator[Reference]:
    """Every ConfigMap and Secret that `variables` will look up for this container."""
    for source in container.get("envFrom") or ():
        yield from (Reference(resource, ref["name"]) for resource, ref in _sources(source, "Ref"))
    for variable in container.get("env") or ():
        chosen = variable.get("valueFrom") or {}
        yield from (Reference(resource, ref["name"]) for resource, ref in _sources(chosen, "KeyRef"))


def variables(pod: Document, container: Document, facts: Facts, lookup: Lookup) -> dict[str, str]:
    """envFrom first, then env in order, each of which may refer to those before it. Raises ConfigError for what is
    missing and not optional."""
    result: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        prefix = source.get("prefix") or ""
        for resource, ref in _sources(source, "Ref"):
            data = _data(resource, ref, lookup)
            result.update((prefix + key, value) for key, value in data.items() if _ENV_NAME.fullmatch(prefix + key))
    for variable in container.get("env") or ():
        name, chosen = variable["name"], variable.get("valueFrom")
        if not chosen:
            result[name] = expand(variable.get("value") or "", result)
            continue
        value = _value_from(chosen, pod, container, facts, lookup)
        if value is not None:
            result[name] = value
    return result


def command(container: Document, env: Mapping[str, str], images: Mapping[str, list[str]]) -> list[str]:
    """The command and its arguments. Raises ConfigError when neither the container nor the image map has a command."""
    words = container.get("command") or images.get(container["image"])
    if not words:
        hint = "the process runtime runs no images: give spec.containers[].command, or the image a command with --image"
        raise ConfigError(f'no command for image "{container["image"]}": {hint}', "ImageNotMapped")
    return [expand(word, env) for word in [*words, *(container.get("args") or ())]]


def _sources(holder: Document, suffix: str) -> Iterator[tuple[Resource, Document]]:
    for name, resource in (("configMap", CONFIGMAPS), ("secret", SECRETS)):
        if ref := holder.get(name + suffix):
            yield resource, ref


def _data(resource: Resource, ref: Document, lookup: Lookup) -> Mapping[str, str]:
    found = lookup(Reference(resource, ref["name"]))
    if found is None:
        if ref.get("optional"):
            return {}
        raise ConfigError(f'{resource.kind.lower()} "{ref["name"]}" not found')
    data = found.peek().get("data") or {}
    if resource is SECRETS:
        return {key: base64.b64decode(value).decode("utf-8", "surrogateescape") for key, value in data.items()}
    return dict(data)


def _value_from(chosen: Document, pod: Document, container: Document, facts: Facts, lookup: Lookup) -> str | None:
    """None for an optional key that is missing: the variable is then not set."""
    if field := chosen.get("fieldRef"):
        return field_value(field["fieldPath"], pod, facts)
    if field := chosen.get("resourceFieldRef"):
        return resource_value(field, pod, container, facts)
    for resource, ref in _sources(chosen, "KeyRef"):
        data = _data(resource, ref, lookup)
        if ref["key"] in data:
            return data[ref["key"]]
        if not ref.get("optional"):
            where = f"{resource.kind} {pod['metadata']['namespace']}/{ref['name']}"
            raise ConfigError(f"couldn't find key {ref['key']} in {where}")
    return None


def field_value(path: str, pod: Document, facts: Facts) -> str:
    """The downward API's fields. ConfigError for one it has not."""
    known = {
        "status.podIP": facts.pod_ip,
        "status.podIPs": facts.pod_ip,
        "status.hostIP": facts.host_ip,
        "status.hostIPs": facts.host_ip,
    }
    if path in known:
        return known[path]
    plain = ("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName")
    if path in plain or path.startswith(("metadata.labels[", "metadata.annotations[")):
        return str(Path(path).of(pod, ""))
    raise ConfigError(f"unsupported fieldPath: {path}")


def resource_value(ref: Document, pod: Document, container: Document, facts: Facts) -> str:
    """A request or limit in units of the divisor, rounded up; an absent limit is what the node can give."""
    name = ref.get("containerName") or container["name"]
    spec = pod["spec"]
    wanted = next((c for c in [*spec["containers"], *(spec.get("initContainers") or ())] if c["name"] == name), None)
    if wanted is None:
        raise ConfigError(f"container {name} not found")
    part, _, resource = ref["resource"].partition(".")
    default = facts.allocatable.get(resource, "0") if part == "limits" else "0"
    amount = ((wanted.get("resources") or {}).get(part) or {}).get(resource, default)
    divisor = quantity.parse(ref.get("divisor") or "1") or 1
    return str(-(-quantity.parse(amount) // divisor))
