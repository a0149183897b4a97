"""The runtime `process`: a container is a local process, kept by a shim that outlives the control plane.

What an image would bring has to be there: the command is the container's own, or mapped from its image's name. A pod
has a loopback address of its own, a working directory that goes with it (unless workingDir says otherwise), and no
other isolation: volumes, probes, security contexts and resource limits are not applied.
"""

from __future__ import annotations

import asyncio
import fcntl
import heapq
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from engine._object import Object
from engine.api.errors import StatusError
from engine.client.client import Client
from engine.kubelet import shim
from engine.kubelet.addresses import REGISTRY, LoopbackAddresses
from engine.kubelet.attempt import LOST, SHUTDOWN, Attempt, Ended, settle
from engine.kubelet.container import Container
from engine.kubelet.environment import ConfigError, Reference
from engine.kubelet.pod import ProcessPod
from engine.kubelet.runtime import Report, Reporter
from engine.kubelet.shape import NodeFacts, NodeShape
from engine.kubelet.supervisor import Supervisor
from engine.runtime.events import EventRecorder

LOG = logging.getLogger(__name__)
TURN_SECONDS = 0.01  # the loop is held for no longer than about this
RETRY_SECONDS = 5.0  # after an error in one pod that nobody expected
SHUTDOWN_GRACE_SECONDS = 5.0  # the control plane leaves within 10 s
REMOVED = ".removed"  # ends the name of a pod's directory that is being emptied
INHERITED = ("PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR")  # of the control plane's own environment; no secrets


def removed() -> Ended:
    """The end of a container whose directory somebody took away."""
    return Ended(137, "", shim.timestamp(), LOST, "the container's directory was removed")


class ProcessRuntime:
    """Runs pods as processes below `directory`, which it holds exclusively.

    `images` maps an image's name to the command that stands for it. `clock` gives monotonic seconds for restart delays
    (`wake` makes the runtime look at it again). Needs Linux.
    """

    name = "process"

    def __init__(
        self,
        client: Client,
        directory: Path,
        *,
        images: Mapping[str, Sequence[str]] | None = None,
        events: EventRecorder | None = None,
        log_bytes: int = 10 << 20,
        log_files: int = 5,
        clock: Callable[[], float] = time.monotonic,
        registry: Path = REGISTRY,
    ) -> None:
        if sys.platform != "linux":
            raise OSError("the process runtime needs Linux (pidfd, /proc, 127.0.0.0/8); use --runtime simulated")
        self.images = {image: list(command) for image, command in (images or {}).items()}
        self.base_env = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self.log_bytes, self.log_files = log_bytes, log_files
        self.clock = clock
        self._client = client
        self._events = events
        # Absolute: containers are started from another directory.
        self._pods_directory = Path(os.path.abspath(directory)) / "pods"
        self._addresses = LoopbackAddresses(registry)
        self._nodes: Mapping[str, NodeFacts] = {}
        self._pods: dict[str, ProcessPod] = {}
        self._owners: dict[Path, tuple[ProcessPod, Container]] = {}  # of attempts that live
        self._dirty: dict[str, None] = {}
        self._timers: list[tuple[float, str]] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._supervisor: Supervisor | None = None  # until attached
        self._stopping = False
        self._ended = asyncio.Event()

    def shape(self) -> NodeShape:
        return NodeShape.of_machine()

    def attach(self, nodes: Mapping[str, NodeFacts], report: Reporter) -> None:
        """OSError when another process holds the directory."""
        self._nodes, self._report = nodes, report
        self._pods_directory.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(
            self._pods_directory.with_name("kubelet.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            # Of the process, unlike flock: a shim that was being spawned when we were killed does not hold it on.
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise OSError(f"{self._pods_directory} is in use by another kubelet") from None
        self._supervisor = Supervisor(self._on_started, self._on_ended)
        self._addresses.prune()
        self._recover(self._supervisor)

    def _recover(self, supervisor: Supervisor) -> None:
        """Adopts what runs; what has lost its shim has an end on record afterwards."""
        for removed in self._pods_directory.glob("*" + REMOVED):
            shutil.rmtree(removed, ignore_errors=True)
        pods = [entry for entry in self._pods_directory.iterdir() if entry.is_dir()]
        containers = [entry for pod in pods for entry in pod.iterdir() if "." not in entry.name and entry.is_dir()]
        numbered = [attempt for entry in containers for attempt in entry.iterdir() if attempt.name.isdigit()]
        kept = settle([Attempt(path, int(path.name)) for path in numbered])
        for directory in pods:
            pod = self._pods[directory.name] = ProcessPod(directory.name, directory, self)
            pod.recover()
            if pod.address and not self._addresses.keep(pod.address, directory):
                LOG.warning("pod %s: its address %s belongs to another pod by now", pod.uid, pod.address)
                pod.address = pod.address if pod.alive else ""
            for container in pod.containers.values():
                if container.attempt in kept:
                    self._owners[container.attempt.directory] = (pod, container)
                    supervisor.adopt(container.attempt)
        if kept:
            LOG.info("adopted %d running containers", len(kept))

    def sync(self, pods: Sequence[Object]) -> None:
        gone = []
        for pod in pods:
            document = pod.peek()
            known = self._pods.get(pod.uid)
            if known is None:
                if pod.deletion_timestamp is not None:
                    gone.append(Report(pod.key, pod.uid, None, True))
                    continue
                if (document.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
                    continue
                known = self._pods[pod.uid] = ProcessPod(pod.uid, self._pods_directory / pod.uid, self)
                known.started_at = (document.get("status") or {}).get("startTime") or ""
            known.update(pod, self._nodes[document["spec"]["nodeName"]])
            self._touch(known.uid)
        if gone:
            self._report(gone)

    def remove(self, uids: Sequence[str]) -> None:
        for uid in uids:
            if pod := self._pods.get(uid):
                pod.removed = True
                self._touch(uid)

    def retain(self, uids: frozenset[str]) -> None:
        unknown = [uid for uid in self._pods if uid not in uids]
        if unknown:
            LOG.info("ending what runs of %d pods that the API does not know", len(unknown))
        self.remove(unknown)

    def wake(self) -> None:
        """Looks at the clock again."""
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._collect_due()
            uids = [uid for uid in self._dirty if uid in self._pods]
            self._dirty.clear()
            found = await self._fetch(uids)
            await self._advance(uids, found)
            self._arm()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL after at most 5 s: the pods' objects stay as they are, and start again."""
        self._stopping = True
        if self._supervisor is None:
            return
        for attempt in [container.attempt for _, container in self._owners.values() if container.attempt]:
            self._supervisor.stop(attempt, SHUTDOWN_GRACE_SECONDS, SHUTDOWN)
        with suppress(TimeoutError):
            async with asyncio.timeout(SHUTDOWN_GRACE_SECONDS + 2):
                while self._owners:
                    self._ended.clear()
                    await self._ended.wait()
        for pod in self._pods.values():
            if pod.address and not pod.alive:
                self._addresses.release(pod.address, pod.directory)
        self.close()

    def close(self) -> None:
        """Lets go of everything without ending anything: the next life adopts it."""
        self._stopping = True
        if self._supervisor is None:
            return
        self._supervisor.close()
        if self._alarm:
            self._alarm.cancel()
        os.close(self._lock)

    # What pods ask for.

    def start(self, pod: ProcessPod, container: Container, attempt: Attempt) -> None:
        assert self._supervisor
        self._owners[attempt.directory] = (pod, container)
        self._supervisor.start(attempt)

    def halt(self, attempt: Attempt, grace_seconds: float, reason: str) -> None:
        assert self._supervisor
        self._supervisor.stop(attempt, grace_seconds, reason)

    def record(self, pod: Object, type: str, reason: str, message: str) -> None:
        if self._events:
            self._events.record(pod, type, reason, message)

    def _on_started(self, attempt: Attempt) -> None:
        pod, container = self._owners[attempt.directory]
        container.started_at = attempt.state().get("started", "")
        if pod.object:
            self.record(pod.object, "Normal", "Started", f"Container started: {container.name}")
        self._touch(pod.uid)

    def _on_ended(self, attempt: Attempt) -> None:
        pod, container = self._owners.pop(attempt.directory)
        container.ended, container.ended_at = attempt.ended() or removed(), self.clock()
        if pod.object and container.ended.reason == "StartError":
            self.record(pod.object, "Warning", "Failed", f"Error: {container.ended.message}")
        self._ended.set()
        self._touch(pod.uid)

    def _touch(self, uid: str) -> None:
        self._dirty[uid] = None
        self._wake.set()

    def _collect_due(self) -> None:
        now = self.clock()
        while self._timers and self._timers[0][0] <= now:
            at, uid = heapq.heappop(self._timers)
            self._dirty[uid] = None
            if (pod := self._pods.get(uid)) and pod.armed_at == at:
                pod.armed_at = None

    def _arm(self) -> None:
        """One timer for all pods."""
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None
        if self._timers:
            delay = max(0.0, self._timers[0][0] - self.clock())
            self._alarm = asyncio.get_running_loop().call_later(delay, self._wake.set)

    async def _fetch(self, uids: Iterable[str]) -> dict[tuple[str, Reference], Object | StatusError | OSError]:
        """The ConfigMaps and Secrets that these pods' containers will be made of, each read once."""
        wanted: dict[tuple[str, Reference], None] = {}
        for uid in uids:
            pod = self._pods[uid]
            if pod.object:
                wanted.update(dict.fromkeys((pod.object.namespace, ref) for ref in pod.references()))
        found: dict[tuple[str, Reference], Object | StatusError | OSError] = {}
        for namespace, ref in wanted:
            try:
                found[namespace, ref] = await self._client.get(ref.resource, namespace, ref.name)
            except (StatusError, OSError) as error:
                found[namespace, ref] = error
        return found

    async def _advance(
        self, uids: Sequence[str], found: Mapping[tuple[str, Reference], Object | StatusError | OSError]
    ) -> None:
        reports = []
        turn_ends = time.monotonic() + TURN_SECONDS
        for uid in uids:
            if self._stopping:
                return
            pod = self._pods.get(uid)
            if pod is None:
                continue
            try:
                if report := self._advance_one(pod, found):
                    reports.append(report)
            except Exception:
                LOG.exception("pod %s", pod.object.key if pod.object else uid)
                pod.next_at = self.clock() + RETRY_SECONDS
            if pod.next_at is not None and pod.next_at != pod.armed_at:
                heapq.heappush(self._timers, (pod.next_at, uid))
                pod.armed_at = pod.next_at
            if time.monotonic() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = time.monotonic() + TURN_SECONDS
        if reports:
            self._report(reports)

    def _advance_one(
        self, pod: ProcessPod, found: Mapping[tuple[str, Reference], Object | StatusError | OSError]
    ) -> Report | None:
        def lookup(ref: Reference) -> Object | None:
            assert pod.object
            value = found.get((pod.object.namespace, ref))
            if isinstance(value, StatusError) and value.code == 404:
                return None
            if not isinstance(value, Object):
                raise ConfigError(f"failed to read {ref.resource.kind.lower()} {ref.name}: {value}")
            return value

        if pod.removed and not pod.alive:
            self._forget(pod)
            return None
        if pod.object and not pod.removed and not pod.established:
            self._establish(pod)
        return pod.advance(lookup)

    def _establish(self, pod: ProcessPod) -> None:
        pod.directory.mkdir(exist_ok=True)
        pod.establish(pod.address or self._addresses.claim(pod.directory))

    def _forget(self, pod: ProcessPod) -> None:
        """Its directory vanishes at once, and is emptied beside the loop."""
        del self._pods[pod.uid]
        if pod.address:
            self._addresses.release(pod.address, pod.directory)
        with suppress(FileNotFoundError):  # nothing of it ever began
            removed = pod.directory.rename(pod.directory.with_name(pod.uid + REMOVED))
            asyncio.get_running_loop().run_in_executor(None, shutil.rmtree, removed, True)
