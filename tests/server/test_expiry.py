"""Events are deleted a TTL after their last change, and only they."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from engine.api.resource import CONFIGMAPS, EVENTS
from engine.server.expiry import EventExpiry
from engine.storage import open_store
from engine.storage.store import Store, Write


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    made = open_store("memory", {EVENTS: {}, CONFIGMAPS: {}})
    await made.start()
    yield made
    await made.close()


async def write(store: Store, name: str, expected: int = 0, note: str = "") -> int:
    document = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": "d"}, "message": note}
    (stored,) = await store.commit([Write(EVENTS, f"d/{name}", document, expected)])
    assert not hasattr(stored, "current")
    return stored.resource_version  # type: ignore[union-attr]


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_an_event_goes_a_ttl_after_its_last_change(store: Store) -> None:
    clock = Clock()
    expiry = EventExpiry(store, ttl_seconds=100.0, clock=clock)
    first = await write(store, "old")
    task = asyncio.create_task(expiry.run())
    await turns()
    clock.now = 60.0
    await write(store, "young")
    await write(store, "old", first, "again")
    await turns()
    clock.now = 120.0  # past the first deadline of "old", which has changed since
    await write(store, "another")
    await turns()
    cache = store.table(EVENTS).cache
    assert cache.keys() == ["d/another", "d/old", "d/young"]
    clock.now = 161.0
    await write(store, "wakes-it")
    await turns()
    assert cache.keys() == ["d/another", "d/wakes-it"]
    task.cancel()


async def test_it_sleeps_while_nothing_is_due_and_ends_with_the_store(store: Store) -> None:
    expiry = EventExpiry(store, ttl_seconds=100.0, clock=Clock())
    task = asyncio.create_task(expiry.run())
    await write(store, "a")
    await turns()
    assert not task.done()
    await store.close()
    await asyncio.wait_for(task, 5)
