"""TaintToleration: NoSchedule and NoExecute taints refuse, PreferNoSchedule taints cost score."""

from __future__ import annotations

import numpy as np

from engine.scheduler.nodes import Integers, Nodes
from engine.scheduler.podclass import PodClass

REASON = "node(s) had untolerated taint(s)"
WEIGHT = 3
HARD = ("NoSchedule", "NoExecute")
SOFT = "PreferNoSchedule"


def refuses(nodes: Nodes, index: int, asked: PodClass) -> str:
    for taint in nodes.taints[index]:
        if taint.get("effect") in HARD and not any(toleration.tolerates(taint) for toleration in asked.tolerations):
            return REASON
    return ""


def raw(nodes: Nodes, index: int, asked: PodClass) -> int:
    """How many soft taints are not tolerated."""
    tolerations = [toleration for toleration in asked.tolerations if toleration.effect in ("", SOFT)]
    soft = [taint for taint in nodes.taints[index] if taint.get("effect") == SOFT]
    return sum(not any(toleration.tolerates(taint) for toleration in tolerations) for taint in soft)


def normalise(counts: Integers, feasible: Integers) -> Integers:
    """`counts` of every node; the worst of the `feasible` ones (indexes) sets the scale."""
    worst = int(counts[feasible].max())
    return np.full_like(counts, 100) if worst == 0 else 100 - 100 * counts // worst
