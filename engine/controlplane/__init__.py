"""The parts of a control plane wired together: all in one process, or each in its own over HTTPS."""

from engine.controlplane.part import Part, controllers, kubelet, node_names, scheduler
from engine.controlplane.plane import ControlPlane, calm_collector
from engine.controlplane.server import Server, Settings

__all__ = [
    "ControlPlane",
    "Part",
    "Server",
    "Settings",
    "calm_collector",
    "controllers",
    "kubelet",
    "node_names",
    "scheduler",
]
