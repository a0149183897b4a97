"""One container of a pod: its attempts on disk, when it may start again, and its status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.kubelet.attempt import NEVER_STARTED, SHUTDOWN, Attempt, Ended, attempts_of
from engine.kubelet.environment import ConfigError

KEPT_ATTEMPTS = 2  # the current one, and the previous one for its log


@dataclass(slots=True)
class Backoff:
    """Kubernetes' restart delay: none at first, then 10 s, doubled up to 300 s; forgotten after 10 quiet minutes."""

    initial_seconds: float = 10.0
    max_seconds: float = 300.0
    delay_seconds: float = 0.0
    updated_at: float = 0.0

    def due(self, ended_at: float) -> float:
        """When a container that ended then may start again."""
        return ended_at if self._expired(ended_at) else ended_at + self.delay_seconds

    def count(self, ended_at: float, now: float) -> None:
        """It starts again: the next time takes longer."""
        doubled = min(self.delay_seconds * 2, self.max_seconds)
        self.delay_seconds = self.initial_seconds if self._expired(ended_at) else doubled
        self.updated_at = now

    def _expired(self, ended_at: float) -> bool:
        return not self.delay_seconds or ended_at - self.updated_at > 2 * self.max_seconds


@dataclass(slots=True)
class Container:
    """`attempt` is the newest one; it is starting, running (`started_at`) or ended (`ended`)."""

    name: str
    directory: Path
    spec: Mapping[str, Any] = field(default_factory=dict)  # {} while only the directory is known
    sidecar: bool = False  # an init container that stays
    attempt: Attempt | None = None
    started_at: str = ""
    ended: Ended | None = None
    ended_at: float = 0.0  # by the runtime's clock
    previous: tuple[Attempt, Ended] | None = None
    fault: ConfigError | None = None  # why it cannot be started now
    backoff: Backoff = field(default_factory=Backoff)
    announced_backoff: bool = False
    _restarts: int = 0

    @classmethod
    def recover(cls, directory: Path, now: float) -> Container:
        """As the directory has it. Attempts that did run and have ended must have been settled."""
        container = cls(directory.name, directory)
        for attempt in [attempt for attempt in attempts_of(directory) if attempt.written][-KEPT_ATTEMPTS:]:
            if container.attempt and container.ended:
                container._remember_previous()
            container.attempt = attempt
            container.ended = attempt.ended()
            container._restarts = attempt.restarts
        container.ended_at = now
        return container

    @property
    def starting(self) -> bool:
        return self.attempt is not None and not self.started_at and self.ended is None

    @property
    def running(self) -> bool:
        return bool(self.started_at) and self.ended is None

    @property
    def alive(self) -> bool:
        return self.attempt is not None and self.ended is None

    @property
    def restarts(self) -> int:
        """How many attempts ran before the newest one."""
        return self._restarts

    def wants_start(self, policy: str) -> bool:
        """Whether it should run although it does not: not yet begun, or ended and to be restarted."""
        if self.attempt is None:
            return True
        if self.ended is None:
            return False
        if self.ended.stopped == SHUTDOWN or self.ended.reason == NEVER_STARTED or self.sidecar:
            return True
        return policy == "Always" or (policy == "OnFailure" and self.ended.code != 0)

    def start_due(self) -> float:
        """When a wanted start may happen; 0 for at once."""
        if self.ended is None or self.ended.stopped == SHUTDOWN:
            return 0.0
        return self.backoff.due(self.ended_at)

    def next_number(self) -> int:
        """Above every number that was ever begun with."""
        attempts = attempts_of(self.directory)
        return attempts[-1].number + 1 if attempts else 0

    def next_restarts(self) -> int:
        """An attempt that never started doesn't count."""
        ran = self.ended is not None and self.ended.reason != NEVER_STARTED
        return self._restarts + (1 if ran else 0)

    def begin(self, attempt: Attempt, now: float) -> None:
        """The attempt was created and is on its way."""
        self._restarts = self.next_restarts()
        if self.ended:
            if self.ended.stopped != SHUTDOWN:
                self.backoff.count(self.ended_at, now)
            self._remember_previous()
        for old in attempts_of(self.directory)[:-KEPT_ATTEMPTS]:
            old.remove()
        self.attempt, self.started_at, self.ended, self.fault = attempt, "", None, None
        self.announced_backoff = False

    def _remember_previous(self) -> None:
        assert self.attempt
        assert self.ended
        if self.ended.reason != NEVER_STARTED:
            self.previous = (self.attempt, self.ended)

    def status(self, scheme: str, *, waits: bool, reason: str, init: bool = False) -> dict[str, Any]:
        """Its containerStatus. `waits`: it ended but will start again later; `reason`: why it has not begun."""
        ran = (self.attempt, self.ended) if self.attempt and self.ended and self.ended.reason != NEVER_STARTED else None
        state: dict[str, Any]
        last = self.previous
        if self.fault:
            state = {"waiting": {"reason": self.fault.reason, "message": str(self.fault)}}
            last = ran or last
        elif self.running:
            state = {"running": {"startedAt": _seconds(self.started_at)}}
        elif ran and not waits:
            state = {"terminated": self._terminated(scheme, *ran)}
        else:
            state = {"waiting": {"reason": reason}}
            last = ran or last
        done = self.ended is not None and self.ended.code == 0  # an init container is ready when it has succeeded
        status = {
            "name": self.name,
            "state": state,
            "lastState": {"terminated": self._terminated(scheme, *last)} if last else {},
            "ready": done if init and not self.sidecar else self.running,
            "restartCount": self.restarts,
            "image": self.spec["image"],
            "imageID": "",
            "started": self.running,
        }
        if self.attempt:
            status["containerID"] = f"{scheme}://{self.attempt.name}"
        return status

    def _terminated(self, scheme: str, attempt: Attempt, ended: Ended) -> dict[str, Any]:
        terminated = {
            "exitCode": ended.code,
            "reason": ended.reason or ("Completed" if ended.code == 0 else "Error"),
            "startedAt": _seconds(ended.started) or None,
            "finishedAt": _seconds(ended.finished),
            "containerID": f"{scheme}://{attempt.name}",
        }
        if ended.message:
            terminated["message"] = ended.message
        return {name: value for name, value in terminated.items() if value is not None}


def _seconds(timestamp: str) -> str:
    """A Time has no fraction."""
    return timestamp[:19] + "Z" if timestamp else ""


def duration(seconds: float) -> str:
    """As Go writes it: `10s`, `1m20s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
