"""What a kubelet asks of the thing that runs its pods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from engine._object import Object
from engine.kubelet.shape import NodeFacts, NodeShape


@dataclass(frozen=True, slots=True)
class Report:
    """What a runtime knows of one pod now. Only the newest report of a pod counts.

    `status` holds the fields of the pod's status that a kubelet owns, None for no news; it belongs to the receiver.
    `gone`: the pod was to be deleted and nothing of it runs any more.
    """

    key: str
    uid: str
    status: dict[str, Any] | None = None
    gone: bool = False


Reporter = Callable[[Sequence[Report]], None]


class Runtime(Protocol):
    """Runs pods. Every call returns at once; what comes of it is reported. All of it happens on one loop."""

    name: str  # of the scheme in containerIDs and in nodeInfo

    def shape(self) -> NodeShape:
        """What its nodes are like unless somebody says otherwise."""

    def attach(self, nodes: Mapping[str, NodeFacts], report: Reporter) -> None:
        """Called once, first. What runs from an earlier life is found here."""

    def sync(self, pods: Sequence[Object]) -> None:
        """Newest versions of bound pods: starts those that are new, stops those with a deletion timestamp, and reports
        whatever the objects do not say yet."""

    def remove(self, uids: Sequence[str]) -> None:
        """These objects are gone from the API: what runs of them ends."""

    def retain(self, uids: frozenset[str]) -> None:
        """Called once, after the first sync: whatever else runs, ends."""

    async def run(self) -> None:
        """Works until cancelled."""

    async def stop(self) -> None:
        """Ends what runs, within a few seconds; the pods stay and start again in the next life."""
