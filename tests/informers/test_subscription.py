"""Subscriptions: the content, then the changes, without gap or duplicate, whatever happens to the log."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from engine._cache import Cache
from engine._object import Object
from engine._watchlog import WatchLog
from engine.client.client import Client
from engine.client.transport import Shared
from engine.informers.informer import Change, Informer, Informers, Subscription
from tests.informers.scripted import FOREVER, GONE, RESOURCE, ScriptedTransport, added, bookmark, pod, until
from tests.informers.test_contract import changes, running, told
from tests.informers.virtual_time import run


class LendingTransport(ScriptedTransport):
    """A server in the same process: it lends its cache and log."""

    def __init__(self, *, max_events: int = 1000) -> None:
        super().__init__()
        self.log = WatchLog(max_events=max_events)
        self.cache = Cache(log=self.log)

    def shared(self, resource: object) -> Shared:
        return Shared(self.cache, self.log)


def drained(subscription: Subscription) -> list[Change]:
    found: list[Change] = []
    while more := subscription.next_batch(max_changes=7):
        found += more
    return found


def test_in_process_the_informer_reads_the_very_same_cache_as_the_store() -> None:
    transport = LendingTransport()
    informer = Informer(Client(transport), RESOURCE)
    assert informer.cache is transport.cache
    assert informer.log is transport.log
    assert informer.has_synced


def test_the_content_at_subscription_comes_first_and_is_marked() -> None:
    transport = LendingTransport()
    transport.cache.apply_batch([("ADDED", pod(f"p{number}", number + 1)) for number in range(20)])
    subscription = Informer(Client(transport), RESOURCE).subscribe()
    first = subscription.next_batch(max_changes=15)
    assert not subscription.synced
    transport.cache.apply("MODIFIED", pod("p0", 30))
    transport.cache.apply("DELETED", pod("p9", 31))
    rest = drained(subscription)
    assert subscription.synced
    assert [change.initial for change in first + rest] == [True] * 20 + [False] * 2
    assert told(rest[-2:]) == [("MODIFIED", "p0", 30), ("DELETED", "p9", 31)]
    assert {change.object.name for change in first + rest[:5]} == {f"p{number}" for number in range(20)}


def test_an_empty_content_is_synced_too() -> None:
    subscription = Informer(Client(LendingTransport()), RESOURCE).subscribe()
    assert not subscription.synced
    assert subscription.next_batch() == []
    assert subscription.synced


def test_a_subscription_before_the_first_list_waits_for_it() -> None:
    async def main() -> None:
        transport = ScriptedTransport([[added(pod("a", 1))], FOREVER])
        informer = Informer(Client(transport), RESOURCE)
        subscription = informer.subscribe()
        task = asyncio.create_task(informer.run())
        waiting = asyncio.create_task(subscription.wait())
        await asyncio.sleep(1)
        assert subscription.next_batch() == []
        assert not waiting.done()
        transport.live.put_nowait([bookmark(5, end=True)])
        await waiting
        (change,) = subscription.next_batch()
        assert change.initial
        task.cancel()

    run(main())


def test_who_fell_off_the_log_is_told_the_difference_with_deletions() -> None:
    transport = LendingTransport(max_events=10)
    transport.cache.apply_batch([("ADDED", pod(f"p{number}", number + 1)) for number in range(20)])
    subscription = Informer(Client(transport), RESOURCE).subscribe()
    drained(subscription)
    transport.cache.apply("MODIFIED", pod("p1", 30))
    drained(subscription)
    transport.cache.apply("DELETED", pod("p2", 31))
    for number in range(5):
        transport.cache.apply("MODIFIED", pod("p3", 40 + number))
    for number in range(20):
        transport.cache.apply("ADDED", pod(f"q{number}", 50 + number))
    transport.cache.apply("DELETED", pod("q3", 80))
    found = drained(subscription)
    assert told(found[:1]) == [("DELETED", "p2", 3)]
    assert found[0].tombstone
    assert sorted(told(found[1:])) == sorted(
        [("MODIFIED", "p3", 44), *(("ADDED", f"q{number}", 50 + number) for number in range(20) if number != 3)]
    )
    assert not any(change.initial for change in found)
    transport.cache.apply("MODIFIED", pod("p3", 90))
    assert told(drained(subscription)) == [("MODIFIED", "p3", 90)]


def test_falling_off_during_the_initial_content_loses_nothing() -> None:
    transport = LendingTransport(max_events=5)
    transport.cache.apply_batch([("ADDED", pod(f"p{number:02}", number + 1)) for number in range(20)])
    subscription = Informer(Client(transport), RESOURCE).subscribe()
    first = subscription.next_batch(max_changes=5)
    for number in (1, 2, 3, 15, 16, 17):
        transport.cache.apply("DELETED", pod(f"p{number:02}", 30 + number))
    rest = drained(subscription)
    assert subscription.synced
    seen = replayed([*first, *rest])
    assert seen == {obj.key: obj.resource_version for obj in transport.cache.list()}


def test_a_deletion_found_by_a_relist_is_a_tombstone() -> None:
    async def main() -> None:
        transport = ScriptedTransport(
            [[added(pod("a", 1)), added(pod("b", 2)), bookmark(5, end=True)], FOREVER],
            [[added(pod("b", 2)), bookmark(9, end=True)], FOREVER],
        )
        async with running(transport) as informer:
            subscription = informer.subscribe()
            found = await changes(subscription, 2)
            transport.live.put_nowait(GONE)
            found += await changes(subscription, 1)
            assert [(change.type, change.object.name, change.tombstone) for change in found] == [
                ("ADDED", "a", False),
                ("ADDED", "b", False),
                ("DELETED", "a", True),
            ]

    run(main())


def test_a_server_that_starts_over_at_lower_versions_is_followed() -> None:
    async def main() -> None:
        transport = ScriptedTransport(
            [[added(pod("a", 90)), bookmark(100, end=True)], FOREVER],
            [[added(pod("b", 2)), bookmark(3, end=True)], FOREVER],
        )
        async with running(transport) as informer:
            subscription = informer.subscribe()
            await changes(subscription, 1)
            transport.live.put_nowait(GONE)
            gone, new = await changes(subscription, 2)
            assert (gone.type, gone.object.name, gone.tombstone) == ("DELETED", "a", True)
            assert told([new]) == [("ADDED", "b", 2)]
            transport.live.put_nowait([added(pod("c", 4))])
            assert told(await changes(subscription, 1)) == [("ADDED", "c", 4)]
            transport.live.put_nowait(ConnectionResetError("reset"))
            await until(lambda: len(transport.requests) == 3)
            assert transport.requests[-1][1]["resourceVersion"] == "4"

    run(main())


def test_stopping_an_informer_wakes_those_who_wait() -> None:
    async def main() -> None:
        transport = ScriptedTransport([[bookmark(5, end=True)], FOREVER])
        informers = Informers(Client(transport))
        subscription = informers.get(RESOURCE).subscribe()
        await informers.start()
        subscription.next_batch()
        waiting = asyncio.create_task(subscription.wait())
        await asyncio.sleep(0)
        await informers.stop()
        await waiting
        assert subscription.stopped

    run(main())


def test_informers_are_shared_by_resource_namespace_and_selectors() -> None:
    informers = Informers(Client(ScriptedTransport()))
    one = informers.get(RESOURCE)
    assert informers.get(RESOURCE, indexes={"node": "spec.nodeName"}) is one
    assert one.cache.index_values("node") == []
    assert informers.get(RESOURCE, namespace="x") is not one
    assert informers.get(RESOURCE, label_selector="a=b") is not one


def test_a_selector_in_process_shows_only_what_matches() -> None:
    async def main() -> None:
        transport = LendingTransport(max_events=8)
        transport.cache.apply_batch(
            [("ADDED", pod(f"p{number}", number + 1, nodeName=f"n{number % 2}")) for number in range(6)]
        )
        informers = Informers(Client(transport))
        informer = informers.get(RESOURCE, field_selector="spec.nodeName=n1")
        await informers.start()
        subscription = informer.subscribe()
        assert [change.key for change in drained(subscription)] == ["default/p1", "default/p3", "default/p5"]
        assert informer.cache.keys() == ["default/p1", "default/p3", "default/p5"]
        transport.cache.apply("MODIFIED", pod("p0", 20, nodeName="n1"))
        transport.cache.apply("MODIFIED", pod("p1", 21, nodeName="n0"))
        transport.cache.apply("MODIFIED", pod("p2", 22, nodeName="n2"))
        assert told(await changes(subscription, 2)) == [("ADDED", "p0", 20), ("DELETED", "p1", 21)]
        assert informer.cache.keys() == ["default/p0", "default/p3", "default/p5"]
        # More than the lent log holds, at once: the feed is told by the content instead.
        transport.cache.apply_batch([("ADDED", pod(f"q{n}", 30 + n, nodeName="n1")) for n in range(20)])
        transport.cache.apply("DELETED", pod("p3", 60, nodeName="n1"))
        transport.log.expire()
        transport.cache.apply("DELETED", pod("p5", 61, nodeName="n1"))
        found = replayed(await changes(subscription, 22), {"default/p0": 20, "default/p3": 4, "default/p5": 6})
        assert len(found) == 21
        assert informer.cache.keys() == ["default/p0", *sorted(f"default/q{n}" for n in range(20))]
        await informers.stop()

    run(main())


def replayed(found: list[Change], start: dict[str, int] | None = None) -> dict[str, int]:
    """Key and version of what a consumer believes after these changes; a change that can't follow fails."""
    seen = {} if start is None else start
    for change in found:
        if change.type == "DELETED":
            del seen[change.key]
            continue
        assert (change.key in seen) == (change.type == "MODIFIED"), change
        assert change.old is None or seen[change.key] == change.old.resource_version
        seen[change.key] = change.object.resource_version
    return seen


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(0, 11)),
            st.tuples(st.just("delete"), st.integers(0, 11)),
            st.tuples(st.just("read"), st.integers(1, 6)),
            st.tuples(st.just("expire"), st.just(0)),
        ),
        max_size=80,
    ),
    max_events=st.integers(1, 20),
)
def test_a_consumer_ends_with_what_the_cache_holds(steps: list[tuple[str, int]], max_events: int) -> None:
    transport = LendingTransport(max_events=max_events)
    subscription = Informer(Client(transport), RESOURCE).subscribe()
    seen: dict[str, int] = {}
    for version, (step, number) in enumerate(steps, 1):
        obj: Object = pod(f"p{number}", version)
        match step:
            case "write":
                transport.cache.apply("ADDED", obj)
            case "delete":
                transport.cache.apply("DELETED", obj)
            case "read":
                replayed(subscription.next_batch(number), seen)
            case "expire":
                transport.log.expire()
    replayed(drained(subscription), seen)
    assert seen == {obj.key: obj.resource_version for obj in transport.cache.list()}
