"""The event recorder: what a component tells people about objects, without ever being held up by it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine._object import Object
from engine.api.errors import StatusError
from engine.api.resource import EVENTS
from engine.api.timestamps import rfc3339
from engine.client.client import Client
from engine.client.transport import Operation
from engine.informers.backoff import Backoff

LOG = logging.getLogger(__name__)

MAX_WAITING = 1000  # events that wait to be sent
MAX_SERIES = 4096  # events that are remembered for their repeats
REPEAT_SECONDS = 600.0  # a repeat within this time of the last one counts on the same Event
BATCH = 100
EVENTS_PER_SECOND = 100.0  # so that telling of a great change does not slow it down
MAX_MESSAGE = 1024  # characters
MAX_OBJECT_NAME = 236  # so that "." and 16 hexadecimal digits fit a name of 253
CLOSING_SECONDS = 2.0  # what is still waiting at the end gets this long

SeriesKey = tuple[str, str, str, str, str]


@dataclass(slots=True)
class _Series:
    """One Event and its repeats."""

    about: Object
    type: str
    reason: str
    message: str
    name: str
    first: float
    last: float
    count: int = 1
    created: bool = False
    waiting: bool = True

    @property
    def namespace(self) -> str:
        return self.about.namespace or "default"


class EventRecorder:
    """Writes core/v1 Events about objects; repeats within 10 minutes are counted on one Event, not created again.

    `record` never waits and never raises: events are sent in batches in the background, a lone one at once, a hundred a
    second at most; 1,000 wait at most, and what is over that bound is dropped and counted.
    """

    def __init__(
        self, client: Client, component: str, host: str = "", *, clock: Callable[[], float] = time.time
    ) -> None:
        self.dropped = 0  # events that were never sent: over the bound, or refused by the server
        self._client = client
        self._component = component
        self._host = host
        self._clock = clock
        self._series: OrderedDict[SeriesKey, _Series] = OrderedDict()  # the one repeated last comes last
        self._waiting: deque[_Series] = deque()
        self._wake = asyncio.Event()
        self._last_name = 0

    def record(self, about: Object, type: str, reason: str, message: str) -> None:
        """`type` is Normal or Warning."""
        now = self._clock()
        message = message[:MAX_MESSAGE]
        key = (about.uid or about.kind, about.key, type, reason, message)
        series = self._series.get(key)
        if series is not None and now - series.last <= REPEAT_SECONDS:
            series.count += 1
            series.last = now
            series.about = about
            self._series.move_to_end(key)
            if not series.waiting and self._has_room():
                series.waiting = True
                self._enqueue(series)
        elif self._has_room():
            series = _Series(about, type, reason, message, self._event_name(about), now, now)
            self._series[key] = series
            self._series.move_to_end(key)
            if len(self._series) > MAX_SERIES:
                self._series.popitem(last=False)
            self._enqueue(series)

    async def run(self) -> None:
        """Sends what is recorded, until cancelled; then what still waits gets a last chance."""
        backoff = Backoff(asyncio.get_running_loop().time)
        try:
            while True:
                await self._wake.wait()
                delay = min(len(self._waiting), BATCH) / EVENTS_PER_SECOND
                reason = await self._send()
                if reason:
                    delay = backoff.next()
                    LOG.warning("%s: events wait %.1f s: %s", self._component, delay, reason)
                await asyncio.sleep(delay)
        except asyncio.CancelledError:
            await self._close()
            raise

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                while self._waiting and not await self._send():
                    pass
        except TimeoutError:
            pass
        if self._waiting:
            LOG.warning("%s: %d events were not sent", self._component, len(self._waiting))

    def _has_room(self) -> bool:
        if len(self._waiting) < MAX_WAITING:
            return True
        self.dropped += 1
        if self.dropped == 1 or self.dropped % MAX_WAITING == 0:
            LOG.warning("%s: %d events dropped so far: %d wait", self._component, self.dropped, len(self._waiting))
        return False

    def _enqueue(self, series: _Series) -> None:
        self._waiting.append(series)
        self._wake.set()

    async def _send(self) -> str:
        """Sends one batch. Returns why it has to wait, "" when it does not."""
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        if not batch:
            self._wake.clear()
            return ""
        for series in batch:
            series.waiting = False
        again: list[_Series] = []
        reason = ""
        try:
            answers: list[Object | StatusError] = await self._client.batch(
                [self._operation(series) for series in batch]
            )
        except OSError as error:
            again, reason = batch, str(error) or type(error).__name__
        else:
            for series, answer in zip(batch, answers, strict=True):
                if not isinstance(answer, StatusError):
                    series.created = True
                elif answer.code == 404 and series.created:
                    series.created = False  # it expired at the server: its next life starts with the same count
                    series.name = self._event_name(series.about)
                    again.append(series)
                elif answer.code in {429, 500, 503, 504}:
                    again.append(series)
                    reason = answer.message
                else:
                    self.dropped += 1
                    LOG.debug("%s: event about %s refused: %s", self._component, series.about.key, answer.message)
        for series in reversed(again):
            if not series.waiting:
                series.waiting = True
                self._waiting.appendleft(series)
        if not self._waiting:
            self._wake.clear()
        return reason

    def _operation(self, series: _Series) -> Operation:
        if series.created:
            patch = {"count": series.count, "lastTimestamp": rfc3339(series.last)}
            return self._client.patching(EVENTS, series.namespace, series.name, patch)
        return self._client.creating(EVENTS, series.namespace, self._event(series))

    def _event(self, series: _Series) -> dict[str, Any]:
        about = series.about
        involved = {
            "apiVersion": about.api_version,
            "kind": about.kind,
            "namespace": about.namespace,
            "name": about.name,
            "uid": about.uid,
            "resourceVersion": str(about.resource_version or ""),
        }
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": series.name, "namespace": series.namespace},
            "involvedObject": {name: value for name, value in involved.items() if value},
            "type": series.type,
            "reason": series.reason,
            "message": series.message,
            "source": {"component": self._component, **({"host": self._host} if self._host else {})},
            "reportingComponent": self._component,
            "reportingInstance": self._host,
            "firstTimestamp": rfc3339(series.first),
            "lastTimestamp": rfc3339(series.last),
            "eventTime": None,
            "count": series.count,
        }

    def _event_name(self, about: Object) -> str:
        """Unique for this recorder: the time in nanoseconds, never the same twice."""
        self._last_name = max(self._last_name + 1, int(self._clock() * 1e9))
        return f"{about.name[:MAX_OBJECT_NAME]}.{self._last_name:x}"
