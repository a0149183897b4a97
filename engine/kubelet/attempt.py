"""One attempt to run a container, as its directory tells it: made once, and decided by whoever holds its lock."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.kubelet import shim

MARKER = "ENGINE_CONTAINER"  # in every container's environment: which attempt a process belongs to
SHUTDOWN = "Shutdown"  # the `stopped` reason of a container that the control plane's own end stopped
LOST = "ContainerStatusUnknown"
NEVER_STARTED = "NeverStarted"


@dataclass(frozen=True, slots=True)
class Launch:
    """What a container runs: everything resolved."""

    args: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    restarts: int  # attempts that ran before
    log_bytes: int = 10 << 20
    log_files: int = 5


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended. Times are RFC 3339 with nanoseconds."""

    code: int
    started: str
    finished: str
    reason: str = ""  # StartError, ContainerStatusUnknown, NeverStarted; "" for an end of its own
    message: str = ""
    stopped: str = ""  # why it was asked to stop, "" when it was not


@dataclass(frozen=True, slots=True)
class Attempt:
    """The directory `PODS/UID/CONTAINER/NUMBER`."""

    directory: Path
    number: int

    @classmethod
    def create(cls, container: Path, number: int, launch: Launch) -> Attempt:
        """FileExistsError when the attempt was made before: it is then not ours to start."""
        attempt = cls(container / str(number), number)
        container.mkdir(parents=True, exist_ok=True)
        attempt.directory.mkdir(mode=0o700)
        env = {**launch.env, MARKER: attempt.mark}
        entries = [f"restarts={launch.restarts}", f"log_bytes={launch.log_bytes}", f"log_files={launch.log_files}"]
        entries += [f"cwd={launch.cwd}", *(f"arg={arg}" for arg in launch.args)]
        entries += [f"env={name}={value}" for name, value in env.items()]
        draft = attempt.directory / "spec.new"
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(fd, "wb") as file:
            file.write("\0".join(entries).encode("utf-8", "surrogateescape"))
        draft.rename(attempt.directory / "spec")
        return attempt

    @property
    def written(self) -> bool:
        """False when its maker was killed, or failed, before it could be started."""
        return (self.directory / "spec").exists()

    @property
    def mark(self) -> str:
        """What its processes carry in their environment; a copy of the directory has another one."""
        return os.path.abspath(self.directory)

    @property
    def name(self) -> str:
        """Its name within the node: UID/CONTAINER/NUMBER."""
        return "/".join(self.directory.parts[-3:])

    @property
    def restarts(self) -> int:
        """Attempts that ran before this one."""
        head, _, _ = (self.directory / "spec").read_bytes().partition(b"\0")
        return int(head.partition(b"=")[2])

    def state(self) -> dict[str, str]:
        """What the shim wrote about itself and the container; {} before it began."""
        return shim.read_fields(str(self.directory / "state"))

    def ended(self) -> Ended | None:
        """How it ended, if that is on record."""
        fields = shim.read_fields(str(self.directory / "exit"))
        if not fields:
            return None
        names = ("started", "finished", "reason", "message", "stopped")
        return Ended(int(fields["code"]), *(fields.get(name, "") for name in names))

    def order_stop(self, grace_seconds: float, reason: str) -> None:
        """Writes what the shim reads on SIGTERM."""
        shim.write_fields(str(self.directory / "stop"), {"grace": str(grace_seconds), "reason": reason})

    def remove(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)


def attempts_of(container: Path) -> list[Attempt]:
    """All that is kept of a container, oldest first."""
    with suppress(FileNotFoundError):
        numbers = sorted(int(name) for name in os.listdir(container) if name.isdigit())
        return [Attempt(container / str(number), number) for number in numbers]
    return []


def settle(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Returns the attempts that a shim keeps; every other one has an end on record afterwards.

    An attempt without keeper and without an end either never began or lost its shim (machine stopped, shim killed).
    What may live of it is killed first, then its end is written, both under its lock: a shim that comes late leaves.
    In a copy of a data directory every attempt has lost its shim; what the original runs is left alone.
    Must not be called for an attempt whose shim is on its way.
    """
    kept: list[Attempt] = []
    locks: list[int] = []
    orphaned: list[Attempt] = []
    try:
        for attempt in attempts:
            if attempt.ended():
                continue
            try:
                fd = os.open(attempt.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                continue  # the directory was removed behind our back
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                kept.append(attempt)
                continue
            locks.append(fd)
            if not attempt.ended():
                orphaned.append(attempt)
        if orphaned:
            _kill_leftovers(orphaned)
        for attempt in orphaned:
            _record_lost(attempt)
    finally:
        for fd in locks:
            os.close(fd)
    return kept


def _record_lost(attempt: Attempt) -> None:
    state = attempt.state()
    begun = (attempt.directory / "state").exists()
    fields = {"code": "137", "started": state.get("started", ""), "finished": shim.timestamp()}
    fields["reason"] = LOST if begun else NEVER_STARTED
    if begun:
        fields["message"] = "the container's keeper is gone: the machine stopped, or the keeper was killed"
    shim.write_fields(str(attempt.directory / "exit"), fields, durable=True)


def _kill_leftovers(attempts: Sequence[Attempt]) -> None:
    """Returns when no process of these attempts lives. A process is one of theirs by the marker in its environment, or
    as, or in the session of, the very process on record (pid and start time)."""
    boot = shim.boot_id()
    attempts = [attempt for attempt in attempts if not _is_kept_elsewhere(attempt, boot)]
    markers = {f"{MARKER}={attempt.mark}".encode() for attempt in attempts}
    states = [attempt.state() for attempt in attempts]
    leaders = {(state["pid"], state["pid_start"]) for state in states if state.get("boot") == boot and "pid" in state}
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        living = list(_living(markers, leaders))
        if not living:
            return
        for pid in living:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)  # the kernel ends a killed process in its own time
    raise TimeoutError(f"processes {living} of lost containers do not end")


def _is_kept_elsewhere(attempt: Attempt, boot: str) -> bool:
    """Whether the shim on record lives, at work in another directory than this one, whose lock is free: a copy."""
    state = attempt.state()
    if state.get("boot") != boot:
        return False
    try:
        same = shim.start_time(int(state["shim"])) == state["shim_start"]
        return same and not os.path.samefile(f"/proc/{state['shim']}/cwd", attempt.directory)
    except OSError:
        return False  # it is gone, or going


def _living(markers: set[bytes], leaders: set[tuple[str, str]]) -> Iterator[int]:
    stats: dict[int, list[bytes]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                stats[int(name)] = shim.process_stat(int(name))
    sessions = {pid for pid, stat in stats.items() if (str(pid), stat[19].decode()) in leaders}
    for pid, stat in stats.items():
        if stat[0] not in (b"Z", b"X") and (int(stat[3]) in sessions or _marked(pid, markers)):
            yield pid


def _marked(pid: int, markers: set[bytes]) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return not markers.isdisjoint(file.read().split(b"\0"))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
