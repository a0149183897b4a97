"""Every decision is one that kube-scheduler's formulas call best, over random clusters with churn."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from engine import Object
from engine.scheduler.cluster import Cluster
from engine.scheduler.decisions import Decisions
from engine.scheduler.podclass import classify
from tests.scheduler import oracle

CLUSTERS = 400 if os.environ.get("ENGINE_FULL") else 40
STEPS = 40
Document = dict[str, Any]


def random_node(chance: random.Random, name: str) -> Document:
    labels = {"kubernetes.io/hostname": name, "disk": chance.choice(["ssd", "hdd"])}
    if chance.random() < 0.8:
        labels["topology.kubernetes.io/zone"] = chance.choice("abc")
    effects = ("NoSchedule", "NoExecute", "PreferNoSchedule", "PreferNoSchedule")
    keys = chance.sample(["x", "y", "z"], chance.choice([0, 0, 0, 1, 2]))
    spec: Document = {"taints": [{"key": key, "value": "v", "effect": chance.choice(effects)} for key in keys]}
    if chance.random() < 0.1:
        spec["unschedulable"] = True
    allocatable = {
        "cpu": chance.choice(["2", "4", "3500m"]),
        "memory": chance.choice(["4Gi", "8Gi"]),
        "pods": chance.choice(["4", "110"]),
    }
    if chance.random() < 0.3:
        allocatable["example.com/gpu"] = "2"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {"allocatable": allocatable},
    }


def random_pod(chance: random.Random, number: int) -> Document:
    requests = {}
    if chance.random() < 0.8:
        requests["cpu"] = chance.choice(["100m", "250m", "1"])
    if chance.random() < 0.7:
        requests["memory"] = chance.choice(["100Mi", "512Mi", "1Gi"])
    if chance.random() < 0.1:
        requests["example.com/gpu"] = "1"
    spec: Document = {"containers": [{"name": "c", "image": "i", "resources": {"requests": requests}}]}
    if chance.random() < 0.2:
        spec["nodeSelector"] = {"disk": "ssd"}
    if chance.random() < 0.3:
        spec["tolerations"] = [
            {"key": chance.choice("xy"), "operator": chance.choice(["Exists", "Equal"]), "value": "v"}
        ]
    affinity: Document = {}
    if chance.random() < 0.2:
        expression = {
            "key": "topology.kubernetes.io/zone",
            "operator": chance.choice(["In", "NotIn"]),
            "values": ["a", "b"],
        }
        affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {
            "nodeSelectorTerms": [{"matchExpressions": [expression]}]
        }
    if chance.random() < 0.2:
        term = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["hdd"]}]}
        affinity["preferredDuringSchedulingIgnoredDuringExecution"] = [
            {"weight": chance.randint(1, 100), "preference": term}
        ]
    if affinity:
        spec["affinity"] = {"nodeAffinity": affinity}
    metadata: Document = {"name": f"p{number}", "namespace": "default", "uid": f"u{number}"}
    if chance.random() < 0.7:
        metadata["ownerReferences"] = [{"uid": chance.choice(["rs1", "rs2"]), "controller": True, "kind": "ReplicaSet"}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


@pytest.mark.parametrize("seed", range(CLUSTERS))
def test_the_chosen_node_is_among_the_oracles_best(seed: int) -> None:
    chance = random.Random(seed)
    nodes = [random_node(chance, f"n{i}") for i in range(chance.randint(2, 20))]
    cluster, placed = Cluster(), []
    decisions = Decisions(cluster.nodes)
    for node in nodes:
        cluster.nodes.set(Object(node))
    for number in range(STEPS):
        if placed and chance.random() < 0.15:
            gone = placed.pop(chance.randrange(len(placed)))
            cluster.drop(Object(gone).key)
        if placed and chance.random() < 0.1:
            terminating = chance.choice(placed)
            terminating["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            cluster.observe(Object(terminating))
        if chance.random() < 0.1:
            changed = chance.randrange(len(nodes))
            nodes[changed] = random_node(chance, nodes[changed]["metadata"]["name"])
            cluster.nodes.set(Object(nodes[changed]))
        pod = random_pod(chance, number)
        view = Object(pod)
        asked = cluster.intern(classify(view))
        best = oracle.best_nodes(pod, nodes, placed)
        chosen = decisions.choose(asked, cluster.spread(view))
        assert chosen in best if best else not chosen, (
            f"seed {seed}, step {number}: {chosen or 'none'}, best {sorted(best)}"
        )
        if chosen:
            cluster.assume(view, asked, chosen)
            pod["spec"]["nodeName"] = chosen
            placed.append(pod)
            _check_room(next(node for node in nodes if node["metadata"]["name"] == chosen), placed)
        else:
            _check_message(decisions.explain(asked), pod, nodes, placed)


def _check_message(message: str, pod: Document, nodes: list[Document], placed: list[Document]) -> None:
    counts: dict[str, int] = {}
    for node in nodes:
        for reason in oracle.refusals(pod, node, placed):
            counts[reason] = counts.get(reason, 0) + 1
    told = ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items()))
    assert message == f"0/{len(nodes)} nodes are available: {told}."


def _check_room(node: Document, placed: list[Document]) -> None:
    """The pod placed last was not put where the room had been taken."""
    for name in ("cpu", "memory", "example.com/gpu"):
        if oracle.requested(placed[-1], name):
            used = sum(oracle.requested(pod, name) for pod in oracle.on(node, placed))
            assert used <= oracle.allocatable(node, name)


def test_a_removed_nodes_place_is_used_again_once_its_pods_are_gone() -> None:
    chance = random.Random(1)
    cluster = Cluster()
    cluster.nodes.set(Object(random_node(chance, "a")))
    pod = Object({**random_pod(chance, 1), "spec": {"nodeName": "a", "containers": [{"name": "c"}]}})
    cluster.observe(pod)
    cluster.nodes.remove("a")
    assert len(cluster.nodes) == 0
    assert "a" in cluster.nodes.index
    cluster.drop(pod.key)
    assert "a" not in cluster.nodes.index
    cluster.nodes.set(Object(random_node(chance, "b")))
    assert int(cluster.nodes.used_pods.sum()) == 0


def test_without_nodes_the_message_says_so() -> None:
    cluster = Cluster()
    asked = classify(Object(random_pod(random.Random(2), 1)))
    assert Decisions(cluster.nodes).explain(asked) == "no nodes available to schedule pods"
