"""The reflector: what it asks for, what it makes of the answers, how it comes back from failures."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from engine._cache import Cache
from engine._watchlog import WatchLog
from engine.api.errors import Cause, StatusError
from engine.client.transport import Page
from engine.informers.backoff import Backoff
from engine.informers.reflector import Phase, Reflector
from tests.informers.scripted import (
    FOREVER,
    GONE,
    NO_STREAMING,
    RESOURCE,
    ScriptedTransport,
    added,
    bookmark,
    modified,
    pod,
    until,
)
from tests.informers.virtual_time import run

AHEAD = StatusError(504, "Timeout", "Too large", causes=[Cause("ResourceVersionTooLarge", "", "")])
EMPTY_START = [[bookmark(5, end=True)]]


@asynccontextmanager
async def reflecting(transport: ScriptedTransport, **selectors: str) -> AsyncGenerator[Reflector, None]:
    log = WatchLog()
    reflector = Reflector(transport, RESOURCE, Cache(log=log), log, rng=random.Random(1), **selectors)
    task = asyncio.create_task(reflector.run())
    try:
        yield reflector
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_the_content_comes_as_initial_events_and_the_same_stream_goes_on() -> None:
    async def main() -> None:
        transport = ScriptedTransport([[added(pod("a", 1))], [added(pod("b", 2)), bookmark(5, end=True)], FOREVER])
        async with reflecting(transport, label_selector="app=x", field_selector="spec.nodeName=n") as reflector:
            await reflector.ready.wait()
            assert reflector._cache.keys() == ["default/a", "default/b"]
            assert reflector.version == reflector._cache.resource_version == 5
            transport.live.put_nowait([modified(pod("a", 6))])
            await until(lambda: reflector.version == 6)
        ((verb, query),) = transport.requests
        assert verb == "watch"
        seconds = int(query.pop("timeoutSeconds"))
        assert 300 <= seconds <= 600
        assert query == {
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "allowWatchBookmarks": "true",
            "labelSelector": "app=x",
            "fieldSelector": "spec.nodeName=n",
        }

    run(main())


def test_a_server_without_streaming_lists_is_listed_in_pages_from_then_on() -> None:
    async def main() -> None:
        transport = ScriptedTransport(
            NO_STREAMING,
            Page([pod("a", 1)], 5, "token"),
            Page([pod("b", 2)], 5),
            [GONE],
            Page([pod("b", 2)], 9),
            [FOREVER],
        )
        async with reflecting(transport) as reflector:
            await until(lambda: len(transport.requests) == 6)
            assert reflector._cache.keys() == ["default/b"]
        assert [verb for verb, _ in transport.requests] == ["watch", "list", "list", "watch", "list", "watch"]
        queries = [query for _, query in transport.requests]
        assert queries[1] == {"limit": "500"}
        assert queries[2] == {"limit": "500", "continue": "token"}
        assert queries[3]["resourceVersion"] == "5"
        assert queries[4] == {"limit": "500", "resourceVersion": "5", "resourceVersionMatch": "NotOlderThan"}
        assert transport.times[2] == transport.times[0]  # no wait before a list that merely replaces the stream

    run(main())


def test_a_server_that_never_ends_the_initial_events_is_listed_after_10_s_of_silence() -> None:
    async def main() -> None:
        transport = ScriptedTransport([[added(pod("a", 1))], FOREVER], Page([pod("a", 1)], 5), [FOREVER])
        async with reflecting(transport) as reflector:
            await reflector.ready.wait()
            assert transport.times[1] - transport.times[0] == 10
            assert reflector._cache.keys() == ["default/a"]

    run(main())


def test_a_list_whose_pages_expired_is_taken_whole() -> None:
    async def main() -> None:
        transport = ScriptedTransport(
            NO_STREAMING, Page([pod("a", 1)], 5, "token"), GONE, Page([pod("b", 7)], 8), [FOREVER]
        )
        async with reflecting(transport) as reflector:
            await reflector.ready.wait()
            assert transport.requests[3] == ("list", {})
            assert reflector._cache.keys() == ["default/b"]
            assert reflector.version == 8

    run(main())


def test_a_410_leads_to_a_relist_not_older_than_what_is_known() -> None:
    async def main() -> None:
        transport = ScriptedTransport([*EMPTY_START, GONE], [[added(pod("a", 7)), bookmark(9, end=True)], FOREVER])
        async with reflecting(transport) as reflector:
            await until(lambda: reflector.version == 9)
            assert transport.requests[1][1]["resourceVersion"] == "5"
            assert transport.requests[1][1]["sendInitialEvents"] == "true"
            assert list(reflector.relists) == [9]

    run(main())


def test_after_a_servers_absence_its_410_waits_no_longer_than_a_first_failure() -> None:
    async def main() -> None:
        absent = [ConnectionRefusedError("refused")] * 5
        transport = ScriptedTransport(
            [*EMPTY_START, ConnectionResetError("reset")], *absent, GONE, [[bookmark(9, end=True)], FOREVER]
        )
        async with reflecting(transport) as reflector:
            await until(lambda: reflector.version == 9)
            waits = [later - earlier for earlier, later in zip(transport.times, transport.times[1:], strict=False)]
            assert waits[5] > 6.0
            assert waits[6] <= 0.8

    run(main())


def test_a_relist_that_is_refused_as_too_old_takes_the_newest_at_once() -> None:
    async def main() -> None:
        transport = ScriptedTransport([*EMPTY_START, GONE], GONE, [[bookmark(9, end=True)], FOREVER])
        async with reflecting(transport) as reflector:
            await until(lambda: reflector.version == 9)
            assert transport.requests[1][1]["resourceVersion"] == "5"
            assert "resourceVersion" not in transport.requests[2][1]
            assert transport.times[2] == transport.times[1] > transport.times[0]

    run(main())


def test_a_server_that_has_not_reached_a_version_is_asked_for_its_newest_at_once() -> None:
    async def main() -> None:
        transport = ScriptedTransport(
            [*EMPTY_START, ConnectionResetError("reset")], AHEAD, AHEAD, [[bookmark(3, end=True)], FOREVER]
        )
        async with reflecting(transport) as reflector:
            await until(lambda: reflector.version == 3)
            assert transport.requests[1][1]["resourceVersion"] == "5"
            assert "resourceVersion" not in transport.requests[2][1]
            assert "resourceVersion" not in transport.requests[3][1]
            assert transport.times[2] == transport.times[1]
            assert transport.times[3] > transport.times[2]  # the same question again has to wait

    run(main())


def test_a_clean_end_goes_on_at_the_same_version_at_once() -> None:
    async def main() -> None:
        transport = ScriptedTransport([*EMPTY_START, [added(pod("a", 6))]], [[bookmark(8)]], [FOREVER])
        async with reflecting(transport) as reflector:
            await until(lambda: len(transport.requests) == 3)
            assert [query.get("resourceVersion") for _, query in transport.requests] == [None, "6", "8"]
            assert transport.times == [0, 0, 0]
            assert reflector.phase is Phase.WATCH

    run(main())


def test_a_watch_that_ends_at_once_and_tells_nothing_is_no_hot_loop() -> None:
    async def main() -> None:
        transport = ScriptedTransport(EMPTY_START, *[[] for _ in range(10)], [FOREVER])
        async with reflecting(transport):
            await until(lambda: not transport.steps)
            gaps = [b - a for a, b in zip(transport.times[1:], transport.times[2:], strict=False)]
            assert all(gap >= 0.4 for gap in gaps)
            assert gaps[-1] >= 15

    run(main())


def test_any_failure_but_410_keeps_the_content_and_the_version() -> None:
    async def main() -> None:
        transport = ScriptedTransport(
            [[added(pod("a", 2)), bookmark(5, end=True)], ConnectionResetError("reset")],
            ConnectionRefusedError("refused"),
            StatusError(429, "TooManyRequests", "slow down"),
            StatusError(500, "InternalError", "oops"),
            StatusError(403, "Forbidden", "no"),
            [FOREVER],
        )
        async with reflecting(transport) as reflector:
            await until(lambda: len(transport.requests) == 6)
            assert [query["resourceVersion"] for _, query in transport.requests[1:]] == ["5"] * 5
            assert reflector._cache.keys() == ["default/a"]

    run(main())


def test_a_bookmark_advances_the_version_and_nothing_else() -> None:
    async def main() -> None:
        transport = ScriptedTransport([[added(pod("a", 2)), bookmark(5, end=True)], [bookmark(50)], FOREVER])
        async with reflecting(transport) as reflector:
            await until(lambda: reflector.version == 50)
            assert reflector._cache.resource_version == reflector._log.resource_version == 50
            assert len(reflector._log) == 0

    run(main())


def test_failures_are_waited_out_longer_each_time_and_30_s_at_most() -> None:
    async def main() -> None:
        transport = ScriptedTransport(*[ConnectionRefusedError("refused") for _ in range(12)], [FOREVER])
        async with reflecting(transport):
            await until(lambda: not transport.steps)
            gaps = [b - a for a, b in zip(transport.times, transport.times[1:], strict=False)]
            steps = [min(0.8 * 2**number, 30) for number in range(12)]
            assert all(step / 2 <= gap <= step + 0.02 for gap, step in zip(gaps, steps, strict=True))

    run(main())


def test_two_quiet_minutes_forget_past_failures() -> None:
    now = 0.0
    backoff = Backoff(lambda: now, rng=random.Random(1))
    for _ in range(5):
        now += backoff.next()
    assert backoff.next() > 12
    now += 200
    assert backoff.next() <= 0.8


def test_an_event_that_makes_no_sense_leads_to_a_relist() -> None:
    async def main() -> None:
        nameless = bookmark(6).object
        transport = ScriptedTransport([*EMPTY_START, [added(nameless)]], [[bookmark(9, end=True)], FOREVER])
        async with reflecting(transport) as reflector:
            await until(lambda: list(reflector.relists) == [9])

    run(main())
