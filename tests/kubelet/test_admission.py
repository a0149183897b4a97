"""What a pod takes of its node, and its phase."""

from __future__ import annotations

from typing import Any

import pytest

from engine.kubelet.admission import NodeResources, requests
from engine.kubelet.status import phase


def wants(cpu: str = "", memory: str = "", **more: Any) -> dict[str, Any]:
    return {"resources": {"requests": {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v}}, **more}


def test_containers_and_sidecars_add_up_and_the_hungriest_init_container_counts() -> None:
    spec = {
        "containers": [wants("250m", "1Gi"), wants("250m")],
        "initContainers": [wants("2", "64Mi"), wants("1", "2Gi"), wants("100m", restartPolicy="Always")],
        "overhead": {"cpu": "10m"},
    }
    assert requests(spec) == {"cpu": 2010, "memory": 2 << 30, "pods": 1}


@pytest.mark.parametrize(
    ("taken", "wanted", "reason"),
    [
        ({}, {"cpu": 1000, "pods": 1}, None),
        ({}, {"cpu": 1001, "pods": 1}, "OutOfcpu"),
        ({"cpu": 600}, {"cpu": 600, "pods": 1}, "OutOfcpu"),
        ({"memory": 1}, {"memory": 1 << 20, "pods": 1}, "OutOfmemory"),
        ({"pods": 2}, {"pods": 1}, "OutOfpods"),
        ({}, {"example.com/gpu": 5, "pods": 1}, None),
        ({"cpu": 2000}, {"cpu": 0, "pods": 1}, None),
    ],
)
def test_a_node_refuses_what_it_has_not(taken: dict[str, int], wanted: dict[str, int], reason: str | None) -> None:
    node = NodeResources({"cpu": "1", "memory": "1Mi", "pods": "2"})
    node.take(taken)
    shortage = node.shortage(wanted)
    assert (shortage and shortage[0]) == reason
    node.give_back(taken)
    assert node.shortage({"pods": 2}) is None


RUNNING: dict[str, Any] = {"state": {"running": {}}, "lastState": {}}
WAITING: dict[str, Any] = {"state": {"waiting": {}}, "lastState": {}}
BACK_OFF: dict[str, Any] = {"state": {"waiting": {}}, "lastState": {"terminated": {"exitCode": 1}}}
GOOD: dict[str, Any] = {"state": {"terminated": {"exitCode": 0}}, "lastState": {}}
BAD: dict[str, Any] = {"state": {"terminated": {"exitCode": 1}}, "lastState": {}}


@pytest.mark.parametrize(
    ("policy", "init", "containers", "expected"),
    [
        ("Always", [], [RUNNING], "Running"),
        ("Always", [], [RUNNING, WAITING], "Pending"),
        ("Always", [], [BACK_OFF], "Running"),
        ("Always", [], [GOOD], "Running"),
        ("OnFailure", [], [GOOD, GOOD], "Succeeded"),
        ("OnFailure", [], [GOOD, BACK_OFF], "Running"),
        ("Never", [], [GOOD, BAD], "Failed"),
        ("Never", [], [GOOD, RUNNING], "Running"),
        ("Never", [], [GOOD], "Succeeded"),
        ("Never", [BAD], [WAITING], "Failed"),
        ("OnFailure", [BAD], [WAITING], "Pending"),
        ("Always", [RUNNING], [WAITING], "Pending"),
        ("Always", [GOOD], [RUNNING], "Running"),
    ],
)
def test_the_phase(policy: str, init: list[dict[str, Any]], containers: list[dict[str, Any]], expected: str) -> None:
    assert phase({"restartPolicy": policy}, init, containers) == expected
