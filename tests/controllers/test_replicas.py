"""Which pods count, and which are deleted first."""

from __future__ import annotations

from typing import Any

import pytest

from engine._cache import Cache
from engine._object import Object
from engine.api.timestamps import epoch_seconds, rfc3339
from engine.controllers import replicas

NOW = epoch_seconds("2026-01-02T00:00:00Z")


def pod(
    name: str,
    *,
    node: str = "n1",
    phase: str = "Running",
    ready: bool = True,
    ready_for: float = 3600,
    age: float = 7200,
    restarts: int = 0,
    owner: str | None = "rs",
    **metadata: Any,
) -> Object:
    since = rfc3339(NOW - ready_for)
    condition = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": since}
    meta = {"name": name, "namespace": "d", "uid": f"uid-{name}", "creationTimestamp": rfc3339(NOW - age), **metadata}
    if owner:
        meta["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": owner, "controller": True}
        ]
    status = {"phase": phase, "conditions": [condition], "containerStatuses": [{"restartCount": restarts}]}
    return Object({"metadata": meta, "spec": {"nodeName": node} if node else {}, "status": status})


COST = {"annotations": {replicas.DELETION_COST: "-5"}}


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (pod("a", node="", phase="Pending", ready=False), pod("b", phase="Pending", ready=False)),
        (pod("a", phase="Pending", ready=False), pod("b", ready=False)),
        (pod("a", ready=False), pod("b")),
        (pod("a", **COST), pod("b", ready_for=10)),
        (pod("a", ready_for=10), pod("b", ready_for=9000)),
        (pod("a", restarts=3), pod("b")),
        (pod("a", age=10, ready_for=5), pod("b", age=9000, ready_for=5)),
    ],
    ids=["unassigned", "pending", "not ready", "cheap", "lately ready", "restarted", "young"],
)
def test_the_pod_that_is_missed_least_goes_first(first, then):
    for pods in ([first, then], [then, first]):
        assert replicas.first_to_delete(pods, 1, [], NOW) == [first]


def test_a_crowded_node_loses_a_pod_before_an_empty_one():
    pods = [pod("a", node="n1"), pod("b", node="n2"), pod("c", node="n2")]
    assert replicas.first_to_delete(pods, 1, pods, NOW)[0].name in "bc"


def test_crowding_counts_the_pods_of_all_replica_sets_of_the_owner():
    mine = [pod("a", node="n1"), pod("b", node="n2")]
    others = [pod("x", node="n1", owner="other")]
    assert replicas.first_to_delete(mine, 1, [*mine, *others], NOW) == [mine[0]]


def test_cost_outweighs_crowding():
    pods = [pod("a", node="n1"), pod("b", node="n1"), pod("c", node="n2", **COST)]
    assert replicas.first_to_delete(pods, 1, pods, NOW)[0].name == "c"


def test_times_of_one_magnitude_are_equal():
    older, younger = pod("a", ready_for=5000, age=5000), pod("b", ready_for=4200, age=4200)
    assert replicas.first_to_delete([younger, older], 1, [], NOW) == [older]  # by uid, as good as random


def test_the_index_counts_active_ready_terminating_and_orphaned_pods():
    cache = Cache(indexes={replicas.REPLICAS: replicas.replica_states})
    for each in (
        pod("a"),
        pod("b", ready=False),
        pod("c", phase="Succeeded"),
        pod("d", deletionTimestamp=rfc3339(NOW)),
        pod("e", owner=None),
        pod("f", owner=None, phase="Failed"),
    ):
        cache.apply("ADDED", each)
    assert replicas.count(cache, "rs") == 2
    assert replicas.count(cache, "rs", "ready") == 1
    assert replicas.count(cache, "rs", "terminating") == 1
    assert [each.name for each in cache.by_index(replicas.REPLICAS, "orphan/d")] == ["e"]
    cache.apply("MODIFIED", pod("b", ready=True))
    assert replicas.count(cache, "rs", "ready") == 2


def test_a_pod_is_available_once_it_was_ready_for_long_enough():
    pods = [pod("a", ready_for=100), pod("b", ready_for=20), pod("c", ready_for=25)]
    assert replicas.count_available(pods, 30, NOW) == (1, 5.0)
    assert replicas.count_available(pods, 10, NOW) == (3, None)
