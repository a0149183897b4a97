"""client-go's rules for a work queue, against a model; time is injected."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engine import WorkQueue

KEYS = st.sampled_from(["a/1", "a/2", "a/3", "b/1", "b/2", "c/1", "cluster"])
PRIORITIES = st.sampled_from([0, 0, 0, 5, -1])


def namespace_of(key: str) -> str:
    return key.rpartition("/")[0]


class QueueMachine(RuleBasedStateMachine):
    """dirty, processing and delayed as client-go has them; order by priority, then by turns of namespaces."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.queue = WorkQueue(base_delay_seconds=1, max_delay_seconds=60, clock=lambda: self.now)
        self.ready: dict[str, int] = {}
        self.working: set[str] = set()
        self.again: dict[str, int] = {}
        self.delayed: dict[str, tuple[float, int]] = {}
        self.failures: dict[str, int] = {}

    def push(self, key: str, priority: int) -> None:
        where = self.again if key in self.working else self.ready
        where[key] = max(priority, where.get(key, priority))

    def ripen(self) -> None:
        for key, (deadline, priority) in list(self.delayed.items()):
            if deadline <= self.now:
                del self.delayed[key]
                self.push(key, priority)

    def delay(self, key: str, seconds: float, priority: int) -> None:
        known = self.delayed.get(key, (float("inf"), priority))
        self.delayed[key] = (min(known[0], self.now + seconds), max(known[1], priority))

    @rule(key=KEYS, priority=PRIORITIES)
    def add(self, key: str, priority: int) -> None:
        self.queue.add(key, priority)
        self.push(key, priority)

    @rule(keys=st.lists(KEYS), priority=PRIORITIES)
    def add_many(self, keys: list[str], priority: int) -> None:
        self.queue.add_many(keys, priority)
        for key in keys:
            self.push(key, priority)

    @rule(key=KEYS, seconds=st.sampled_from([-1.0, 0.0, 0.5, 2.0, 10.0]), priority=PRIORITIES)
    def add_after(self, key: str, seconds: float, priority: int) -> None:
        self.queue.add_after(key, seconds, priority)
        if seconds <= 0:
            self.push(key, priority)
        else:
            self.delay(key, seconds, priority)

    @rule(key=KEYS, priority=PRIORITIES)
    def add_rate_limited(self, key: str, priority: int) -> None:
        seconds = min(2.0 ** self.failures.get(key, 0), 60)
        assert self.queue.add_rate_limited(key, priority) == seconds
        self.failures[key] = self.failures.get(key, 0) + 1
        self.delay(key, seconds, priority)

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        self.queue.forget(key)
        self.failures.pop(key, None)

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 100.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule(size=st.integers(1, 5))
    def take(self, size: int) -> None:
        self.ripen()
        keys = self.queue.take(size)
        assert len(keys) == min(size, len(self.ready)) == len(set(keys))
        order = [self.ready[key] for key in keys]
        assert order == sorted(order, reverse=True)
        left = [priority for key, priority in self.ready.items() if key not in keys]
        assert not left or not order or max(left) <= order[-1]
        for key in keys:
            del self.ready[key]
            self.working.add(key)

    @rule(keys=st.lists(KEYS, max_size=3))
    def done(self, keys: list[str]) -> None:
        self.queue.done(keys)
        for key in keys:
            if key in self.working:
                self.working.discard(key)
                if key in self.again:
                    self.push(key, self.again.pop(key))

    @invariant()
    def what_can_be_seen_agrees(self) -> None:
        self.ripen()
        assert len(self.queue) == len(self.ready)
        deadlines = [deadline for deadline, _ in self.delayed.values()]
        assert self.queue.next_deadline == (min(deadlines) if deadlines else None)
        for key in ("a/1", "b/1"):
            assert self.queue.failures(key) == self.failures.get(key, 0)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)


def filled(keys: Iterable[str], priority: int = 0) -> WorkQueue:
    queue = WorkQueue()
    queue.add_many(keys, priority)
    return queue


def test_keys_of_one_namespace_come_in_the_order_of_their_adding() -> None:
    keys = [f"a/{i}" for i in range(10)]
    assert filled(keys).take(10) == keys


def test_namespaces_take_turns() -> None:
    queue = filled([*(f"big/{i}" for i in range(1000)), "small/1", "small/2", "tiny/1"])
    assert queue.take(6) == ["big/0", "small/1", "tiny/1", "big/1", "small/2", "big/2"]


def test_a_higher_priority_goes_first_and_a_raised_key_moves_up() -> None:
    queue = filled(["a/1", "a/2", "a/3"])
    queue.add("a/3", 10)
    queue.add("b/1", 5)
    queue.add("a/3", 0)
    assert queue.take(9) == ["a/3", "b/1", "a/1", "a/2"]
    assert queue.take(9) == []


def test_a_key_added_while_it_is_worked_on_comes_again_after_done() -> None:
    queue = filled(["a/1"])
    assert queue.take(1) == ["a/1"]
    queue.add_many(["a/1", "a/1"])
    assert (queue.take(1), len(queue)) == ([], 0)
    queue.done(["a/1"])
    assert queue.take(1) == ["a/1"]
    queue.done(["a/1"])
    assert queue.take(1) == []


def test_done_without_take_is_harmless() -> None:
    queue = filled(["a/1"])
    queue.done(["a/1", "a/2"])
    assert queue.take(9) == ["a/1"]


def test_the_earlier_deadline_wins() -> None:
    now = [0.0]
    queue = WorkQueue(clock=lambda: now[0])
    queue.add_after("a/1", 10)
    queue.add_after("a/1", 5)
    queue.add_after("a/1", 7)
    assert queue.next_deadline == 5
    now[0] = 5
    assert queue.take(9) == ["a/1"]
    assert queue.next_deadline is None


def test_backoff_doubles_up_to_its_limit_and_forget_starts_anew() -> None:
    queue = WorkQueue(base_delay_seconds=0.005, max_delay_seconds=1000)
    delays = [queue.add_rate_limited("a/1") for _ in range(80)]
    assert delays[:3] == [0.005, 0.01, 0.02]
    assert delays[-1] == 1000
    assert queue.failures("a/1") == 80
    queue.forget("a/1")
    assert queue.add_rate_limited("a/1") == 0.005


def test_a_key_is_a_str() -> None:
    queue = WorkQueue()
    with pytest.raises(TypeError):
        queue.add_many([3])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        queue.done([None])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="delays"):
        WorkQueue(base_delay_seconds=-1)


async def test_get_batch_waits_for_the_first_key() -> None:
    queue = WorkQueue()
    waiting = asyncio.ensure_future(queue.get_batch(10))
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.add_many(["a/1", "b/1"])
    assert await asyncio.wait_for(waiting, 5) == ["a/1", "b/1"]


async def test_get_batch_is_woken_by_a_deadline() -> None:
    queue = WorkQueue()
    waiting = asyncio.ensure_future(queue.get_batch(10))
    await asyncio.sleep(0)
    start = time.monotonic()
    queue.add_after("a/2", 0.05)
    queue.add_after("a/1", 0.02)
    assert await asyncio.wait_for(waiting, 5) == ["a/1"]
    assert await asyncio.wait_for(queue.get_batch(10), 5) == ["a/2"]
    assert time.monotonic() - start >= 0.05


async def test_several_may_wait_and_each_key_goes_to_one() -> None:
    queue = WorkQueue()
    waiting = [asyncio.ensure_future(queue.get_batch(2)) for _ in range(3)]
    await asyncio.sleep(0)
    queue.add_many(["a/1", "a/2", "a/3", "a/4", "a/5"])
    batches = await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert sorted(key for batch in batches for key in batch) == ["a/1", "a/2", "a/3", "a/4", "a/5"]


async def test_a_waiter_that_is_cancelled_hands_its_wake_up_on() -> None:
    queue = WorkQueue()
    first, second = (asyncio.ensure_future(queue.get_batch(2)) for _ in range(2))
    await asyncio.sleep(0)
    queue.add("a/1")
    first.cancel()
    assert await asyncio.wait_for(second, 5) == ["a/1"]


async def test_a_key_done_and_dirty_wakes_a_waiter() -> None:
    queue = filled(["a/1"])
    queue.take(1)
    queue.add("a/1")
    waiting = asyncio.ensure_future(queue.get_batch(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.done(["a/1"])
    assert await asyncio.wait_for(waiting, 5) == ["a/1"]


async def test_shut_down_drains_what_is_queued_and_ignores_the_rest() -> None:
    queue = filled(["a/1"])
    idle = WorkQueue()
    waiting = [asyncio.ensure_future(idle.get_batch(1)) for _ in range(2)]
    await asyncio.sleep(0)
    for each in (queue, idle):
        each.add_after("b/1", 0.001)
        each.shut_down()
        each.add("c/1")
        each.add_many(["c/2"])
        each.add_after("c/3", 0)
        each.add_rate_limited("c/4")
    assert await asyncio.wait_for(queue.get_batch(9), 5) == ["a/1"]
    assert await asyncio.wait_for(queue.get_batch(9), 5) == []
    assert await asyncio.wait_for(asyncio.gather(*waiting), 5) == [[], []]


def test_keys_that_are_raised_again_and_again_do_not_pile_up() -> None:
    queue = filled(["a/low"])
    for _ in range(10_000):
        queue.add("a/1", 0)
        queue.add("a/1", 1)
        assert queue.take(1) == ["a/1"]
        queue.done(["a/1"])
    assert queue.take(9) == ["a/low"]
