"""What the scheduler knows of the cluster: nodes, and which pods are where, assumed ones included."""

from __future__ import annotations

from dataclasses import dataclass

from engine._object import Object
from engine.scheduler.nodes import Nodes
from engine.scheduler.plugins.podtopologyspread import Spread
from engine.scheduler.podclass import PodClass, Requests, classify

FINISHED = ("Succeeded", "Failed")


@dataclass(slots=True)
class _Placed:
    uid: str
    node: str
    index: int
    requests: Requests
    group: str  # whose pod it is, "" for nobody's
    counted: bool  # in its group's spread: not when it is terminating
    assumed: bool  # bound by us, not yet seen bound


class Cluster:
    """The placements. A pod bound here counts from the decision on (`assume`); the informer confirms it later."""

    def __init__(self) -> None:
        self.nodes = Nodes()
        self._placed: dict[str, _Placed] = {}
        self._spreads: dict[str, Spread] = {}
        self._classes: dict[PodClass, PodClass] = {}

    def spread(self, pod: Object) -> Spread | None:
        """Where the pods of this pod's controller are, None for a pod of nobody."""
        return self._spreads.get(group_of(pod))

    def assume(self, pod: Object, asked: PodClass, node: str) -> None:
        self._place(pod, asked.requests, node, assumed=True)

    def forget(self, pod: Object) -> None:
        """The binding failed: gives back what `assume` took, unless the pod has been seen bound since."""
        placed = self._placed.get(pod.key)
        if placed is not None and placed.assumed and placed.uid == pod.uid:
            self._remove(pod.key)

    def is_assumed(self, pod: Object) -> bool:
        """True while our own binding of this pod has not been seen."""
        placed = self._placed.get(pod.key)
        return placed is not None and placed.assumed and placed.uid == pod.uid

    def observe(self, pod: Object) -> bool:
        """A pod's newest state. True when room has become free."""
        document = pod.peek()
        node = (document.get("spec") or {}).get("nodeName") or ""
        ended = (document.get("status") or {}).get("phase") in FINISHED
        placed = self._placed.get(pod.key)
        if placed is not None and placed.uid != pod.uid:
            self._remove(pod.key)
            placed = None
        if not node or ended:
            if placed is None or (placed.assumed and not ended):
                return False
            self._remove(pod.key)
            return True
        if placed is not None and placed.node == node:
            placed.assumed = False
            if placed.counted and pod.deletion_timestamp:
                placed.counted = False
                self._count(placed, -1)
            return False
        if placed is not None:
            self._remove(pod.key)
        self._place(pod, classify(pod).requests, node, assumed=False)
        return placed is not None

    def drop(self, key: str) -> bool:
        """The pod is gone. True when it held a place."""
        if key not in self._placed:
            return False
        self._remove(key)
        return True

    def intern(self, asked: PodClass) -> PodClass:
        """The one value that stands for all equal classes, so that its views are found by one hash of one object."""
        if len(self._classes) > 4096:
            self._classes.clear()
        return self._classes.setdefault(asked, asked)

    def _place(self, pod: Object, requests: Requests, node: str, *, assumed: bool) -> None:
        index = self.nodes.claim(node)
        placed = _Placed(pod.uid, node, index, requests, group_of(pod), not pod.deletion_timestamp, assumed)
        self._placed[pod.key] = placed
        self.nodes.take(index, requests)
        if placed.counted:
            self._count(placed, 1)

    def _remove(self, key: str) -> None:
        placed = self._placed.pop(key)
        if placed.counted:
            self._count(placed, -1)
        self.nodes.release(placed.index, placed.requests)

    def _count(self, placed: _Placed, change: int) -> None:
        if not placed.group:
            return
        spread = self._spreads.get(placed.group)
        if spread is None:
            spread = self._spreads[placed.group] = Spread(self.nodes)
        spread.count(placed.index, change)
        if spread.total == 0:
            del self._spreads[placed.group]


def group_of(pod: Object) -> str:
    """The uid of the pod's controller: pods of one controller are spread."""
    for owner in pod.peek()["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner["uid"])
    return ""
