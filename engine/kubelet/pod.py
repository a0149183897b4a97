"""One pod of the process runtime: what should run of it now, and its status."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from engine._object import Object
from engine.api import timestamps
from engine.kubelet import environment, shim, status
from engine.kubelet.attempt import Attempt, Launch
from engine.kubelet.container import Container, duration
from engine.kubelet.environment import ConfigError, Facts, Lookup, Reference
from engine.kubelet.runtime import Report
from engine.kubelet.shape import NodeFacts

FAULT_RETRY_SECONDS = 10.0  # how often a missing ConfigMap is looked for again
REMOVED_GRACE_SECONDS = 1.0  # for containers whose pod is gone from the API


class Host(Protocol):
    """What a pod needs of the runtime it is in."""

    images: dict[str, list[str]]
    base_env: dict[str, str]
    log_bytes: int
    log_files: int
    clock: Callable[[], float]

    def start(self, pod: ProcessPod, container: Container, attempt: Attempt) -> None: ...

    def halt(self, attempt: Attempt, grace_seconds: float, reason: str) -> None: ...

    def record(self, pod: Object, type: str, reason: str, message: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why the pod as a whole failed, whatever its containers say."""

    reason: str
    message: str


class ProcessPod:
    """A pod's containers and what it is owed. `advance` is level-triggered: it looks at what is, does what can be done
    now, and says in `next_at` when to look again unless something happens."""

    def __init__(self, uid: str, directory: Path, host: Host) -> None:
        self.uid = uid
        self.directory = directory
        self.address = ""
        self.started_at = ""
        self.containers: dict[str, Container] = {}
        self.next_at: float | None = None
        self.armed_at: float | None = None  # for which the runtime has a timer
        self.removed = False
        self.established = False  # in this life
        self.object: Object | None = None
        self._host = host
        self._node: NodeFacts | None = None
        self._init: list[Container] = []
        self._main: list[Container] = []
        self._halted: dict[Path, float] = {}  # grace ordered, by attempt
        self._verdict: Verdict | None = None
        self._deadline: tuple[float, float] | None = None  # activeDeadlineSeconds, and when it is over by the clock
        self._final = False  # its phase is Succeeded or Failed: nothing starts any more
        self._told: dict[str, Any] = {}  # the status reported last
        self._announced: dict[str, str] = {}  # container → the fault that an event told

    def recover(self) -> None:
        """Takes up what the directory tells of an earlier life; its attempts must have been settled."""
        fields = shim.read_fields(str(self.directory / "pod.state"))
        self.address, self.started_at = fields.get("address", ""), fields.get("started", "")
        for entry in sorted(self.directory.iterdir()):
            if "." not in entry.name:
                self.containers[entry.name] = Container.recover(entry, self._host.clock())

    def establish(self, address: str) -> None:
        """The pod's place in this life: its address and its working directory, on record before anything starts."""
        self.address, self.established = address, True
        self.started_at = self.started_at or timestamps.now()
        (self.directory / "pod.work").mkdir(parents=True, exist_ok=True)
        shim.write_fields(str(self.directory / "pod.state"), {"address": address, "started": self.started_at})

    def update(self, pod: Object, node: NodeFacts) -> None:
        """The newest version of the object."""
        self.object, self._node = pod, node
        spec, current = pod.peek()["spec"], pod.peek().get("status") or {}
        self._init = [self._container(c, init=True) for c in spec.get("initContainers") or ()]
        self._main = [self._container(c, init=False) for c in spec["containers"]]
        self._final = self._final or current.get("phase") in ("Succeeded", "Failed")
        if current.get("phase") == "Failed" and current.get("reason") and not self._verdict:
            self._verdict = Verdict(current["reason"], current.get("message", ""))

    def _container(self, spec: Any, *, init: bool) -> Container:
        name = spec["name"]
        container = self.containers.get(name)
        if container is None:
            container = self.containers[name] = Container(name, self.directory / name)
        container.spec, container.sidecar = spec, init and spec.get("restartPolicy") == "Always"
        return container

    @property
    def alive(self) -> bool:
        return any(container.alive for container in self.containers.values())

    @property
    def _policy(self) -> str:
        assert self.object
        return str(self.object.peek()["spec"].get("restartPolicy") or "Always")

    @property
    def _deleting(self) -> bool:
        return self.object is not None and self.object.deletion_timestamp is not None

    def references(self) -> Iterator[Reference]:
        """What `advance` will look up if it starts something."""
        if self.object is None or self.removed or self._deleting or self._final:
            return
        for container in (*self._init, *self._main):
            if container.wants_start(self._policy):
                yield from environment.references(container.spec)

    def advance(self, lookup: Lookup) -> Report | None:
        """Does what is to be done now. None when there is nothing to tell: the object says it already, or a container
        is just starting and will be told of in a moment."""
        self.next_at = None
        if self.removed or self.object is None:
            self._halt(self.containers.values(), REMOVED_GRACE_SECONDS, "Removed")
            return None
        if self._deleting:
            grace = self.object.peek()["metadata"].get("deletionGracePeriodSeconds") or 0
            self._halt_in_order(max(float(grace), REMOVED_GRACE_SECONDS), "Deleted")
        elif not self._final and not self._is_overdue():
            self._start_due(lookup)
        else:
            self._halt_in_order(self._grace, "PodFinished")
        if any(container.starting for container in self.containers.values()) and not self._deleting:
            return None
        return self._report()

    @property
    def _grace(self) -> float:
        assert self.object
        seconds = self.object.peek()["spec"].get("terminationGracePeriodSeconds")
        return 30.0 if seconds is None else float(seconds)

    def _is_overdue(self) -> bool:
        assert self.object
        limit = self.object.peek()["spec"].get("activeDeadlineSeconds")
        if limit is None:
            return False
        now = self._host.clock()
        if self._deadline is None or self._deadline[0] != limit:
            self._deadline = (limit, now + float(limit) - timestamps.age_seconds(self.started_at, time.time()))
        due = self._deadline[1]
        if now < due:
            self._look_again(due)
            return False
        self._verdict = Verdict("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
        self._final = True
        return True

    def _look_again(self, at: float) -> None:
        self.next_at = at if self.next_at is None else min(self.next_at, at)

    def _start_due(self, lookup: Lookup) -> None:
        """Init containers one after the other, then all the others."""
        for container in self._init:
            if container.wants_start("OnFailure" if self._policy == "Always" else self._policy):
                self._start_when_due(container, lookup)
            if container.running if container.sidecar else _succeeded(container):
                continue
            return
        for container in self._main:
            if container.wants_start(self._policy):
                self._start_when_due(container, lookup)

    def _start_when_due(self, container: Container, lookup: Lookup) -> None:
        now = self._host.clock()
        due = container.start_due()
        if due > now:
            self._look_again(due)
            self._announce_backoff(container)
            return
        try:
            self._start(container, lookup)
        except ConfigError as fault:
            container.fault = fault
            self._look_again(now + FAULT_RETRY_SECONDS)
            if self._announced.get(container.name) != str(fault) and self.object:
                self._announced[container.name] = str(fault)
                self._host.record(self.object, "Warning", "Failed", f"Error: {fault}")

    def _start(self, container: Container, lookup: Lookup) -> None:
        assert self.object
        assert self._node
        pod, spec = self.object.peek(), container.spec
        facts = Facts(self.address, self._node.address, self._node.allocatable)
        own = environment.variables(pod, spec, facts, lookup)
        args = environment.command(spec, own, self._host.images)
        hostname = pod["spec"].get("hostname") or self.object.name
        env = {**self._host.base_env, "HOSTNAME": hostname, **own}
        if any("\0" in text for text in (*args, *env.values())):
            raise ConfigError("command, args and env must not contain NUL characters")
        cwd = spec.get("workingDir") or str(self.directory / "pod.work")
        launch = Launch(args, env, cwd, container.next_restarts(), self._host.log_bytes, self._host.log_files)
        attempt = Attempt.create(container.directory, container.next_number(), launch)
        container.begin(attempt, self._host.clock())
        self._host.record(self.object, "Normal", "Created", f"Container created: {container.name}")
        self._host.start(self, container, attempt)

    def _announce_backoff(self, container: Container) -> None:
        if not container.announced_backoff and self.object:
            container.announced_backoff = True
            whole = f"{self.object.name}_{self.object.namespace}({self.uid})"
            message = f"Back-off restarting failed container {container.name} in pod {whole}"
            self._host.record(self.object, "Warning", "BackOff", message)

    def _halt_in_order(self, grace: float, reason: str) -> None:
        """Sidecars outlive the containers that they serve."""
        sidecars = [container for container in self._init if container.sidecar]
        others = [container for container in self.containers.values() if not container.sidecar]
        self._halt(others, grace, reason)
        if not any(container.alive for container in others):
            self._halt(sidecars, grace, reason)

    def _halt(self, containers: Iterable[Container], grace: float, reason: str) -> None:
        for container in containers:
            attempt = container.attempt
            if attempt is None or not container.alive or self._halted.get(attempt.directory, grace + 1) <= grace:
                continue
            if attempt.directory not in self._halted and self.object:
                self._host.record(self.object, "Normal", "Killing", f"Stopping container {container.name}")
            self._halted[attempt.directory] = grace
            self._host.halt(attempt, grace, reason)

    def _report(self) -> Report | None:
        assert self.object
        document = self.object.peek()
        gone = self._deleting and not self.alive
        current = document.get("status") or {}
        if current.get("phase") in ("Succeeded", "Failed") and not self.alive:
            return Report(self.object.key, self.uid, None, True) if gone else None  # what was said last stands
        wanted = self._status(document, gone)
        if self._final and self.alive:
            self._halt_in_order(self._grace, "PodFinished")
        if self._is_told(wanted, current):
            return Report(self.object.key, self.uid, None, True) if gone else None
        self._told = dict(wanted, conditions=[dict(condition) for condition in wanted["conditions"]])
        return Report(self.object.key, self.uid, wanted, gone)

    def _is_told(self, wanted: dict[str, Any], current: Mapping[str, Any]) -> bool:
        """The object says it; or it was told before and the object still agrees in what others judge a pod by, so
        that a server that keeps a field in another form than it was sent is not told for ever."""
        status.keep_transitions(wanted, self._told)
        status.keep_transitions(wanted, current)
        return status.is_current(wanted, current) or (wanted == self._told and status.agrees(wanted, current))

    def _status(self, document: dict[str, Any], gone: bool) -> dict[str, Any]:
        assert self._node
        spec, generation = document["spec"], document["metadata"].get("generation") or 0
        now = timestamps.now()
        stays_down = self._deleting or self._final
        init = [self._container_status(c, "PodInitializing", stays_down, init=True) for c in self._init]
        begun = all(c.running if c.sidecar else _succeeded(c) for c in self._init)
        main = [
            self._container_status(c, "ContainerCreating" if begun else "PodInitializing", stays_down)
            for c in self._main
        ]
        jobs = [s for s, c in zip(init, self._init, strict=True) if not c.sidecar]
        phase = self._phase(spec, jobs, main, gone)
        if phase in ("Succeeded", "Failed") and self.alive:
            phase, self._final = "Running", True  # sidecars end first
        self._final = self._final or phase in ("Succeeded", "Failed")
        wanted: dict[str, Any] = {"phase": phase}
        if generation:
            wanted["observedGeneration"] = generation
        wanted["conditions"] = status.conditions(phase, jobs, main, now, generation)
        if self._verdict and phase == "Failed":
            wanted["reason"], wanted["message"] = self._verdict.reason, self._verdict.message
        wanted["hostIP"], wanted["hostIPs"] = self._node.address, [{"ip": self._node.address}]
        wanted["podIP"], wanted["podIPs"] = self.address, [{"ip": self.address}]
        wanted["startTime"] = (document.get("status") or {}).get("startTime") or self.started_at
        if init:
            wanted["initContainerStatuses"] = init
        wanted["containerStatuses"] = main
        return wanted

    def _phase(self, spec: Any, init: list[dict[str, Any]], main: list[dict[str, Any]], gone: bool) -> str:
        if self._verdict and not self.alive:
            return "Failed"
        if gone:
            codes = [status.exit_code(s) for s in main]
            return "Succeeded" if codes and all(code == 0 for code in codes) else "Failed"
        return status.phase(spec, init, main)

    def _container_status(
        self, container: Container, reason: str, stays_down: bool, *, init: bool = False
    ) -> dict[str, Any]:
        policy = "OnFailure" if init and self._policy == "Always" else self._policy
        waits = not stays_down and container.ended is not None and container.wants_start(policy)
        told = container.status("process", waits=waits, reason="CrashLoopBackOff" if waits else reason, init=init)
        if waits and not container.fault and self.object:
            whole = f"{container.name} pod={self.object.name}_{self.object.namespace}({self.uid})"
            delay = duration(container.backoff.delay_seconds)
            told["state"]["waiting"]["message"] = f"back-off {delay} restarting failed container={whole}"
        return told


def _succeeded(container: Container) -> bool:
    return container.ended is not None and container.ended.code == 0
