"""NodeName: a pod that names its node goes there or nowhere."""

from __future__ import annotations

from engine.scheduler.nodes import Nodes
from engine.scheduler.podclass import PodClass

REASON = "node(s) didn't match the requested node name"


def refuses(nodes: Nodes, index: int, asked: PodClass) -> str:
    return REASON if asked.node_name and asked.node_name != nodes.names[index] else ""
