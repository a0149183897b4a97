"""Which taints follow from a node's state, and when a pod has to leave for one."""

from __future__ import annotations

import math
from typing import Any

import pytest

from engine.api.timestamps import epoch_seconds, rfc3339
from engine.controllers import taints

NOW = epoch_seconds("2026-01-02T00:00:00Z")


def node(ready: str | None, *, present: list[dict[str, Any]] = (), **more: Any) -> dict[str, Any]:  # type: ignore[assignment]
    conditions = [{"type": "Ready", "status": ready}] if ready else []
    conditions += [{"type": type, "status": "True"} for type in more.pop("pressures", ())]
    return {"spec": {"taints": list(present), **more}, "status": {"conditions": conditions}}


def pairs(node: dict[str, Any]) -> set[tuple[str, str]] | None:
    wanted = taints.next_taints(node, NOW)
    return None if wanted is None else {(taint["key"], taint["effect"]) for taint in wanted}


def test_a_ready_node_needs_no_taint():
    assert pairs(node("True")) is None


def test_an_unknown_node_is_unreachable_and_one_that_says_no_is_not_ready():
    assert pairs(node("Unknown")) == {(taints.UNREACHABLE, "NoSchedule"), (taints.UNREACHABLE, "NoExecute")}
    assert pairs(node("False")) == {(taints.NOT_READY, "NoSchedule"), (taints.NOT_READY, "NoExecute")}


def test_a_taint_that_drives_pods_away_says_since_when():
    added = {taint["effect"]: taint.get("timeAdded") for taint in taints.next_taints(node("False"), NOW)}
    assert added == {"NoSchedule": None, "NoExecute": rfc3339(NOW)}


def test_taints_that_are_there_keep_their_time():
    tainted = node("Unknown", present=taints.next_taints(node("Unknown"), NOW - 100))
    assert taints.next_taints(tainted, NOW) is None


def test_recovery_takes_the_taints_off_and_leaves_those_of_others():
    other = {"key": "gpu", "effect": "NoSchedule", "value": "x"}
    tainted = node("True", present=[*taints.next_taints(node("Unknown"), NOW), other])
    assert taints.next_taints(tainted, NOW) == [other]


def test_a_node_that_has_not_reported_keeps_what_it_registered_with():
    assert taints.next_taints(node(None, present=[{"key": taints.NOT_READY, "effect": "NoSchedule"}]), NOW) is None


def test_pressure_and_cordoning_keep_new_pods_away():
    assert pairs(node("True", unschedulable=True, pressures=["DiskPressure"])) == {
        (taints.UNSCHEDULABLE, "NoSchedule"),
        ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    }


TAINT = {"key": taints.UNREACHABLE, "effect": "NoExecute", "timeAdded": rfc3339(NOW)}
OTHER = {"key": "maintenance", "effect": "NoExecute", "timeAdded": rfc3339(NOW)}


@pytest.mark.parametrize(
    ("tolerations", "taint", "seconds"),
    [
        ([], TAINT, 300),
        ([], OTHER, 0),
        ([{"operator": "Exists"}], TAINT, math.inf),
        ([{"key": taints.UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 7}], TAINT, 7),
        ([{"key": "maintenance", "operator": "Exists", "effect": "NoSchedule"}], OTHER, 0),
        ([{"key": "maintenance", "value": "x"}], OTHER, 0),
        ([{"key": "maintenance"}], OTHER, math.inf),
        ([{"operator": "Exists", "tolerationSeconds": 9}, {"operator": "Exists", "tolerationSeconds": 3}], OTHER, 3),
    ],
)
def test_a_pod_leaves_when_its_tolerations_run_out(tolerations, taint, seconds):
    assert taints.eviction_time({"spec": {"tolerations": tolerations}}, [taint]) == NOW + seconds


def test_the_first_of_several_taints_decides():
    assert taints.eviction_time({"spec": {}}, [TAINT, OTHER]) == NOW
