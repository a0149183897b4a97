"""The nine points of the informer contract, one test each (or more)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from engine._object import Object
from engine.client.client import Client
from engine.informers.informer import Change, Informer, Subscription
from engine.informers.reflector import Transform, strip_managed_fields
from tests.informers.scripted import (
    FOREVER,
    GONE,
    RESOURCE,
    ScriptedTransport,
    added,
    bookmark,
    deleted,
    modified,
    pod,
    until,
)
from tests.informers.virtual_time import run


@asynccontextmanager
async def running(
    transport: ScriptedTransport, transform: Transform | None = strip_managed_fields
) -> AsyncGenerator[Informer, None]:
    informer = Informer(Client(transport), RESOURCE, transform=transform)
    task = asyncio.create_task(informer.run())
    try:
        await informer.synced()
        yield informer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def changes(subscription: Subscription, count: int) -> list[Change]:
    found: list[Change] = []
    while len(found) < count:
        found += subscription.next_batch()
        if len(found) < count:
            await subscription.wait()
    return found


def told(found: list[Change]) -> list[tuple[str, str, int]]:
    return [(change.type, change.object.name, change.object.resource_version) for change in found]


def test_1_states_of_an_object_come_in_order_and_never_twice() -> None:
    async def main() -> None:
        transport = ScriptedTransport(
            [[added(pod("a", 3)), bookmark(5, end=True)], FOREVER],
            ConnectionRefusedError("refused"),
            [[modified(pod("a", 7)), modified(pod("a", 8))], FOREVER],
        )
        async with running(transport) as informer:
            subscription = informer.subscribe()
            found = await changes(subscription, 1)
            transport.live.put_nowait([modified(pod("a", 6))])
            transport.live.put_nowait(ConnectionResetError("reset"))
            found += await changes(subscription, 3)
            assert told(found) == [("ADDED", "a", 3), ("MODIFIED", "a", 6), ("MODIFIED", "a", 7), ("MODIFIED", "a", 8)]
            assert [change.old and change.old.resource_version for change in found] == [None, 3, 6, 7]
            assert [query["resourceVersion"] for _, query in transport.requests[1:]] == ["6", "6"]

    run(main())


def test_2_of_different_objects_every_last_state_arrives() -> None:
    async def main() -> None:
        batch = [added(pod(f"p{number % 7}", 10 + number)) for number in range(50)]
        async with running(ScriptedTransport([[bookmark(5, end=True)], batch, FOREVER])) as informer:
            subscription = informer.subscribe()
            last: dict[str, int] = {}
            while len(last) < 7 or max(last.values()) < 59:
                for change in await changes(subscription, 1):
                    last[change.key] = change.object.resource_version
            assert last == {obj.key: obj.resource_version for obj in informer.cache.list()}

    run(main())


def test_3_a_query_answers_from_one_moment() -> None:
    async def main() -> None:
        transport = ScriptedTransport(
            [[added(pod("a", 1)), added(pod("b", 2)), bookmark(5, end=True)], GONE],
            [[added(pod("b", 2)), added(pod("c", 7))], FOREVER],
        )
        async with running(transport) as informer:
            before = informer.cache.snapshot()
            await until(lambda: len(transport.requests) == 2)
            assert informer.cache.keys() == ["default/a", "default/b"]  # the second list is not whole yet
            transport.live.put_nowait([bookmark(8, end=True)])
            await until(lambda: informer.cache.resource_version == 8)
            assert informer.cache.keys() == ["default/b", "default/c"]
            assert before.keys() == ["default/a", "default/b"]

    run(main())


def test_4_the_cache_holds_a_change_before_its_consumer_is_told() -> None:
    async def main() -> None:
        transport = ScriptedTransport([[bookmark(5, end=True)], FOREVER])
        async with running(transport) as informer:
            informer.add_index("node", "spec.nodeName")
            subscription = informer.subscribe()
            for number in range(20):
                transport.live.put_nowait([added(pod(f"p{number}", 10 + number, nodeName="n1"))])
                for change in await changes(subscription, 1):
                    cached = informer.cache.get(change.key)
                    assert cached is not None
                    assert cached.resource_version >= change.object.resource_version
                    assert change.key in informer.cache.index_keys("node", "n1")

    run(main())


def test_5_a_slow_consumer_delays_nobody() -> None:
    async def main() -> None:
        transport = ScriptedTransport([[bookmark(5, end=True)], FOREVER])
        async with running(transport) as informer:
            slow, quick = informer.subscribe(), informer.subscribe()
            assert slow.next_batch() == quick.next_batch() == []
            transport.live.put_nowait([added(pod(f"p{number}", 10 + number)) for number in range(100)])
            assert len(await changes(quick, 100)) == 100
            assert [len(slow.next_batch(max_changes=30)) for _ in range(5)] == [30, 30, 30, 10, 0]

    run(main())


def test_6_an_object_made_again_during_a_gap_is_one_change_between_two_uids() -> None:
    async def main() -> None:
        transport = ScriptedTransport(
            [[added(pod("a", 1, uid="one")), bookmark(5, end=True)], FOREVER],
            [[added(pod("a", 9, uid="two")), bookmark(10, end=True)], FOREVER],
        )
        async with running(transport) as informer:
            subscription = informer.subscribe()
            await changes(subscription, 1)
            transport.live.put_nowait(GONE)
            (change,) = await changes(subscription, 1)
            assert change.type == "MODIFIED"
            assert change.old is not None
            assert (change.old.uid, change.object.uid) == ("one", "two")

    run(main())


def test_7_a_deletion_carries_the_last_state_at_the_version_of_the_deletion() -> None:
    async def main() -> None:
        last = pod("a", 9, nodeName="n1")
        transport = ScriptedTransport([[added(pod("a", 1)), bookmark(5, end=True)], FOREVER])
        async with running(transport) as informer:
            subscription = informer.subscribe()
            await changes(subscription, 1)
            transport.live.put_nowait([deleted(last)])
            (change,) = await changes(subscription, 1)
            assert told([change]) == [("DELETED", "a", 9)]
            assert change.object.get_path("spec.nodeName") == "n1"
            assert not change.tombstone
            assert change.old is not None
            assert change.old.resource_version == 1

    run(main())


def test_8_objects_are_shared_and_cannot_be_changed() -> None:
    async def main() -> None:
        async with running(
            ScriptedTransport([[added(pod("a", 1, x={"y": 1})), bookmark(5, end=True)], FOREVER])
        ) as one:
            (first,), (second,) = await changes(one.subscribe(), 1), await changes(one.subscribe(), 1)
            assert first.object == second.object  # views of one record
            with pytest.raises(TypeError):
                first.object["spec"]["x"]["y"] = 2
            with pytest.raises(TypeError):
                first.object["spec"] = {}  # type: ignore[index]

    run(main())


def test_9_an_informer_runs_once() -> None:
    async def main() -> None:
        async with running(ScriptedTransport([[bookmark(5, end=True)], FOREVER])) as informer:
            with pytest.raises(RuntimeError, match="runs once"):
                await informer.run()

    run(main())


def test_10_what_is_kept_of_an_object_is_the_transforms_to_say_and_no_managed_fields_by_default() -> None:
    async def main() -> None:
        fields = [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}]
        full = pod("a", 1).to_dict()
        full["metadata"]["managedFields"] = fields
        content = [[added(Object(full)), bookmark(5, end=True)], FOREVER]
        async with running(ScriptedTransport(content)) as one:
            (kept,) = await changes(one.subscribe(), 1)
            assert "managedFields" not in kept.object["metadata"]
            assert kept.object["metadata"]["name"] == "a"
        async with running(ScriptedTransport(content), transform=None) as one:
            (kept,) = await changes(one.subscribe(), 1)
            assert kept.object["metadata"]["managedFields"] == fields

    run(main())
