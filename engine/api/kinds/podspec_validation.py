"""Rules of a pod's spec, in a Pod as in the template of a controller."""

from __future__ import annotations

from typing import Any

from engine.api.errors import Cause
from engine.api.kinds.container_validation import Scope, check_containers, check_init_containers
from engine.api.kinds.resources_validation import check_resources
from engine.api.kinds.scheduling_validation import check_affinity, check_spread, check_tolerations
from engine.api.kinds.security_validation import check_pod_security
from engine.api.kinds.volume_validation import check_volumes
from engine.api.validation import (
    INT32_MAX,
    dns1123_label,
    dns1123_subdomain,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    ip_address,
    labels,
    not_supported,
    qualified_name,
    range_message,
    required,
)

Values = dict[str, Any]

_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
_SYSTEMS = ("linux", "windows")
_NAMESERVERS_MOST, _SEARCHES_MOST, _SEARCH_BYTES_MOST = 3, 32, 2048
# Members that are names, in the order in which they are judged.
_NAMES = (
    ("hostname", dns1123_label),
    ("subdomain", dns1123_label),
)


def validate_template(template: Values, path: str) -> list[Cause]:
    """Faults of the template of a controller."""
    causes: list[Cause] = []
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    if found := metadata.get("labels"):
        causes += labels(found, f"{path}.labels")
    for key in metadata.get("annotations") or ():
        causes += each_invalid(f"{path}.annotations", key, qualified_name(key.lower()))
    check_spec(spec, f"{path}.spec", causes, of_pod=False)
    if spec.get("ephemeralContainers"):
        why = "ephemeral containers not allowed in pod template"
        causes.append(forbidden(f"{path}.spec.ephemeralContainers", why))
    return causes


def check_spec(spec: Values, path: str, causes: list[Cause], *, of_pod: bool) -> None:
    """Adds the faults of a spec with its defaults. A pod of its own is judged more strictly than a template."""
    get = spec.get
    restart_policy, dns_policy = get("restartPolicy"), get("dnsPolicy")
    volumes = check_volumes(found, f"{path}.volumes", causes) if (found := get("volumes")) else {}
    scope = Scope(volumes, restart_policy or "", get("terminationGracePeriodSeconds", 0), get("hostUsers") is not False)
    containers = get("containers") or []
    check_containers(containers, f"{path}.containers", scope, causes)
    if inits := get("initContainers"):
        check_init_containers(inits, containers, f"{path}.initContainers", scope, causes)
    if resources := get("resources"):
        check_resources(resources, f"{path}.resources", causes)
    if get("hostNetwork"):
        _check_host_network(containers, f"{path}.containers", causes, of_pod=of_pod)
    if restart_policy not in _RESTART_POLICIES:
        _refuse(restart_policy, _RESTART_POLICIES, f"{path}.restartPolicy", causes)
    if dns_policy not in _DNS_POLICIES:
        _refuse(dns_policy, _DNS_POLICIES, f"{path}.dnsPolicy", causes)
    if selector := get("nodeSelector"):
        causes += labels(selector, f"{path}.nodeSelector")
    if security := get("securityContext"):
        check_pod_security(security, spec, f"{path}.securityContext", causes)
    if affinity := get("affinity"):
        check_affinity(affinity, f"{path}.affinity", causes)
    if dns_policy == "None" or "dnsConfig" in spec:
        _check_dns(get("dnsConfig"), dns_policy, f"{path}.dnsConfig", causes)
    if gates := get("readinessGates"):
        for index, gate in enumerate(gates):
            name = gate.get("conditionType", "")
            causes += each_invalid(f"{path}.readinessGates[{index}].conditionType", name, qualified_name(name))
    if gates := get("schedulingGates"):
        _check_scheduling_gates(gates, f"{path}.schedulingGates", causes)
    if constraints := get("topologySpreadConstraints"):
        check_spread(constraints, f"{path}.topologySpreadConstraints", causes)
    _check_identity(spec, path, causes)
    _check_limits_of_time(spec, path, causes)
    for member, rule in _NAMES:
        if name := get(member):
            causes += each_invalid(f"{path}.{member}", name, rule(name))
    if tolerations := get("tolerations"):
        check_tolerations(tolerations, f"{path}.tolerations", causes)
    if aliases := get("hostAliases"):
        _check_host_aliases(aliases, f"{path}.hostAliases", causes)
    _check_classes(spec, path, causes)


def _refuse(value: str | None, known: tuple[str, ...], path: str, causes: list[Cause]) -> None:
    causes.append(not_supported(path, value, known) if value else required(path))


def _check_host_network(containers: list[Values], path: str, causes: list[Cause], *, of_pod: bool) -> None:
    for number, container in enumerate(containers):
        for index, port in enumerate(container.get("ports") or ()):
            host_port = port.get("hostPort", 0)
            if (of_pod or host_port) and host_port != port.get("containerPort", 0):
                why = "must match `containerPort` when `hostNetwork` is true"
                causes.append(invalid(f"{path}[{number}].ports[{index}].hostPort", host_port, why))


def _check_dns(config: Values | None, policy: str | None, path: str, causes: list[Cause]) -> None:
    nameservers = (config or {}).get("nameservers") or []
    if policy == "None":
        if config is None:
            causes.append(required(path, "must provide `dnsConfig` when `dnsPolicy` is None"))
            return
        if not nameservers:
            why = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            causes.append(required(f"{path}.nameservers", why))
            return
    if len(nameservers) > _NAMESERVERS_MOST:
        why = f"must not have more than {_NAMESERVERS_MOST} nameservers"
        causes.append(invalid(f"{path}.nameservers", nameservers, why))
    for index, address in enumerate(nameservers):
        causes += each_invalid(f"{path}.nameservers[{index}]", address, ip_address(address))
    searches = (config or {}).get("searches") or []
    if len(searches) > _SEARCHES_MOST:
        why = f"must not have more than {_SEARCHES_MOST} search paths"
        causes.append(invalid(f"{path}.searches", searches, why))
    if len(" ".join(searches)) > _SEARCH_BYTES_MOST:
        why = f"must not have more than {_SEARCH_BYTES_MOST} characters (including spaces) in the search list"
        causes.append(invalid(f"{path}.searches", searches, why))
    for index, option in enumerate((config or {}).get("options") or ()):
        if not option.get("name"):
            causes.append(required(f"{path}.options[{index}]", "must not be empty"))


def _check_scheduling_gates(gates: list[Values], path: str, causes: list[Cause]) -> None:
    seen: set[str] = set()
    for index, gate in enumerate(gates):
        name = gate.get("name", "")
        causes += each_invalid(f"{path}[{index}]", name, qualified_name(name))
        if name in seen:
            causes.append(duplicate(f"{path}[{index}]", name))
        seen.add(name)


def _check_identity(spec: Values, path: str, causes: list[Cause]) -> None:
    """The account it runs as, and the node it runs on."""
    for member in ("serviceAccountName", "nodeName"):
        if (name := spec.get(member)) and (messages := dns1123_subdomain(name)):
            causes += each_invalid(f"{path}.{member}", name, messages)


def _check_limits_of_time(spec: Values, path: str, causes: list[Cause]) -> None:
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= INT32_MAX:
        causes.append(invalid(f"{path}.activeDeadlineSeconds", deadline, range_message(1, INT32_MAX)))


def _check_host_aliases(aliases: list[Values], path: str, causes: list[Cause]) -> None:
    for index, alias in enumerate(aliases):
        address = alias.get("ip", "")
        causes += each_invalid(f"{path}[{index}].ip", address, ip_address(address))
        for number, name in enumerate(alias.get("hostnames") or ()):
            causes += each_invalid(f"{path}[{index}].hostnames[{number}]", name, dns1123_subdomain(name))


def _check_classes(spec: Values, path: str, causes: list[Cause]) -> None:
    """The classes it belongs to, what it may preempt, what it costs beyond its containers, and its system."""
    for member in ("priorityClassName", "runtimeClassName"):
        if (name := spec.get(member)) and (messages := dns1123_subdomain(name)):
            causes += each_invalid(f"{path}.{member}", name, messages)
    if (policy := spec.get("preemptionPolicy")) is not None and policy not in _PREEMPTION_POLICIES:
        _refuse(policy, _PREEMPTION_POLICIES, f"{path}.preemptionPolicy", causes)
    if overhead := spec.get("overhead"):
        check_resources({"limits": overhead}, f"{path}.overhead", causes)
    if (system := spec.get("os")) is not None and (name := system.get("name")) not in _SYSTEMS:
        causes.append(not_supported(f"{path}.os", name, _SYSTEMS) if name else required(f"{path}.os.name"))
