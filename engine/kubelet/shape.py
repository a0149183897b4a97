"""What nodes are like: their capacity and their addresses."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

FIRST_SYNTHETIC = int(IPv4Address("172.16.0.1"))


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One node that the kubelet serves. Quantities as Kubernetes writes them."""

    name: str
    address: str
    allocatable: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NodeShape:
    """What every node of a kubelet is like. `address` "" gives each node one of a network that does not exist; `port`
    is the kubelet's own at that address, 0 for none."""

    cpu: str = "8"
    memory: str = "32Gi"
    pods: str = "110"
    storage: str = "100Gi"
    address: str = ""
    port: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_machine(cls, *, pods: str = "110") -> NodeShape:
        """This machine as one node; several such nodes each promise all of it."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
        disk = os.statvfs("/")
        storage = disk.f_blocks * disk.f_frsize // 1024
        return cls(str(os.cpu_count() or 1), f"{memory}Ki", pods, f"{storage}Ki", "127.0.0.1")

    def capacity(self) -> dict[str, str]:
        return {"cpu": self.cpu, "memory": self.memory, "pods": self.pods, "ephemeral-storage": self.storage}

    def facts(self, name: str, index: int) -> NodeFacts:
        address = self.address or str(IPv4Address(FIRST_SYNTHETIC + index))
        return NodeFacts(name, address, self.capacity())
