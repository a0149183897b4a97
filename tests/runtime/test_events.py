"""The event recorder: what is written, how repeats count, and that nobody ever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from engine._object import Object
from engine.api.errors import StatusError
from engine.client.client import Client
from engine.client.transport import Operation
from engine.runtime.events import EventRecorder
from tests.informers.scripted import ScriptedTransport, pod, until
from tests.informers.virtual_time import run


class EventsTransport(ScriptedTransport):
    """Takes events, unless told what else to answer."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[Operation]] = []
        self.failures: list[Exception] = []

    async def batch(self, operations: Sequence[Operation]) -> list[Object | StatusError]:
        await asyncio.sleep(0.001)
        if self.failures:
            failure = self.failures.pop(0)
            if not isinstance(failure, StatusError):
                raise failure
            return [failure for _ in operations]
        self.batches.append(list(operations))
        return [Object({"metadata": {"name": "event"}}) for _ in operations]

    @property
    def sent(self) -> list[Operation]:
        return [operation for batch in self.batches for operation in batch]


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def recorder(transport: EventsTransport) -> tuple[EventRecorder, Clock]:
    clock = Clock()
    return EventRecorder(Client(transport), "scheduler", "host-1", clock=clock), clock


def test_an_event_has_the_fields_that_core_v1_expects() -> None:
    async def main() -> None:
        transport = EventsTransport()
        events, _ = recorder(transport)
        events.record(pod("a", 7), "Normal", "Scheduled", "assigned default/a to n1")
        task = asyncio.create_task(events.run())
        await until(lambda: len(transport.sent) == 1)
        task.cancel()
        (operation,) = transport.sent
        assert (operation.verb, operation.resource.plural, operation.namespace) == ("create", "events", "default")
        body = dict(operation.body)  # type: ignore[arg-type]
        prefix, _, suffix = body.pop("metadata")["name"].partition(".")
        assert prefix == "a"
        assert int(suffix, 16) > 0
        assert body == {
            "apiVersion": "v1",
            "kind": "Event",
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": "default",
                "name": "a",
                "uid": "uid-a",
                "resourceVersion": "7",
            },
            "type": "Normal",
            "reason": "Scheduled",
            "message": "assigned default/a to n1",
            "source": {"component": "scheduler", "host": "host-1"},
            "reportingComponent": "scheduler",
            "reportingInstance": "host-1",
            "firstTimestamp": "2027-01-15T08:00:00Z",
            "lastTimestamp": "2027-01-15T08:00:00Z",
            "eventTime": None,
            "count": 1,
        }

    run(main())


def test_events_of_cluster_scoped_objects_go_to_the_default_namespace() -> None:
    async def main() -> None:
        transport = EventsTransport()
        events, _ = recorder(transport)
        node = Object({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "uid": "u"}})
        events.record(node, "Warning", "NodeNotReady", "gone")
        task = asyncio.create_task(events.run())
        await until(lambda: len(transport.sent) == 1)
        task.cancel()
        assert transport.sent[0].namespace == "default"
        assert "namespace" not in transport.sent[0].body["involvedObject"]  # type: ignore[index,call-overload]

    run(main())


def test_repeats_within_10_minutes_are_counted_on_one_event() -> None:
    async def main() -> None:
        transport = EventsTransport()
        events, clock = recorder(transport)
        task = asyncio.create_task(events.run())
        events.record(pod("a", 1), "Warning", "BackOff", "again")
        await until(lambda: len(transport.sent) == 1)
        for _ in range(5):
            clock.now += 60
            events.record(pod("a", 2), "Warning", "BackOff", "again")
        await until(lambda: len(transport.sent) == 2)
        patch = transport.sent[1]
        assert patch.verb == "patch"
        assert patch.name == transport.sent[0].body["metadata"]["name"]  # type: ignore[index,call-overload]
        assert patch.body == {"count": 6, "lastTimestamp": "2027-01-15T08:05:00Z"}
        clock.now += 601
        events.record(pod("a", 2), "Warning", "BackOff", "again")
        await until(lambda: len(transport.sent) == 3)
        assert transport.sent[2].verb == "create"
        task.cancel()

    run(main())


def test_other_reasons_messages_and_objects_are_events_of_their_own() -> None:
    async def main() -> None:
        transport = EventsTransport()
        events, _ = recorder(transport)
        for name, reason, message in (("a", "X", "m"), ("b", "X", "m"), ("a", "Y", "m"), ("a", "X", "n")):
            events.record(pod(name, 1), "Normal", reason, message)
        task = asyncio.create_task(events.run())
        await until(lambda: len(transport.sent) == 4)
        names = {operation.body["metadata"]["name"] for operation in transport.sent}  # type: ignore[index,call-overload]
        assert len(names) == 4
        assert len(transport.batches) == 1
        task.cancel()

    run(main())


def test_at_most_1000_wait_and_what_is_over_is_dropped_and_counted() -> None:
    async def main() -> None:
        transport = EventsTransport()
        events, _ = recorder(transport)
        for number in range(1200):
            events.record(pod(f"p{number}", 1), "Normal", "X", "m")
        assert events.dropped == 200
        task = asyncio.create_task(events.run())
        await until(lambda: len(transport.sent) == 1000)
        task.cancel()

    run(main())


def test_an_unreachable_or_busy_server_is_waited_out_and_nothing_is_lost() -> None:
    async def main() -> None:
        transport = EventsTransport()
        transport.failures = [ConnectionRefusedError("refused"), StatusError(429, "TooManyRequests", "slow down")]
        events, _ = recorder(transport)
        events.record(pod("a", 1), "Normal", "X", "m")
        task = asyncio.create_task(events.run())
        await until(lambda: len(transport.sent) == 1)
        assert asyncio.get_running_loop().time() > 0.4
        task.cancel()

    run(main())


def test_a_repeat_of_an_event_that_expired_at_the_server_is_created_again() -> None:
    async def main() -> None:
        transport = EventsTransport()
        events, _ = recorder(transport)
        task = asyncio.create_task(events.run())
        events.record(pod("a", 1), "Normal", "X", "m")
        await until(lambda: len(transport.sent) == 1)
        transport.failures = [StatusError(404, "NotFound", "gone")]
        events.record(pod("a", 1), "Normal", "X", "m")
        await until(lambda: len(transport.sent) == 2)
        assert transport.sent[1].verb == "create"
        assert transport.sent[1].body["count"] == 2  # type: ignore[index,call-overload]
        task.cancel()

    run(main())


def test_a_refused_event_is_dropped_and_counted() -> None:
    async def main() -> None:
        transport = EventsTransport()
        transport.failures = [StatusError(403, "Forbidden", "the namespace is being terminated")]
        events, _ = recorder(transport)
        events.record(pod("a", 1), "Normal", "X", "m")
        task = asyncio.create_task(events.run())
        await until(lambda: events.dropped == 1)
        task.cancel()

    run(main())


def test_what_waits_at_the_end_is_still_sent() -> None:
    async def main() -> None:
        transport = EventsTransport()
        events, _ = recorder(transport)
        task = asyncio.create_task(events.run())
        await asyncio.sleep(0)
        events.record(pod("a", 1), "Normal", "X", "m")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(transport.sent) == 1

    run(main())
