"""The runtime `simulated`: pods that only say that they run. No process, no task or timer per pod."""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine._object import Object
from engine.api import timestamps
from engine.kubelet import status
from engine.kubelet.addresses import SyntheticAddresses
from engine.kubelet.runtime import Report, Reporter
from engine.kubelet.shape import NodeFacts, NodeShape

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Delay:
    """How long something takes: always `seconds`, or drawn with `seconds` as the mean (uniform, exponential) or the
    median (lognormal); `spread` is half a uniform's width in seconds, or a lognormal's sigma."""

    distribution: Literal["constant", "uniform", "exponential", "lognormal"] = "constant"
    seconds: float = 0.0
    spread: float = 0.0

    def sampler(self, seed: int) -> Callable[[], float]:
        """The same draws for the same seed."""
        draw = random.Random(seed)
        if self.distribution == "uniform":
            return lambda: max(0.0, draw.uniform(self.seconds - self.spread, self.seconds + self.spread))
        if self.distribution == "exponential":
            return lambda: draw.expovariate(1 / self.seconds) if self.seconds else 0.0
        if self.distribution == "lognormal":
            return lambda: self.seconds * draw.lognormvariate(0.0, self.spread)
        return lambda: self.seconds


@dataclass(slots=True)
class _Pod:
    object: Object
    address: str
    phase: str  # what was reported, "" before


class SimulatedRuntime:
    """Pods on any number of nodes. A pod runs `start` after it was bound; one whose restart policy lets it end succeeds
    `finish` after it began to run (None: never). A deleted pod is gone at once."""

    name = "simulated"

    def __init__(
        self,
        *,
        start: Delay | None = None,
        finish: Delay | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._start = (start or Delay()).sampler(seed)
        self._finish = finish.sampler(seed + 1) if finish else None
        self._clock = clock
        self._pods: dict[str, _Pod] = {}
        self._addresses = SyntheticAddresses()
        self._due: list[tuple[float, str, str]] = []  # when, uid, phase to enter
        self._wake = asyncio.Event()

    def shape(self) -> NodeShape:
        return NodeShape()

    def attach(self, nodes: Mapping[str, NodeFacts], report: Reporter) -> None:
        self._nodes, self._report = nodes, report

    def sync(self, pods: Sequence[Object]) -> None:
        reports: list[Report] = []
        new = [pod for pod in pods if pod.uid not in self._pods and not self._adopt(pod)]
        for pod in pods:
            known = self._pods.get(pod.uid)
            if pod.deletion_timestamp is not None:
                reports.append(Report(pod.key, pod.uid, None, True))
            elif known and known.object is not pod:
                known.object = pod
                if known.phase and not _says(pod.peek(), known.phase):
                    reports.append(self._enter(pod.uid, known, known.phase))
        now = self._clock()
        for pod in new:
            if pod.deletion_timestamp is None:
                known = self._pods[pod.uid] = _Pod(pod, self._addresses.claim(), "")
                delay = self._start()
                if delay <= 0:
                    reports.append(self._enter(pod.uid, known, "Running"))
                else:
                    self._schedule(now + delay, pod.uid, "Running")
        if reports:
            self._report(reports)

    def _adopt(self, pod: Object) -> bool:
        """A pod that ran in an earlier life goes on as it is."""
        current = pod.peek().get("status") or {}
        phase = current.get("phase")
        if phase in ("Succeeded", "Failed"):
            return True
        if phase != "Running" or not current.get("podIP"):
            return False
        self._addresses.keep(current["podIP"])
        self._pods[pod.uid] = _Pod(pod, current["podIP"], "Running")
        self._schedule_finish(pod)
        return True

    def remove(self, uids: Sequence[str]) -> None:
        for uid in uids:
            if pod := self._pods.pop(uid, None):
                self._addresses.release(pod.address)

    def retain(self, uids: frozenset[str]) -> None:
        self.remove([uid for uid in self._pods if uid not in uids])

    async def run(self) -> None:
        """One timer, for the pod that is due next."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            self._enter_due()
            timer = None
            if self._due:
                timer = loop.call_later(max(0.0, self._due[0][0] - self._clock()), self._wake.set)
            try:
                await self._wake.wait()
            finally:
                if timer:
                    timer.cancel()

    def wake(self) -> None:
        """Looks at the clock again."""
        self._wake.set()

    async def stop(self) -> None:
        """Nothing runs."""

    def _schedule(self, at: float, uid: str, phase: str) -> None:
        heapq.heappush(self._due, (at, uid, phase))
        if self._due[0][1] == uid:
            self._wake.set()

    def _schedule_finish(self, pod: Object) -> None:
        if self._finish and pod.peek()["spec"].get("restartPolicy", "Always") != "Always":
            self._schedule(self._clock() + self._finish(), pod.uid, "Succeeded")

    def _enter_due(self) -> None:
        now, reports = self._clock(), []
        while self._due and self._due[0][0] <= now:
            _, uid, phase = heapq.heappop(self._due)
            pod = self._pods.get(uid)
            if pod and pod.object.deletion_timestamp is None:
                reports.append(self._enter(uid, pod, phase))
        if reports:
            self._report(reports)

    def _enter(self, uid: str, pod: _Pod, phase: str) -> Report:
        if not pod.phase and phase == "Running":
            self._schedule_finish(pod.object)
        pod.phase = phase
        document = pod.object.peek()
        wanted = _status(document, phase, pod.address, self._nodes[document["spec"]["nodeName"]].address)
        status.keep_transitions(wanted, document.get("status") or {})
        return Report(pod.object.key, uid, wanted)


def _says(document: Document, phase: str) -> bool:
    """Whether the object agrees: nobody else changed the status, nor did the spec change since."""
    current = document.get("status") or {}
    if current.get("phase") != phase:
        return False
    if current.get("observedGeneration", 0) != (document["metadata"].get("generation") or 0):
        return False
    return status.is_ready(current) == (phase == "Running")


def _status(document: Document, phase: str, address: str, host: str) -> status.Status:
    """Running and ready, or completed."""
    now = timestamps.now()
    metadata, spec = document["metadata"], document["spec"]
    current = document.get("status") or {}
    started = current.get("startTime") or now
    running = phase == "Running"

    def container(spec: Document, *, runs: bool, ready: bool) -> status.Status:
        identity = f"simulated://{metadata['uid']}/{spec['name']}"
        state: status.Status = {"running": {"startedAt": started}}
        if not runs:
            ended = {"exitCode": 0, "reason": "Completed", "startedAt": started, "finishedAt": now}
            state = {"terminated": {**ended, "containerID": identity}}
        return {
            "name": spec["name"],
            "state": state,
            "lastState": {},
            "ready": ready,
            "restartCount": 0,
            "image": spec["image"],
            "imageID": "",
            "containerID": identity,
            "started": runs,
        }

    main = [container(c, runs=running, ready=running) for c in spec["containers"]]
    init = []
    for c in spec.get("initContainers") or ():
        sidecar = c.get("restartPolicy") == "Always"
        init.append(container(c, runs=sidecar and running, ready=running or not sidecar))
    generation = metadata.get("generation") or 0
    wanted: status.Status = {"phase": phase}
    if generation:
        wanted["observedGeneration"] = generation
    wanted["conditions"] = status.conditions(phase, [], main, now, generation)
    wanted["hostIP"], wanted["hostIPs"] = host, [{"ip": host}]
    wanted["podIP"], wanted["podIPs"] = address, [{"ip": address}]
    wanted["startTime"] = started
    if init:
        wanted["initContainerStatuses"] = init
    wanted["containerStatuses"] = main
    return wanted
