"""The cells of tables, as kubectl shows them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from samples import created, job, kind, merged, pod, workload

from engine.api.kinds.age import human, since

Document = dict[str, Any]


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).strftime("%Y-%m-%dT%H:%M:%SZ")


def cells(name: str, document: Document, change: Document | None = None) -> dict[str, Any]:
    """A row by the names of its columns."""
    made = merged(created(name, document), change or {})
    found = kind(name)
    row = found.row(made)
    assert len(row) == len(found.columns)
    return {column.name: cell for column, cell in zip(found.columns, row, strict=True)}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (599, "9m59s"),
        (3600, "60m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 60, "3h1m"),
        (8 * 3600, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (49 * 3600, "2d1h"),
        (8 * 86400, "8d"),
        (729 * 86400, "729d"),
        (730 * 86400, "2y"),
        (731 * 86400, "2y1d"),
        (3000 * 86400, "8y"),
    ],
)
def test_spans_are_coarser_the_longer_they_are(seconds: float, text: str) -> None:
    assert human(seconds) == text


def test_no_timestamp_is_an_unknown_age() -> None:
    assert since(None) == "<unknown>"


def test_a_new_pod() -> None:
    assert cells("Pod", pod(metadata={"creationTimestamp": ago(hours=5)})) == {
        "Name": "p",
        "Ready": "0/1",
        "Status": "Pending",
        "Restarts": "0",
        "Age": "5h",
        "IP": "<none>",
        "Node": "<none>",
        "Nominated Node": "<none>",
        "Readiness Gates": "<none>",
    }


def running(**state: Any) -> Document:
    return {"name": "c", "ready": True, "restartCount": 0, "state": {"running": {}}, **state}


def status(*containers: Document, **members: Any) -> Document:
    return {"status": {"phase": "Running", "containerStatuses": list(containers), **members}}


WAITING = {"waiting": {"reason": "ContainerCreating"}}
CRASHING = running(ready=False, restartCount=3, state={"waiting": {"reason": "CrashLoopBackOff"}})
DONE = running(ready=False, state={"terminated": {"exitCode": 0, "reason": "Completed"}})
FAILED = running(ready=False, state={"terminated": {"exitCode": 2, "reason": "Error"}})

POD_STATES: dict[str, tuple[Document, tuple[str, str]]] = {
    "runs": (status(running()), ("1/1", "Running")),
    "is being made": (status(running(ready=False, state=WAITING), phase="Pending"), ("0/1", "ContainerCreating")),
    "crashes": (status(CRASHING), ("0/1", "CrashLoopBackOff")),
    "is done": (status(DONE, phase="Succeeded"), ("0/1", "Completed")),
    "failed": (status(FAILED, phase="Failed"), ("0/1", "Error")),
    "failed without a reason": (
        status(running(ready=False, state={"terminated": {"exitCode": 3}})),
        ("0/1", "ExitCode:3"),
    ),
    "was killed": (
        status(running(ready=False, state={"terminated": {"exitCode": 137, "signal": 9}})),
        ("0/1", "Signal:9"),
    ),
    "was evicted": (status(phase="Failed", reason="Evicted"), ("0/1", "Evicted")),
    "waits at a gate": (
        status(phase="Pending", conditions=[{"type": "PodScheduled", "reason": "SchedulingGated"}]),
        ("0/1", "SchedulingGated"),
    ),
    "terminates": (
        {"metadata": {"deletionTimestamp": ago()}, **status(running())},
        ("1/1", "Terminating"),
    ),
    "is done and deleted": (
        {"metadata": {"deletionTimestamp": ago()}, **status(DONE, phase="Succeeded")},
        ("0/1", "Completed"),
    ),
    "is on a lost node": (
        {"metadata": {"deletionTimestamp": ago()}, **status(running(), reason="NodeLost")},
        ("1/1", "Unknown"),
    ),
}


@pytest.mark.parametrize("state", POD_STATES)
def test_a_pod_that(state: str) -> None:
    change, shown = POD_STATES[state]
    row = cells("Pod", pod(), change)
    assert (row["Ready"], row["Status"]) == shown


INIT = pod(initContainers=[{"name": "i", "image": "x"}, {"name": "j", "image": "x"}])
INIT_STATES: dict[str, tuple[list[Document], str]] = {
    "has its first still to run": ([{"name": "i", "state": {"waiting": {"reason": "PodInitializing"}}}], "Init:0/2"),
    "has its second still to run": (
        [{"name": "i", "state": {"terminated": {"exitCode": 0}}}, {"name": "j", "state": {"running": {}}}],
        "Init:1/2",
    ),
    "crashes": ([{"name": "i", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}], "Init:CrashLoopBackOff"),
    "failed": ([{"name": "i", "state": {"terminated": {"exitCode": 1}}}], "Init:ExitCode:1"),
}


@pytest.mark.parametrize("state", INIT_STATES)
def test_a_pod_whose_initialization(state: str) -> None:
    containers, shown = INIT_STATES[state]
    assert cells("Pod", INIT, {"status": {"initContainerStatuses": containers}})["Status"] == shown


def test_a_sidecar_counts_as_a_container() -> None:
    sidecar = pod(initContainers=[{"name": "s", "image": "x", "restartPolicy": "Always"}])
    started = {"name": "s", "ready": True, "started": True, "restartCount": 2, "state": {"running": {}}}
    row = cells("Pod", sidecar, status(running(restartCount=1), initContainerStatuses=[started]))
    assert (row["Ready"], row["Restarts"]) == ("2/2", "3")


def test_a_pod_with_one_container_done_and_one_running_is_not_ready() -> None:
    two = {"spec": {"containers": [{"name": "c", "image": "x"}, {"name": "d", "image": "x"}]}}
    row = cells("Pod", two, status(running(), {**DONE, "name": "d"}))
    assert (row["Ready"], row["Status"]) == ("1/2", "NotReady")


def test_restarts_tell_when_the_last_was() -> None:
    crashed = {**CRASHING, "lastState": {"terminated": {"exitCode": 1, "finishedAt": ago(minutes=5)}}}
    assert cells("Pod", pod(), status(crashed))["Restarts"] == "3 (5m ago)"


def test_readiness_gates_are_counted() -> None:
    gated = pod(readinessGates=[{"conditionType": "a"}, {"conditionType": "b"}])
    row = cells("Pod", gated, status(conditions=[{"type": "a", "status": "True"}, {"type": "b", "status": "False"}]))
    assert row["Readiness Gates"] == "1/2"


def test_a_placed_pod_shows_where() -> None:
    row = cells("Pod", pod(nodeName="n"), status(running(), podIPs=[{"ip": "10.0.0.7"}], nominatedNodeName="m"))
    assert (row["IP"], row["Node"], row["Nominated Node"]) == ("10.0.0.7", "n", "m")


def test_a_deployment() -> None:
    counts = {"status": {"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1}}
    assert cells("Deployment", workload(replicas=3), counts) == {
        "Name": "x",
        "Ready": "1/3",
        "Up-to-date": 2,
        "Available": 1,
        "Age": "<unknown>",
        "Containers": "c",
        "Images": "nginx",
        "Selector": "app=w",
    }


def test_a_replica_set() -> None:
    row = cells("ReplicaSet", workload(replicas=3), {"status": {"replicas": 2, "readyReplicas": 1}})
    assert (row["Desired"], row["Current"], row["Ready"], row["Selector"]) == (3, 2, 1, "app=w")


def test_a_selector_is_shown_in_key_order() -> None:
    expressions = [
        {"key": "z", "operator": "In", "values": ["b", "a"]},
        {"key": "b", "operator": "NotIn", "values": ["x"]},
        {"key": "c", "operator": "Exists"},
        {"key": "d", "operator": "DoesNotExist"},
    ]
    selector = {"matchLabels": {"app": "w"}, "matchExpressions": expressions}
    shown = cells("Deployment", workload(selector=selector))["Selector"]
    assert shown == "app=w,b notin (x),c,!d,z in (a,b)"


@pytest.mark.parametrize(
    ("spec", "counts", "completions"),
    [
        ({"completions": 3}, {"succeeded": 1}, "1/3"),
        ({"parallelism": 2}, {}, "0/1 of 2"),
        ({"parallelism": 1}, {}, "0/1"),
    ],
)
def test_completions_of_a_job(spec: Document, counts: Document, completions: str) -> None:
    assert cells("Job", job(**spec), {"status": counts})["Completions"] == completions


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, "Running"),
        ({"status": {"conditions": [{"type": "Complete", "status": "True"}]}}, "Complete"),
        ({"status": {"conditions": [{"type": "Failed", "status": "True"}]}}, "Failed"),
        ({"status": {"conditions": [{"type": "Suspended", "status": "True"}]}}, "Suspended"),
        ({"status": {"conditions": [{"type": "Suspended", "status": "False"}]}}, "Running"),
        ({"metadata": {"deletionTimestamp": ago()}}, "Terminating"),
    ],
)
def test_the_state_of_a_job(change: Document, state: str) -> None:
    assert cells("Job", job(), change)["Status"] == state


def test_a_job_lasts_from_start_to_end() -> None:
    times = {"startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:01:30Z"}
    assert cells("Job", job(), {"status": times})["Duration"] == "90s"
    assert cells("Job", job())["Duration"] == ""


def test_a_node() -> None:
    labels = {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/edge": ""}
    info = {"kubeletVersion": "v1", "osImage": "os", "kernelVersion": "k", "architecture": "arm64"}
    change = {
        "metadata": {"labels": labels},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": info,
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
        },
    }
    assert cells("Node", {}, change) == {
        "Name": "x",
        "Status": "Ready",
        "Roles": "edge,worker",
        "Age": "<unknown>",
        "Version": "v1",
        "Internal-IP": "10.0.0.1",
        "External-IP": "<none>",
        "OS-Image": "os",
        "Kernel-Version": "k (arm64)",
        "Container-Runtime": "<unknown>",
    }


@pytest.mark.parametrize(
    ("ready", "unschedulable", "state"),
    [
        (None, False, "Unknown"),
        ("False", False, "NotReady"),
        ("Unknown", False, "NotReady"),
        ("True", True, "Ready,SchedulingDisabled"),
    ],
)
def test_the_state_of_a_node(ready: str | None, unschedulable: bool, state: str) -> None:
    conditions = [{"type": "Ready", "status": ready}] if ready else []
    change = {"spec": {"unschedulable": unschedulable}, "status": {"conditions": conditions}}
    assert cells("Node", {}, change)["Status"] == state


def test_a_service_by_its_ports() -> None:
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 53, "protocol": "UDP", "nodePort": 30053}]
    row = cells("Service", {"spec": {"type": "NodePort", "ports": ports, "selector": {"b": "2", "a": "1"}}})
    assert row["Port(s)"].endswith("/TCP,53:30053/UDP")
    assert (row["Type"], row["External-IP"], row["Selector"]) == ("NodePort", "<none>", "a=1,b=2")


def test_a_load_balancer_without_address_is_pending() -> None:
    balancer = {"spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}
    assert cells("Service", balancer)["External-IP"] == "<pending>"
    given = {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}}
    assert cells("Service", balancer, given)["External-IP"] == "1.2.3.4"


def test_an_event() -> None:
    row = cells(
        "Event",
        {
            "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"},
            "reason": "Started",
            "message": " m\n",
            "type": "Normal",
            "source": {"component": "kubelet", "host": "n"},
            "firstTimestamp": ago(hours=4),
            "lastTimestamp": ago(hours=3),
            "count": 2,
        },
    )
    assert list(row.values()) == ["3h", "Normal", "Started", "pod/p", "", "kubelet, n", "m", "4h", 2, "x"]


def test_a_series_of_events_was_last_seen_when_it_says() -> None:
    row = cells("Event", {"series": {"count": 9, "lastObservedTime": ago(hours=6)}})
    assert (row["Last Seen"], row["Count"]) == ("6h", 9)


@pytest.mark.parametrize(
    ("name", "document", "column", "cell"),
    [
        ("ConfigMap", {"data": {"a": "1"}, "binaryData": {"b": "MQ=="}}, "Data", 2),
        ("Secret", {"stringData": {"a": "1"}}, "Data", 1),
        ("Secret", {}, "Type", "Opaque"),
        ("Lease", {"spec": {"holderIdentity": "me"}}, "Holder", "me"),
        ("Namespace", {}, "Status", "Active"),
        ("ServiceAccount", {}, "Name", "x"),
    ],
)
def test_the_telling_cell_of_the_small_kinds(name: str, document: Document, column: str, cell: Any) -> None:
    assert cells(name, document)[column] == cell
