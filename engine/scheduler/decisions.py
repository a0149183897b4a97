"""Where a pod goes: filter, then score, for one class of pods at a time and incrementally.

A class keeps which nodes it may use and what each is worth; of what placements change it is told by the nodes' change
log, so a batch of equal pods costs each the nodes that changed since the last one, not all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from engine.scheduler.nodes import Integers, Nodes
from engine.scheduler.plugins import nodeaffinity, nodename, noderesources, nodeunschedulable, tainttoleration
from engine.scheduler.plugins.podtopologyspread import WEIGHT as SPREAD_WEIGHT
from engine.scheduler.plugins.podtopologyspread import Spread
from engine.scheduler.podclass import PodClass

FILTERS = (nodeunschedulable, nodename, tainttoleration, nodeaffinity)
MAX_CLASSES = 1024  # the least recently used class is forgotten beyond
MAX_CHANGES = 1 << 16  # of the nodes' log; classes further behind start anew


class _View:
    """One class's standing: `allowed` by what is static, `open` by what is left as well, and the score so far."""

    def __init__(self, asked: PodClass, nodes: Nodes) -> None:
        self.asked = asked
        self.generation = nodes.generation
        self.position = len(nodes.changes)
        self.refusals = _refusals(nodes, asked)
        self.allowed = np.array([not reason for reason in self.refusals], dtype=bool) & nodes.exists
        self.taints = _raw(nodes, self.allowed, asked, tainttoleration.raw)
        self.affinity = _raw(nodes, self.allowed, asked, nodeaffinity.raw) if asked.preferred else None
        every = np.arange(nodes.capacity)
        self.open = self.allowed & noderesources.fits(nodes, every, asked.requests)
        self.local = self._score(nodes, every)
        self.feasible: Integers | None = None  # the indexes of `open`; None when it has to be read again
        self.zones = 0
        self.message = ""  # why no node is feasible; "" when it has to be found out again

    def _score(self, nodes: Nodes, at: Integers) -> Integers:
        requests = self.asked.requests
        least = noderesources.least_allocated(nodes, at, requests)
        return noderesources.WEIGHT * (least + noderesources.balanced_allocation(nodes, at, requests))

    def catch_up(self, nodes: Nodes) -> None:
        if self.position == len(nodes.changes):
            return
        at = np.unique(np.array(nodes.changes[self.position :], dtype=np.int64))
        self.position = len(nodes.changes)
        self.message = ""
        fit = self.allowed[at] & noderesources.fits(nodes, at, self.asked.requests)
        if (fit != self.open[at]).any():
            self.open[at] = fit
            self.feasible = None
        self.local[at] = self._score(nodes, at)

    def candidates(self, nodes: Nodes) -> Integers:
        if self.feasible is None:
            self.feasible = np.flatnonzero(self.open)
            zones = nodes.zone[self.feasible]
            self.zones = len(np.unique(zones[zones >= 0]))
        return self.feasible


class Decisions:
    """Chooses nodes. It reads `nodes`; whoever places a pod tells them with `nodes.take`."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self._views: dict[PodClass, _View] = {}

    def choose(self, asked: PodClass, spread: Spread | None) -> str:
        """The name of a node that is best by the sum of all weighted scores, "" when no node is feasible."""
        view = self._view(asked)
        feasible = view.candidates(self.nodes)
        if not len(feasible):
            return ""
        total = self.scores(asked, spread)
        return self.nodes.names[int(feasible[int(total.argmax())])]

    def scores(self, asked: PodClass, spread: Spread | None) -> Integers:
        """The sums for the feasible nodes, in the order of their indexes."""
        view = self._view(asked)
        feasible = view.candidates(self.nodes)
        total = view.local[feasible]
        if view.taints is not None:
            total = total + tainttoleration.WEIGHT * tainttoleration.normalise(view.taints, feasible)[feasible]
        if view.affinity is not None:
            total = total + nodeaffinity.WEIGHT * nodeaffinity.normalise(view.affinity, feasible)[feasible]
        if spread is not None and spread.total:
            total = total + SPREAD_WEIGHT * spread.scores(feasible, view.zones)
        return total

    def feasible(self, asked: PodClass) -> list[str]:
        view = self._view(asked)
        return [self.nodes.names[int(index)] for index in view.candidates(self.nodes)]

    def explain(self, asked: PodClass) -> str:
        """Why no node is feasible, in Kubernetes' words: `0/3 nodes are available: 1 Insufficient cpu, …`.

        Looks at every node once for a class; its next pods get the same answer until a node changes.
        """
        view = self._view(asked)
        if not view.message:
            view.message = self._explanation(view)
        return view.message

    def _explanation(self, view: _View) -> str:
        asked = view.asked
        count: Counter[str] = Counter()
        for index in np.flatnonzero(self.nodes.exists):
            refusal = view.refusals[int(index)]
            for reason in [refusal] if refusal else noderesources.reasons(self.nodes, int(index), asked.requests):
                count[reason] += 1
        nodes = int(np.count_nonzero(self.nodes.exists))
        if not nodes:
            return "no nodes available to schedule pods"
        reasons = ", ".join(sorted(f"{number} {reason}" for reason, number in count.items()))
        return f"0/{nodes} nodes are available: {reasons}."

    def _view(self, asked: PodClass) -> _View:
        if len(self.nodes.changes) > MAX_CHANGES:
            self.nodes.changes.clear()
            self._views.clear()
        view = self._views.pop(asked, None)
        if view is None or view.generation != self.nodes.generation:
            if len(self._views) >= MAX_CLASSES:
                del self._views[next(iter(self._views))]
            view = _View(asked, self.nodes)
        else:
            view.catch_up(self.nodes)
        self._views[asked] = view  # last in order: the most recently used
        return view


def _refusals(nodes: Nodes, asked: PodClass) -> list[str]:
    """The first filter's reason for each node, "" for none."""

    def first(index: int) -> str:
        return next((reason for plugin in FILTERS if (reason := plugin.refuses(nodes, index, asked))), "")

    return [first(index) if nodes.exists[index] else "" for index in range(nodes.capacity)]


def _raw(nodes: Nodes, allowed: Iterable[bool], asked: PodClass, raw: object) -> Integers | None:
    """A plugin's raw scores; None where all are 0, so that nothing is normalised for nothing."""
    assert callable(raw)
    values = np.array([raw(nodes, index, asked) if ok else 0 for index, ok in enumerate(allowed)], dtype=np.int64)
    return values if values.any() else None
