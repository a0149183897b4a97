"""The pods that wait for a node: active, backing off, or unschedulable until something changes."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from engine._object import Object

FIRST_BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 10.0
FLUSH_SECONDS = 300.0  # an unschedulable pod is tried again after this even when nothing changed


@dataclass(slots=True)
class Waiting:
    """A pod in the queue. `attempts` counts the tries that found no node or could not bind."""

    pod: Object
    attempts: int = 0
    place: tuple[int, str, int] = field(default=(0, "", 0))  # order among the active
    ready_at: float = 0.0  # end of its backoff
    told: str = ""  # the message that its condition carries


class SchedulingQueue:
    """Higher priority first, then the older pod. A pod is in one place only; a key put in again replaces what waited.

    Each try that failed doubles the backoff, 1 s to 10 s. `clock` gives seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._order = itertools.count()
        self._active: list[tuple[tuple[int, str, int], str]] = []
        self._backoff: list[tuple[float, int, str]] = []
        self._unschedulable: dict[str, float] = {}  # key → when it came here, oldest first
        self._waiting: dict[str, Waiting] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, pod: Object) -> None:
        """A pod that is new, or whose spec or labels changed: to be tried now, its past forgotten."""
        known = self._waiting.get(pod.key)
        told = known.told if known and known.pod.uid == pod.uid else ""
        self._unschedulable.pop(pod.key, None)
        self._activate(Waiting(pod, told=told))

    def refresh(self, pod: Object) -> bool:
        """The newest state of a pod that waits, where nothing that counts has changed. False when it doesn't wait."""
        known = self._waiting.get(pod.key)
        if known is None or known.pod.uid != pod.uid:
            return False
        known.pod = pod
        return True

    def remove(self, key: str) -> None:
        self._waiting.pop(key, None)
        self._unschedulable.pop(key, None)

    def take(self, most: int) -> list[Waiting]:
        """The next pods to try, best first."""
        self._release()
        taken: list[Waiting] = []
        while self._active and len(taken) < most:
            place, key = heapq.heappop(self._active)
            waiting = self._waiting.get(key)
            if waiting is not None and waiting.place == place:  # else: removed, or put in again since
                del self._waiting[key]
                taken.append(waiting)
        return taken

    def put_back(self, waiting: Waiting) -> None:
        """It could not be bound: again after its backoff."""
        self._count(waiting)
        self._waiting[waiting.pod.key] = waiting
        heapq.heappush(self._backoff, (waiting.ready_at, next(self._order), waiting.pod.key))

    def park(self, waiting: Waiting) -> None:
        """No node has room: again when something changes."""
        self._count(waiting)
        self._waiting[waiting.pod.key] = waiting
        self._unschedulable[waiting.pod.key] = self._clock()

    def retry_unschedulable(self) -> None:
        """Nodes or placed pods changed: every parked pod is tried again once its backoff is over."""
        for key in self._unschedulable:
            waiting = self._waiting[key]
            heapq.heappush(self._backoff, (waiting.ready_at, next(self._order), key))
        self._unschedulable.clear()

    def next_deadline(self) -> float | None:
        """When `take` has something at the latest, by the clock: the past when it has now, None for nothing."""
        if self._active:
            return self._clock()
        deadlines = [self._backoff[0][0]] if self._backoff else []
        if self._unschedulable:
            deadlines.append(next(iter(self._unschedulable.values())) + FLUSH_SECONDS)
        return min(deadlines, default=None)

    def _release(self) -> None:
        now = self._clock()
        while self._backoff and self._backoff[0][0] <= now:
            ready_at, _, key = heapq.heappop(self._backoff)
            waiting = self._waiting.get(key)
            if waiting is not None and waiting.ready_at == ready_at and key not in self._unschedulable:
                self._activate(waiting)
        while self._unschedulable:
            key, since = next(iter(self._unschedulable.items()))
            if since + FLUSH_SECONDS > now:
                break
            del self._unschedulable[key]
            self._activate(self._waiting[key])

    def _activate(self, waiting: Waiting) -> None:
        pod = waiting.pod
        priority = pod.get_path("spec.priority", 0) or 0
        waiting.place = (-priority, pod.get_path("metadata.creationTimestamp", ""), next(self._order))
        waiting.ready_at = 0.0
        self._waiting[pod.key] = waiting
        heapq.heappush(self._active, (waiting.place, pod.key))

    def _count(self, waiting: Waiting) -> None:
        waiting.attempts += 1
        delay = min(FIRST_BACKOFF_SECONDS * 2 ** (waiting.attempts - 1), MAX_BACKOFF_SECONDS)
        waiting.ready_at = self._clock() + delay
