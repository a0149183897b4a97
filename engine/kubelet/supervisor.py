"""Starts shims and learns of their ends: one epoll over pipes and pidfds, whoever the parent of a process is."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import signal
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from engine.kubelet import shim
from engine.kubelet.attempt import Attempt, settle

LOG = logging.getLogger(__name__)
SHIM = str(Path(shim.__file__))
MAX_STARTING = 8  # interpreters that start at a time; a start is some 15 ms of one core
ADOPT_RETRY_SECONDS = 0.02
END_RETRY_SECONDS = 5.0  # for a process that the kernel does not end


class Supervisor:
    """Runs attempts. `on_started` tells that the container runs, `on_ended` that the end is on record; both are called
    from the loop, never from within a call into this class."""

    def __init__(self, on_started: Callable[[Attempt], None], on_ended: Callable[[Attempt], None]) -> None:
        self._on_started = on_started
        self._on_ended = on_ended
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._loop.add_reader(self._epoll.fileno(), self._ready)
        self._handlers: dict[int, Callable[[], None]] = {}
        self._waiting: deque[Attempt] = deque()
        self._starting = 0
        self._shims: dict[Path, int] = {}  # attempt → pidfd
        self._stops: dict[Path, Attempt] = {}  # ordered before the shim was known
        self._closed = False

    def start(self, attempt: Attempt) -> None:
        """The attempt was just created, and is started by nobody else."""
        self._waiting.append(attempt)
        self._loop.call_soon(self._start_waiting)

    def adopt(self, attempt: Attempt) -> None:
        """A shim of an earlier life keeps this attempt: told as started, and of its end."""
        self._loop.call_soon(self._follow, attempt)

    def stop(self, attempt: Attempt, grace_seconds: float, reason: str) -> None:
        """SIGTERM, then SIGKILL after the grace period; a second call may only shorten it."""
        if attempt in self._waiting:
            self._waiting.remove(attempt)
            self._loop.call_soon(self._end, attempt)
            return
        with suppress(FileNotFoundError):  # its directory was removed: the default order stands
            attempt.order_stop(grace_seconds, reason)
        pidfd = self._shims.get(attempt.directory)
        if pidfd is None:
            self._stops[attempt.directory] = attempt
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGTERM)

    def close(self) -> None:
        """Lets go: what runs goes on running, kept by its shims."""
        self._closed = True
        self._loop.remove_reader(self._epoll.fileno())
        for fd in self._handlers:
            os.close(fd)
        self._handlers.clear()
        self._epoll.close()

    def _ready(self) -> None:
        for fd, _ in self._epoll.poll(0):
            handler = self._handlers.pop(fd)
            self._epoll.unregister(fd)
            handler()

    def _when_ready(self, fd: int, handler: Callable[[], None]) -> None:
        self._handlers[fd] = handler
        self._epoll.register(fd, select.EPOLLIN)

    def _start_waiting(self) -> None:
        while self._waiting and self._starting < MAX_STARTING and not self._closed:
            attempt = self._waiting.popleft()
            try:
                self._spawn(attempt)
            except OSError as error:
                LOG.error("%s: its keeper could not be started: %s", attempt.name, error)
                self._end(attempt)

    def _spawn(self, attempt: Attempt) -> None:
        told, telling = os.pipe2(os.O_CLOEXEC)
        try:
            pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", SHIM, str(attempt.directory)],
                {},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
                    (os.POSIX_SPAWN_DUP2, 0, 1),
                    (os.POSIX_SPAWN_DUP2, 0, 2),
                    (os.POSIX_SPAWN_DUP2, telling, shim.READY_FD),
                ],
                setsid=True,
            )
        except OSError:
            os.close(told)
            raise
        finally:
            os.close(telling)
        self._starting += 1
        self._when_ready(told, lambda: self._told(attempt, pid, told))

    def _told(self, attempt: Attempt, pid: int, told: int) -> None:
        words = os.read(told, 4096).decode("utf-8", "replace").strip()
        os.close(told)
        os.waitpid(pid, 0)  # the first process of the shim, which has left or is leaving
        self._starting -= 1
        if self._waiting:
            self._loop.call_soon(self._start_waiting)
        if words == "started":
            self._follow(attempt)
            return
        if not words.startswith("failed: "):
            LOG.error("%s: its keeper left: %s", attempt.name, words or "without a word")
        self._end(attempt)

    def _follow(self, attempt: Attempt) -> None:
        """Watches the shim that the attempt's state names; one that just took the lock names itself in a moment."""
        if self._closed:
            return
        state = attempt.state()
        if "shim" not in state or ("pid" not in state and attempt.ended() is None):
            if settle([attempt]):
                self._loop.call_later(ADOPT_RETRY_SECONDS, self._follow, attempt)
            else:
                self._end(attempt)
            return
        pid = int(state["shim"])
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            self._end(attempt)
            return
        try:
            same = shim.start_time(pid) == state["shim_start"]
        except (FileNotFoundError, ProcessLookupError):
            same = False
        if not same:
            os.close(pidfd)
            self._end(attempt)
            return
        self._shims[attempt.directory] = pidfd
        self._when_ready(pidfd, lambda: self._left(attempt, pidfd))
        self._on_started(attempt)
        if self._stops.pop(attempt.directory, None):
            signal.pidfd_send_signal(pidfd, signal.SIGTERM)

    def _left(self, attempt: Attempt, pidfd: int) -> None:
        del self._shims[attempt.directory]
        os.close(pidfd)
        self._end(attempt)

    def _end(self, attempt: Attempt) -> None:
        self._stops.pop(attempt.directory, None)
        try:
            settle([attempt])
        except TimeoutError as error:
            LOG.error("%s: %s", attempt.name, error)
            self._loop.call_later(END_RETRY_SECONDS, self._end, attempt)
            return
        self._on_ended(attempt)
