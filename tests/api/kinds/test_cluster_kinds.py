"""Namespace, Node, Service, Event and Lease."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from samples import UID, created, defaulted, faults, kind, update_faults, updated

from engine.api.kinds.service import address

Document = dict[str, Any]


# Namespaces


def test_a_namespace_knows_its_name_and_waits_for_its_end() -> None:
    made = created("Namespace", {})
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "x"}
    assert (made["spec"], made["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})


def test_a_namespace_has_a_label_as_name() -> None:
    assert kind("Namespace").name_rule("a.b") == ("must not contain dots",)


def test_finalizers_of_a_namespace_are_qualified() -> None:
    told = faults("Namespace", {"spec": {"finalizers": ["mine"]}})
    assert told == [
        (
            "spec.finalizers",
            'Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified',
        )
    ]


def test_an_update_leaves_the_finalizers_of_a_namespace_alone() -> None:
    new = updated("Namespace", created("Namespace", {}), {"spec": {"finalizers": []}})
    assert new["spec"]["finalizers"] == ["kubernetes"]


def test_a_namespace_terminates_when_it_is_deleted() -> None:
    old = created("Namespace", {})
    terminating = {"status": {"phase": "Terminating"}}
    assert update_faults("Namespace", old, terminating, "status") == [
        ("status.Phase", "Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty")
    ]
    old["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert update_faults("Namespace", old, terminating, "status") == []


# Nodes


def test_a_node_has_all_that_it_has_for_pods() -> None:
    made = defaulted("Node", {"status": {"capacity": {"cpu": "4"}}})
    assert made["status"]["allocatable"] == {"cpu": "4"}


def test_what_a_node_keeps_from_pods_is_respected() -> None:
    made = defaulted("Node", {"status": {"capacity": {"cpu": "4"}, "allocatable": {"cpu": "3"}}})
    assert made["status"]["allocatable"] == {"cpu": "3"}


def test_a_new_node_is_tainted_once() -> None:
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    assert created("Node", {})["spec"]["taints"] == [taint]
    assert created("Node", {"spec": {"taints": [taint]}})["spec"]["taints"] == [taint]


NODE_RULES: dict[str, tuple[Document, tuple[str, str]]] = {
    "is tainted with an effect": (
        {"spec": {"taints": [{"key": "a"}]}},
        ("metadata.taints[0].effect", "Required value"),
    ),
    "is tainted with a known effect": (
        {"spec": {"taints": [{"key": "a", "effect": "Scare"}]}},
        (
            "metadata.taints[0].effect",
            'Unsupported value: "Scare": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
        ),
    ),
    "is tainted with a key once an effect": (
        {"spec": {"taints": [{"key": "a", "effect": "NoExecute"}] * 2}},
        (
            "metadata.taints[1]",
            'Duplicate value: {"key":"a","effect":"NoExecute"}: taints must be unique by key and effect pair',
        ),
    ),
    "has nothing negative": (
        {"status": {"capacity": {"cpu": "-1"}, "allocatable": {"memory": "1"}}},
        ("status.capacity.cpu", 'Invalid value: "-1": must be greater than or equal to 0'),
    ),
    "has room for whole pods": (
        {"status": {"capacity": {"pods": "500m"}, "allocatable": {"memory": "1"}}},
        ("status.capacity.pods", 'Invalid value: "500m": must be an integer'),
    ),
    "has networks for its pods": (
        {"spec": {"podCIDRs": ["there"]}},
        (
            "spec.podCIDRs[0]",
            'Invalid value: "there": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
        ),
    ),
}


@pytest.mark.parametrize("rule", NODE_RULES)
def test_a_node(rule: str) -> None:
    document, cause = NODE_RULES[rule]
    assert faults("Node", document) == [cause]


def test_a_node_may_be_cordoned() -> None:
    assert update_faults("Node", created("Node", {}), {"spec": {"unschedulable": True, "taints": None}}) == []


@pytest.mark.parametrize(
    ("member", "given", "other", "name"),
    [
        ("podCIDRs", ["10.0.0.0/24"], ["10.0.1.0/24"], "podCIDR"),
        ("providerID", "a", "b", "providerID"),
    ],
)
def test_what_a_node_was_given_stays(member: str, given: Any, other: Any, name: str) -> None:
    old = created("Node", {"spec": {member: given}})
    assert update_faults("Node", created("Node", {}), {"spec": {member: given}}) == []
    assert update_faults("Node", old, {"spec": {member: other}}) == [
        (f"spec.{member}", f'Forbidden: node updates may not change {name} except from "" to valid')
    ]


def test_the_status_of_a_node_is_written_apart() -> None:
    old = created("Node", {})
    change = {"spec": {"unschedulable": True}, "status": {"capacity": {"cpu": "4"}}}
    assert "unschedulable" not in updated("Node", old, change, "status")["spec"]
    assert "capacity" not in updated("Node", old, change)["status"]


# Services


def service(**spec: Any) -> Document:
    return {"spec": {"ports": [{"port": 80}], **spec}}


def test_a_service_becomes_whole() -> None:
    made = created("Service", service())
    own = made["spec"].pop("clusterIP")
    assert made["spec"] == {
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "clusterIPs": [own],
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
    }
    assert made["status"] == {"loadBalancer": {}}


def test_the_address_of_a_service_follows_from_its_uid() -> None:
    assert created("Service", service())["spec"]["clusterIP"] == address(UID)
    network = ipaddress.ip_network("10.96.0.0/12")
    found = {ipaddress.ip_address(address(str(number))) for number in range(2000)}
    assert all(each in network for each in found)
    assert min(found) > network[255]  # the first are the cluster's own
    assert len(found) > 1990


def test_a_headless_service_has_no_address() -> None:
    spec = created("Service", service(clusterIP="None"))["spec"]
    assert (spec["clusterIP"], spec["clusterIPs"]) == ("None", ["None"])


def test_an_external_name_has_no_address() -> None:
    spec = created("Service", {"spec": {"type": "ExternalName", "externalName": "example.com"}})["spec"]
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "internalTrafficPolicy"} & spec.keys()


def test_node_ports_are_given_once_each() -> None:
    ports = [{"name": name, "port": number} for number, name in enumerate("abc", 1)]
    given = [each["nodePort"] for each in created("Service", service(type="NodePort", ports=ports))["spec"]["ports"]]
    assert len(set(given)) == 3
    assert all(30000 <= port <= 32767 for port in given)


def test_affinity_to_clients_lasts_three_hours() -> None:
    config = created("Service", service(sessionAffinity="ClientIP"))["spec"]["sessionAffinityConfig"]
    assert config == {"clientIP": {"timeoutSeconds": 10800}}


SERVICE_RULES: dict[str, tuple[Document, list[tuple[str, str]]]] = {
    "has ports": (service(ports=[]), [("spec.ports", "Required value")]),
    "needs no ports without an address": (service(ports=[], clusterIP="None"), []),
    "names its ports when it has several": (
        service(ports=[{"port": 1}, {"port": 2}]),
        [("spec.ports[0].name", "Required value"), ("spec.ports[1].name", "Required value")],
    ),
    "has each port once": (
        service(ports=[{"name": "a", "port": 1}, {"name": "b", "port": 1}]),
        [
            (
                "spec.ports[1]",
                'Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":1,"TargetPort":0,"NodePort":0}',
            )
        ],
    ),
    "is of a known type": (
        service(type="Magic"),
        [
            (
                "spec.type",
                'Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
            )
        ],
    ),
    "has an address when nodes answer for it": (
        service(type="NodePort", clusterIP="None"),
        [("spec.clusterIPs[0]", "Invalid value: \"None\": may not be set to 'None' for NodePort services")],
    ),
    "takes no port of the nodes when it is inside": (
        service(ports=[{"port": 1, "nodePort": 30000}]),
        [("spec.ports[0].nodePort", "Forbidden: may not be used when `type` is 'ClusterIP'")],
    ),
    "names what is outside": (
        {"spec": {"type": "ExternalName"}},
        [("spec.externalName", "Required value")],
    ),
    "has an address that is one": (
        service(clusterIP="there"),
        [
            (
                "spec.clusterIPs[0]",
                'Invalid value: "there": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
            )
        ],
    ),
}


@pytest.mark.parametrize("rule", SERVICE_RULES)
def test_a_service(rule: str) -> None:
    document, causes = SERVICE_RULES[rule]
    assert faults("Service", document) == causes


def test_a_service_keeps_its_address_and_ports() -> None:
    old = created("Service", service(type="NodePort"))
    new = updated("Service", old, {"spec": {"clusterIP": None, "clusterIPs": None, "ports": [{"port": 80}]}})
    assert new["spec"] == old["spec"]


def test_a_service_is_not_moved() -> None:
    old = created("Service", service())
    other = {"spec": {"clusterIP": "10.96.9.9", "clusterIPs": ["10.96.9.9"]}}
    assert update_faults("Service", old, other) == [
        ("spec.clusterIPs[0]", 'Invalid value: ["10.96.9.9"]: may not change once set')
    ]


def test_a_service_inside_lets_go_of_its_node_ports() -> None:
    old = created("Service", service(type="NodePort"))
    new = updated("Service", old, {"spec": {"type": "ClusterIP", "externalTrafficPolicy": None}})
    assert "nodePort" not in new["spec"]["ports"][0]
    assert kind("Service").validate(new) == []


# Events and leases


@pytest.mark.parametrize(
    ("about", "causes"),
    [
        ({"namespace": "default"}, []),
        ({}, []),
        (
            {"namespace": "other"},
            [("involvedObject.namespace", 'Invalid value: "other": does not match event.namespace')],
        ),
    ],
)
def test_an_event_is_where_it_happened(about: Document, causes: list[tuple[str, str]]) -> None:
    assert faults("Event", {"involvedObject": {"kind": "Pod", **about}}) == causes


def test_an_event_of_the_cluster_is_in_the_default_namespace() -> None:
    stray = {"metadata": {"name": "x", "namespace": "g"}, "involvedObject": {"kind": "Node"}}
    assert faults("Event", stray) == [("involvedObject.namespace", 'Invalid value: "": does not match event.namespace')]


def test_a_recorded_event_says_who_did_what() -> None:
    told = faults("Event", {"involvedObject": {"namespace": "default"}, "eventTime": "2026-01-01T00:00:00.000000Z"})
    required = [field for field, message in told if message == "Required value"]
    assert required == ["reportingComponent", "reportingInstance", "action", "reason"]


@pytest.mark.parametrize(
    ("spec", "causes"),
    [
        ({"leaseDurationSeconds": 15, "leaseTransitions": 0}, []),
        (
            {"leaseDurationSeconds": 0},
            [("spec.leaseDurationSeconds", "Invalid value: 0: must be greater than 0")],
        ),
        (
            {"leaseTransitions": -1},
            [("spec.leaseTransitions", "Invalid value: -1: must be greater than or equal to 0")],
        ),
    ],
)
def test_a_lease_lasts(spec: Document, causes: list[tuple[str, str]]) -> None:
    assert faults("Lease", {"spec": spec}) == causes
    assert update_faults("Lease", created("Lease", {}), {"spec": spec}) == causes


def test_a_lease_is_not_coordinated() -> None:
    spec = {"holderIdentity": "me", "strategy": "OldestEmulationVersion", "preferredHolder": "you"}
    assert created("Lease", {"spec": spec})["spec"] == {"holderIdentity": "me"}
