"""Rules of a Service."""

from __future__ import annotations

from typing import Any

from engine.api.errors import Cause
from engine.api.kind import Document
from engine.api.validation import (
    dns1123_label,
    dns1123_subdomain,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    ip_address,
    labels,
    not_supported,
    port,
    port_number,
    qualified_name,
    range_message,
    required,
)

Values = dict[str, Any]

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_AFFINITIES = ("ClientIP", "None")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_FAMILIES = ("IPv4", "IPv6")
_FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_TRAFFIC_POLICIES = ("Cluster", "Local")
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
_AFFINITY_SECONDS_MOST = 86400


def validate(document: Document) -> list[Cause]:
    spec: Values = document["spec"]
    type_, ports = spec.get("type"), spec.get("ports") or []
    headless = spec.get("clusterIP") == "None"
    causes: list[Cause] = []
    if not ports and not headless and type_ != "ExternalName":
        causes.append(required("spec.ports"))
    _check_type(spec, causes, headless=headless)
    names: set[str] = set()
    for index, each in enumerate(ports):
        _check_port(each, f"spec.ports[{index}]", names, causes, named=len(ports) > 1)
    if selector := spec.get("selector"):
        causes += labels(selector, "spec.selector")
    _check_affinity(spec, causes)
    if type_ != "ExternalName":
        _check_addresses(spec, causes)
    for index, address in enumerate(spec.get("externalIPs") or ()):
        causes += each_invalid(f"spec.externalIPs[{index}]", address, ip_address(address))
    if type_ not in _TYPES:
        causes.append(not_supported("spec.type", type_, _TYPES))
    _check_unique_ports(spec, ports, causes)
    _check_load_balancer(spec, causes)
    _check_traffic(spec, causes)
    return causes


def _check_type(spec: Values, causes: list[Cause], *, headless: bool) -> None:
    type_ = spec.get("type")
    if type_ in ("LoadBalancer", "NodePort") and headless:
        causes.append(invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {type_} services"))
    if type_ != "ExternalName":
        return
    why = "may not be set for ExternalName services"
    members = ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
    causes += [forbidden(f"spec.{member}", why) for member in members if spec.get(member)]
    if name := (spec.get("externalName") or "").removesuffix("."):
        causes += each_invalid("spec.externalName", name, dns1123_subdomain(name))
    else:
        causes.append(required("spec.externalName"))


def _check_port(each: Values, path: str, names: set[str], causes: list[Cause], *, named: bool) -> None:
    """A port; where there are several, each has a name of its own."""
    name = each.get("name", "")
    if named and not name:
        causes.append(required(f"{path}.name"))
    elif name:
        causes += each_invalid(f"{path}.name", name, dns1123_label(name))
        if name in names:
            causes.append(duplicate(f"{path}.name", name))
        names.add(name)
    number = each.get("port", 0)
    causes += each_invalid(f"{path}.port", number, port_number(number))
    if (protocol := each.get("protocol")) not in _PROTOCOLS:
        causes.append(not_supported(f"{path}.protocol", protocol, _PROTOCOLS))
    target = each.get("targetPort", 0)
    causes += each_invalid(f"{path}.targetPort", target, port(target))
    if (application := each.get("appProtocol")) is not None:
        causes += each_invalid(f"{path}.appProtocol", application, qualified_name(application))


def _check_affinity(spec: Values, causes: list[Cause]) -> None:
    affinity, config = spec.get("sessionAffinity"), spec.get("sessionAffinityConfig")
    if affinity not in _AFFINITIES:
        causes.append(not_supported("spec.sessionAffinity", affinity, _AFFINITIES))
    elif affinity == "None" and config is not None:
        why = "must not be set when session affinity is None"
        causes.append(forbidden("spec.sessionAffinityConfig", why))
    elif affinity == "ClientIP":
        seconds = ((config or {}).get("clientIP") or {}).get("timeoutSeconds", 0)
        if not 1 <= seconds <= _AFFINITY_SECONDS_MOST:
            field = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
            causes.append(invalid(field, seconds, f"must be greater than 0 and less than {_AFFINITY_SECONDS_MOST}"))


def _check_addresses(spec: Values, causes: list[Cause]) -> None:
    address, addresses = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    if address and not addresses:
        causes.append(required("spec.clusterIPs"))
    elif address and addresses[0] != address:
        causes.append(invalid("spec.clusterIPs", addresses, "first value must match `clusterIP`"))
    elif addresses and not address:
        causes.append(invalid("spec.clusterIPs", addresses, "must be empty when `clusterIP` is not specified"))
    families = spec.get("ipFamilies") or []
    for index, family in enumerate(families):
        if family not in _FAMILIES:
            causes.append(not_supported(f"spec.ipFamilies[{index}]", family, _FAMILIES))
        if family in families[:index]:
            causes.append(duplicate(f"spec.ipFamilies[{index}]", family))
    if (policy := spec.get("ipFamilyPolicy")) is not None and policy not in _FAMILY_POLICIES:
        causes.append(not_supported("spec.ipFamilyPolicy", policy, _FAMILY_POLICIES))
    for index, each in enumerate(addresses):
        if each == "None" and index == 0:
            if len(addresses) > 1:
                causes.append(invalid("spec.clusterIPs", addresses, "'None' must be the first and only value"))
            continue
        causes += each_invalid(f"spec.clusterIPs[{index}]", each, ip_address(each))
    if len(addresses) > 2:
        causes.append(invalid("spec.clusterIPs", addresses, "may only hold up to 2 values"))


def _check_unique_ports(spec: Values, ports: list[Values], causes: list[Cause]) -> None:
    if spec.get("type") == "ClusterIP":
        for index, each in enumerate(ports):
            if each.get("nodePort"):
                why = "may not be used when `type` is 'ClusterIP'"
                causes.append(forbidden(f"spec.ports[{index}].nodePort", why))
    taken: set[tuple[Any, Any]] = set()
    for index, each in enumerate(ports):
        if node_port := each.get("nodePort"):
            claim = (each.get("protocol"), node_port)
            if claim in taken:
                causes.append(duplicate(f"spec.ports[{index}].nodePort", node_port))
            taken.add(claim)
    taken.clear()
    for index, each in enumerate(ports):
        claim = (each.get("protocol"), each.get("port", 0))
        if claim in taken:
            causes.append(duplicate(f"spec.ports[{index}]", _go_port(*claim)))
        taken.add(claim)


def _go_port(protocol: str, number: int) -> Values:
    """How Kubernetes prints a port that it made up to compare."""
    return {
        "Name": "",
        "Protocol": protocol,
        "AppProtocol": None,
        "Port": number,
        "TargetPort": 0,
        "NodePort": 0,
    }


def _check_load_balancer(spec: Values, causes: list[Cause]) -> None:
    balanced, only = spec.get("type") == "LoadBalancer", "may only be used when `type` is 'LoadBalancer'"
    if balanced:
        if (name := spec.get("loadBalancerClass")) is not None:
            causes += each_invalid("spec.loadBalancerClass", name, qualified_name(name))
        return
    if spec.get("loadBalancerSourceRanges"):
        causes.append(forbidden("spec.LoadBalancerSourceRanges", only))
    for member in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
        if spec.get(member) is not None:
            causes.append(forbidden(f"spec.{member}", only))


def _check_traffic(spec: Values, causes: list[Cause]) -> None:
    type_, policy = spec.get("type"), spec.get("externalTrafficPolicy") or ""
    reachable = type_ in ("NodePort", "LoadBalancer") or (type_ == "ClusterIP" and bool(spec.get("externalIPs")))
    if not reachable and policy:
        why = "may only be set for externally-accessible services"
        causes.append(invalid("spec.externalTrafficPolicy", policy, why))
    elif reachable and policy not in _TRAFFIC_POLICIES:
        causes.append(not_supported("spec.externalTrafficPolicy", policy, _TRAFFIC_POLICIES))
    checked = type_ == "LoadBalancer" and policy == "Local"
    if (health := spec.get("healthCheckNodePort") or 0) and not checked:
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        causes.append(invalid("spec.healthCheckNodePort", health, why))
    elif checked and not 1 <= health <= 65535:
        causes.append(invalid("spec.healthCheckNodePort", health, range_message(1, 65535)))
    internal = spec.get("internalTrafficPolicy")
    if internal is not None and internal not in _TRAFFIC_POLICIES:
        causes.append(not_supported("spec.internalTrafficPolicy", internal, _TRAFFIC_POLICIES))
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in _DISTRIBUTIONS:
        causes.append(not_supported("spec.trafficDistribution", distribution, _DISTRIBUTIONS))


def validate_update(new: Document, old: Document) -> list[Cause]:
    """A service keeps its first address."""
    spec, before = new["spec"], old["spec"]
    causes: list[Cause] = []
    addresses, was = spec.get("clusterIPs") or [], before.get("clusterIPs") or []
    if "ExternalName" not in (spec.get("type"), before.get("type")):
        for index, address in enumerate(was[: max(1, len(addresses))]):
            if index >= len(addresses):
                causes.append(invalid(f"spec.clusterIPs[{index}]", addresses, "primary clusterIP can not be unset"))
            elif addresses[index] != address:
                causes.append(invalid(f"spec.clusterIPs[{index}]", addresses, "may not change once set"))
    if spec.get("type") == before.get("type") == "LoadBalancer" and spec.get("loadBalancerClass") != before.get(
        "loadBalancerClass"
    ):
        causes.append(invalid("spec.loadBalancerClass", spec.get("loadBalancerClass"), "may not change once set"))
    return causes + validate(new)
