"""Service: stored, with an address of its own, and not served."""

from __future__ import annotations

import zlib
from typing import Any

from engine.api.kind import Column, Document, Kind, keep_status
from engine.api.kinds import service_validation
from engine.api.kinds.age import since
from engine.api.kinds.columns import AGE, NAME, SELECTOR, map_text
from engine.api.resource import SERVICES
from engine.api.schema import Schema
from engine.api.validation import dns1123_label

_FIRST_ADDRESS = (10 << 24) | (96 << 16)  # of 10.96.0.0/12
_RESERVED = 256  # addresses at its start, for the services of the cluster itself
_ADDRESSES = 1 << 20
_FIRST_NODE_PORT, _NODE_PORTS = 30000, 2768
_EXTERNAL = ("NodePort", "LoadBalancer")
CLIENT_IP_SECONDS = 10800


def kind() -> Kind:
    return Kind(
        resource=SERVICES,
        singular="service",
        schema=Schema.of("io.k8s.api.core.v1.Service"),
        short_names=("svc",),
        categories=("all",),
        verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
        has_status=True,
        name_rule=dns1123_label,
        default=default,
        prepare_create=prepare_create,
        prepare_update=prepare_update,
        prepare_status_update=prepare_status_update,
        validate=service_validation.validate,
        validate_update=service_validation.validate_update,
        columns=(
            NAME,
            Column("Type", "string", description="How the service is reached."),
            Column("Cluster-IP", "string", description="Address within the cluster."),
            Column("External-IP", "string", description="Addresses from outside."),
            Column("Port(s)", "string", description="Ports and protocols."),
            AGE,
            SELECTOR,
        ),
        row=row,
        field_labels={"spec.clusterIP": "spec.clusterIP", "spec.type": "spec.type"},
    )


def default(document: Document) -> None:
    spec = document.setdefault("spec", {})
    if not spec.get("sessionAffinity"):
        spec["sessionAffinity"] = "None"
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        config = spec.get("sessionAffinityConfig") or {}
        if (config.get("clientIP") or {}).get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": CLIENT_IP_SECONDS}}
    type_ = spec["type"] = spec.get("type") or "ClusterIP"
    for port in spec.get("ports") or ():
        if not port.get("protocol"):
            port["protocol"] = "TCP"
        if not port.get("targetPort"):
            port["targetPort"] = port.get("port", 0)
    reachable = type_ in _EXTERNAL or (type_ == "ClusterIP" and bool(spec.get("externalIPs")))
    if reachable and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if type_ in ("ClusterIP", *_EXTERNAL) and spec.get("internalTrafficPolicy") is None:
        spec["internalTrafficPolicy"] = "Cluster"
    if type_ == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is None:
        spec["allocateLoadBalancerNodePorts"] = True
    document.setdefault("status", {}).setdefault("loadBalancer", {})


def prepare_create(document: Document) -> None:
    document["status"] = {"loadBalancer": {}}
    _allocate(document)


def prepare_update(new: Document, old: Document) -> None:
    """A service keeps its addresses and ports until it is of a type that has none."""
    keep_status(new, old)
    spec, before = new["spec"], old["spec"]
    if spec["type"] != "ExternalName" and before.get("type") != "ExternalName":
        for member in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if not spec.get(member) and member in before:
                spec[member] = before[member]
    elif spec["type"] == "ExternalName" and spec.get("clusterIP") == before.get("clusterIP"):
        for member in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            spec.pop(member, None)
    if spec["type"] in _EXTERNAL:
        ports = {(port["port"], port["protocol"]): port.get("nodePort") for port in before.get("ports") or ()}
        for port in spec.get("ports") or ():
            if not port.get("nodePort") and (node_port := ports.get((port.get("port"), port["protocol"]))):
                port["nodePort"] = node_port
    else:
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)
    _allocate(new)


def prepare_status_update(new: Document, old: Document) -> None:
    new["spec"] = old["spec"]


def _allocate(document: Document) -> None:
    """Gives the service what it lacks. Address and node ports are computed from its uid, so that no allocator has to be
    kept: two services can get the same one (in 1,000 services, one pair of addresses in half of the clusters).
    """
    spec, uid = document["spec"], document["metadata"].get("uid", "")
    if spec["type"] == "ExternalName":
        return
    if not spec.get("clusterIP"):
        spec["clusterIP"] = (spec.get("clusterIPs") or [address(uid)])[0]
    if not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    if not spec.get("ipFamilies"):
        spec["ipFamilies"] = ["IPv6" if ":" in spec["clusterIP"] else "IPv4"]
    if not spec.get("ipFamilyPolicy"):
        spec["ipFamilyPolicy"] = "SingleStack"
    if spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local":
        spec.setdefault("healthCheckNodePort", _FIRST_NODE_PORT + zlib.crc32(f"{uid}/health".encode()) % _NODE_PORTS)
    if spec["type"] == "NodePort" or (spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts")):
        _allocate_node_ports(spec, uid)


def address(uid: str) -> str:
    """The address of a service in 10.96.0.0/12."""
    number = _FIRST_ADDRESS + _RESERVED + zlib.crc32(uid.encode()) % (_ADDRESSES - _RESERVED - 1)
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def _allocate_node_ports(spec: dict[str, Any], uid: str) -> None:
    taken = {port.get("nodePort") for port in spec.get("ports") or ()}
    offset = zlib.crc32(f"{uid}/ports".encode())
    for port in spec.get("ports") or ():
        if port.get("nodePort"):
            continue
        while (candidate := _FIRST_NODE_PORT + offset % _NODE_PORTS) in taken:
            offset += 1
        port["nodePort"] = candidate
        taken.add(candidate)


def row(document: Document) -> list[Any]:
    metadata, spec = document["metadata"], document["spec"]
    return [
        metadata["name"],
        spec.get("type", ""),
        (spec.get("clusterIPs") or ["<none>"])[0],
        _external(document),
        ",".join(map(_port, spec.get("ports") or ())) or "<none>",
        since(metadata.get("creationTimestamp")),
        map_text(spec.get("selector")),
    ]


def _external(document: Document) -> str:
    spec = document["spec"]
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    found: list[str] = []
    if spec.get("type") == "LoadBalancer":
        ingress = document.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
        found = sorted({each.get("ip") or each.get("hostname", "") for each in ingress} - {""})
    found += spec.get("externalIPs") or ()
    return ",".join(found) or ("<pending>" if spec.get("type") == "LoadBalancer" else "<none>")


def _port(port: dict[str, Any]) -> str:
    number = f"{port['port']}:{port['nodePort']}" if port.get("nodePort") else str(port["port"])
    return f"{number}/{port.get('protocol', 'TCP')}"
