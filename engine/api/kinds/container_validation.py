"""Rules of a pod's containers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.api.errors import Cause
from engine.api.kinds.env_validation import check_env, check_env_from
from engine.api.kinds.handler_validation import check_lifecycle, check_probe
from engine.api.kinds.resources_validation import check_resources
from engine.api.kinds.security_validation import check_container_security
from engine.api.kinds.volume_validation import check_descending, check_no_backsteps
from engine.api.validation import (
    dns1123_label,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_found,
    not_supported,
    port_name,
    port_number,
    required,
    too_many,
)

Values = dict[str, Any]

_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_RECURSIONS = ("Disabled", "Enabled", "IfPossible")
_RESTARTS = ("Always", "Never", "OnFailure")
_RULE_ACTIONS = ("Restart", "RestartAllContainers")
_RULE_OPERATORS = ("In", "NotIn")
_RESIZED = ("cpu", "memory")
_RESIZES = ("NotRequired", "RestartContainer")
_ONLY_OF_SIDECARS = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")


@dataclass(slots=True)
class Scope:
    """What of the pod its containers are judged by."""

    volumes: Mapping[str, Values]  # by name, those without fault
    restart_policy: str
    grace_seconds: int
    host_users: bool


def check_containers(containers: list[Values], path: str, scope: Scope, causes: list[Cause]) -> None:
    """The containers that run together; there is at least one."""
    if not containers:
        causes.append(required(path))
        return
    names: set[str] = set()
    for index, container in enumerate(containers):
        where = f"{path}[{index}]"
        _check_container(container, where, scope, causes)
        name = container.get("name", "")
        if name in names:
            causes.append(duplicate(f"{where}.name", name))
        names.add(name)
        _check_hooks(container, where, scope, causes)
        if "restartPolicy" in container or "restartPolicyRules" in container:
            _check_restarts(container, where, causes)
    _check_host_ports(containers, path, causes)


def check_init_containers(
    containers: list[Values], regular: list[Values], path: str, scope: Scope, causes: list[Cause]
) -> None:
    """The containers that run before; one that restarts always runs on beside the others, as a sidecar."""
    names = {container.get("name", "") for container in regular}
    for index, container in enumerate(containers):
        where = f"{path}[{index}]"
        _check_container(container, where, scope, causes)
        if "restartPolicy" in container or "restartPolicyRules" in container:
            _check_restarts(container, where, causes)
        name = container.get("name", "")
        if name in names:
            causes.append(duplicate(f"{where}.name", name))
        names.add(name)
        _check_host_ports([container], path, causes)
        if container.get("restartPolicy") == "Always":
            _check_hooks(container, where, scope, causes)
            continue
        why = "may not be set for init containers without restartPolicy=Always"
        causes += [
            forbidden(f"{where}.{member}", why) for member in _ONLY_OF_SIDECARS if container.get(member) is not None
        ]


def _check_container(container: Values, path: str, scope: Scope, causes: list[Cause]) -> None:
    get = container.get
    name = get("name")
    if not name:
        causes.append(required(f"{path}.name"))
    elif messages := dns1123_label(name):
        causes += each_invalid(f"{path}.name", name, messages)
    if not get("image"):
        causes.append(required(f"{path}.image"))
    if (policy := get("terminationMessagePolicy")) not in _MESSAGE_POLICIES:
        _refuse(policy, _MESSAGE_POLICIES, f"{path}.terminationMessagePolicy", causes)
    if ports := get("ports"):
        _check_ports(ports, f"{path}.ports", causes)
    if env := get("env"):
        check_env(env, f"{path}.env", causes)
    if sources := get("envFrom"):
        check_env_from(sources, f"{path}.envFrom", causes)
    if mounts := get("volumeMounts"):
        _check_mounts(mounts, container, f"{path}.volumeMounts", scope, causes)
    if devices := get("volumeDevices"):
        _check_devices(devices, container, f"{path}.volumeDevices", scope, causes)
    if (policy := get("imagePullPolicy")) not in _PULL_POLICIES:
        _refuse(policy, _PULL_POLICIES, f"{path}.imagePullPolicy", causes)
    if resources := get("resources"):
        check_resources(resources, f"{path}.resources", causes)
    if resizes := get("resizePolicy"):
        _check_resizes(resizes, f"{path}.resizePolicy", scope, causes)
    if (security := get("securityContext")) is not None:
        check_container_security(security, f"{path}.securityContext", causes, host_users=scope.host_users)


def _refuse(value: str | None, known: tuple[str, ...], path: str, causes: list[Cause]) -> None:
    causes.append(not_supported(path, value, known) if value else required(path))


def _check_hooks(container: Values, path: str, scope: Scope, causes: list[Cause]) -> None:
    get = container.get
    if (lifecycle := get("lifecycle")) is not None:
        check_lifecycle(lifecycle, f"{path}.lifecycle", scope.grace_seconds, causes)
    if (probe := get("livenessProbe")) is not None:
        check_probe(probe, f"{path}.livenessProbe", causes, one_success=True)
    if (probe := get("readinessProbe")) is not None:
        check_probe(probe, f"{path}.readinessProbe", causes)
        if (grace := probe.get("terminationGracePeriodSeconds")) is not None:
            why = "must not be set for readinessProbes"
            causes.append(invalid(f"{path}.readinessProbe.terminationGracePeriodSeconds", grace, why))
    if (probe := get("startupProbe")) is not None:
        check_probe(probe, f"{path}.startupProbe", causes, one_success=True)


def _check_ports(ports: list[Values], path: str, causes: list[Cause]) -> None:
    names: set[str] = set()
    for index, port in enumerate(ports):
        get = port.get
        if name := get("name"):
            if messages := port_name(name):
                causes += each_invalid(f"{path}[{index}].name", name, messages)
            elif name in names:
                causes.append(duplicate(f"{path}[{index}].name", name))
            names.add(name)
        number = get("containerPort", 0)
        if not number:
            causes.append(required(f"{path}[{index}].containerPort"))
        elif not 1 <= number <= 65535:
            causes += each_invalid(f"{path}[{index}].containerPort", number, port_number(number))
        number = get("hostPort", 0)
        if number and not 1 <= number <= 65535:
            causes += each_invalid(f"{path}[{index}].hostPort", number, port_number(number))
        if (protocol := get("protocol")) not in _PROTOCOLS:
            _refuse(protocol, _PROTOCOLS, f"{path}[{index}].protocol", causes)


def _check_host_ports(containers: list[Values], path: str, causes: list[Cause]) -> None:
    """One port of the host serves one container."""
    taken: set[str] = set()
    for number, container in enumerate(containers):
        for index, port in enumerate(container.get("ports") or ()):
            if not (host_port := port.get("hostPort")):
                continue
            claim = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{host_port}"
            if claim in taken:
                causes.append(duplicate(f"{path}[{number}].ports[{index}].hostPort", claim))
            taken.add(claim)


def _check_mounts(mounts: list[Values], container: Values, path: str, scope: Scope, causes: list[Cause]) -> None:
    volumes, mounted = scope.volumes, set()
    devices = container.get("volumeDevices") or ()
    for index, mount in enumerate(mounts):
        get = mount.get
        name, point = get("name", ""), get("mountPath", "")
        if name not in volumes:
            if not name:
                causes.append(required(f"{path}[{index}].name"))
            causes.append(not_found(f"{path}[{index}].name", name))
        if not point:
            causes.append(required(f"{path}[{index}].mountPath"))
        if point in mounted:
            causes.append(invalid(f"{path}[{index}].mountPath", point, "must be unique"))
        mounted.add(point)
        if devices:
            _check_apart(name, point, devices, f"{path}[{index}]", causes)
        if len(mount) > 2:
            _check_mount_options(mount, container, path, index, causes)


def _check_apart(name: str, point: str, devices: list[Values], path: str, causes: list[Cause]) -> None:
    if any(device.get("name") == name for device in devices):
        causes.append(invalid(f"{path}.name", name, "must not already exist in volumeDevices"))
    if any(device.get("devicePath") == point for device in devices):
        causes.append(invalid(f"{path}.mountPath", point, "must not already exist as a path in volumeDevices"))


def _check_mount_options(mount: Values, container: Values, path: str, index: int, causes: list[Cause]) -> None:
    get = mount.get
    if sub_path := get("subPath"):
        check_descending(sub_path, f"{path}.subPath", causes)
    if expression := get("subPathExpr"):
        if sub_path:
            why = "subPathExpr and subPath are mutually exclusive"
            causes.append(invalid(f"{path}[{index}].subPathExpr", expression, why))
        check_descending(expression, f"{path}.subPathExpr", causes)
    if (propagation := get("mountPropagation")) is not None:
        if propagation not in _PROPAGATIONS:
            causes.append(not_supported(f"{path}.mountPropagation", propagation, _PROPAGATIONS))
        if propagation == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
            why = "Bidirectional mount propagation is available only to privileged containers"
            causes.append(forbidden(f"{path}.mountPropagation", why))
    if (recursion := get("recursiveReadOnly")) is not None and recursion != "Disabled":
        where = f"{path}.recursiveReadOnly"
        if recursion not in _RECURSIONS:
            causes.append(not_supported(where, recursion, _RECURSIONS))
            return
        if not get("readOnly"):
            causes.append(forbidden(where, "may only be specified when readOnly is true"))
        if propagation not in (None, "None"):
            causes.append(forbidden(where, "may only be specified when mountPropagation is None or not specified"))


def _check_devices(devices: list[Values], container: Values, path: str, scope: Scope, causes: list[Cause]) -> None:
    names: set[str] = set()
    points: set[str] = set()
    mounts = container.get("volumeMounts") or ()
    for index, device in enumerate(devices):
        name, point = device.get("name", ""), device.get("devicePath", "")
        where = f"{path}[{index}]"
        volume = scope.volumes.get(name)
        if not name:
            causes.append(required(f"{where}.name"))
        if name in names:
            causes.append(invalid(f"{where}.name", name, "must be unique"))
        if volume is None:
            causes.append(not_found(f"{where}.name", name))
        elif "persistentVolumeClaim" not in volume and "ephemeral" not in volume:
            why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            causes.append(invalid(f"{where}.name", name, why))
        if not point:
            causes.append(required(f"{where}.devicePath"))
        if point in points:
            causes.append(invalid(f"{where}.devicePath", point, "must be unique"))
        check_no_backsteps(point, f"{where}.devicePath", causes)
        if any(mount.get("name") == name for mount in mounts):
            causes.append(invalid(f"{where}.name", name, "must not already exist in volumeMounts"))
        if any(mount.get("mountPath") == point for mount in mounts):
            causes.append(invalid(f"{where}.devicePath", point, "must not already exist as a path in volumeMounts"))
        names.add(name)
        points.add(point)


def _check_resizes(resizes: list[Values], path: str, scope: Scope, causes: list[Cause]) -> None:
    seen: set[str] = set()
    for index, resize in enumerate(resizes):
        name, policy = resize.get("resourceName", ""), resize.get("restartPolicy", "")
        if name in seen:
            causes.append(duplicate(f"{path}[{index}]", name))
        seen.add(name)
        if name not in _RESIZED:
            _refuse(name, _RESIZED, path, causes)
        if policy not in _RESIZES:
            _refuse(policy, _RESIZES, path, causes)
        if scope.restart_policy == "Never" and policy != "NotRequired":
            causes.append(invalid(path, policy, "must be 'NotRequired' when pod `restartPolicy` is 'Never'"))


def _check_restarts(container: Values, path: str, causes: list[Cause]) -> None:
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or ()
    if policy is None:
        if rules:
            causes.append(required(f"{path}.restartPolicy", "must specify restartPolicy when restart rules are used"))
    elif policy not in _RESTARTS:
        causes.append(not_supported(f"{path}.restartPolicy", policy, _RESTARTS))
    if len(rules) > 20:
        causes.append(too_many(f"{path}.restartPolicyRules", len(rules), 20))
    for index, rule in enumerate(rules):
        where = f"{path}.restartPolicyRules[{index}]"
        if rule.get("action") not in _RULE_ACTIONS:
            causes.append(not_supported(f"{where}.action", rule.get("action", ""), _RULE_ACTIONS))
        codes = rule.get("exitCodes")
        if codes is None:
            causes.append(required(f"{where}.exitCodes", "must be specified"))
            continue
        if codes.get("operator") not in _RULE_OPERATORS:
            causes.append(not_supported(f"{where}.exitCodes.operator", codes.get("operator", ""), _RULE_OPERATORS))
        if len(codes.get("values") or ()) > 255:
            causes.append(too_many(f"{where}.exitCodes.values", len(codes["values"]), 255))
