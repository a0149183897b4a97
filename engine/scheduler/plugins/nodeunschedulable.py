"""NodeUnschedulable: cordoned nodes take only pods that tolerate it."""

from __future__ import annotations

from engine.scheduler.nodes import Nodes
from engine.scheduler.podclass import PodClass

REASON = "node(s) were unschedulable"
TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def refuses(nodes: Nodes, index: int, asked: PodClass) -> str:
    if nodes.unschedulable[index] and not any(toleration.tolerates(TAINT) for toleration in asked.tolerations):
        return REASON
    return ""
