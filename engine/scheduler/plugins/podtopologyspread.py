"""PodTopologySpread with the cluster's default constraints: pods of one controller over hosts and zones."""

from __future__ import annotations

import math

import numpy as np

from engine.scheduler.nodes import Integers, Nodes

WEIGHT = 2
HOST_SKEW = 3
ZONE_SKEW = 5


class Spread:
    """Where the pods of one group (those of one controller) are, terminating ones left out."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.total = 0
        self._hosts = np.zeros(nodes.capacity, dtype=np.int64)
        self._zones = np.zeros(0, dtype=np.int64)
        self._generation = -1

    def count(self, index: int, change: int) -> None:
        self._fit()
        self._hosts[index] += change
        self.total += change
        zone = self.nodes.zone[index]
        if zone >= 0:
            self._zones[zone] += change

    def scores(self, feasible: Integers, zones: int) -> Integers:
        """For the feasible nodes (their indexes), among which there are so many zones."""
        self._fit()
        raw = self._hosts[feasible] * math.log(len(feasible) + 2) + (HOST_SKEW - 1)
        if zones:
            zone = self.nodes.zone[feasible]
            labelled = self._zones[zone] * math.log(zones + 2) + (ZONE_SKEW - 1)
            raw = raw + np.where(zone >= 0, labelled, 0.0)
        rounded = np.floor(raw + 0.5).astype(np.int64)
        highest, lowest = int(rounded.max()), int(rounded.min())
        return np.full_like(rounded, 100) if highest == 0 else 100 * (highest + lowest - rounded) // highest

    def _fit(self) -> None:
        """Vectors as long as the cluster has become; zones counted again when nodes have changed theirs."""
        if self._generation == self.nodes.generation:
            return
        self._generation = self.nodes.generation
        if len(self._hosts) < self.nodes.capacity:
            self._hosts = np.concatenate(
                [self._hosts, np.zeros(self.nodes.capacity - len(self._hosts), dtype=np.int64)]
            )
        self._zones = np.zeros(len(self.nodes.zones), dtype=np.int64)
        labelled = self.nodes.zone >= 0
        np.add.at(self._zones, self.nodes.zone[labelled], self._hosts[labelled])
