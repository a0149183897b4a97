"""The scheduling queue: order, backoff, and what wakes an unschedulable pod."""

from __future__ import annotations

from engine import Object
from engine.scheduler.queue import SchedulingQueue


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def pod(name: str, *, priority: int = 0, created: str = "2026-01-01T00:00:00Z") -> Object:
    metadata = {"name": name, "namespace": "d", "uid": f"uid-{name}", "creationTimestamp": created}
    return Object({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"priority": priority}})


def names(queue: SchedulingQueue, most: int = 10) -> list[str]:
    return [waiting.pod.name for waiting in queue.take(most)]


def test_higher_priority_first_then_the_older() -> None:
    queue = SchedulingQueue(Clock())
    queue.add(pod("young", created="2026-01-02T00:00:00Z"))
    queue.add(pod("old"))
    queue.add(pod("urgent", priority=5, created="2026-01-03T00:00:00Z"))
    assert names(queue) == ["urgent", "old", "young"]


def test_a_pod_put_in_twice_is_handed_out_once() -> None:
    queue = SchedulingQueue(Clock())
    queue.add(pod("a"))
    queue.add(pod("a"))
    assert names(queue) == ["a"]
    assert names(queue) == []


def test_a_removed_pod_is_not_handed_out() -> None:
    queue = SchedulingQueue(Clock())
    queue.add(pod("a"))
    queue.remove("d/a")
    assert names(queue) == []


def test_failed_bindings_wait_one_second_then_two_and_ten_at_most() -> None:
    clock = Clock()
    queue = SchedulingQueue(clock)
    queue.add(pod("a"))
    for delay in (1, 2, 4, 8, 10, 10):
        (waiting,) = queue.take(1)
        queue.put_back(waiting)
        clock.now += delay - 0.01
        assert names(queue) == []
        clock.now += 0.01
    assert names(queue) == ["a"]


def test_an_unschedulable_pod_waits_for_a_change_and_its_backoff() -> None:
    clock = Clock()
    queue = SchedulingQueue(clock)
    queue.add(pod("a"))
    queue.park(queue.take(1)[0])
    clock.now += 5
    assert names(queue) == []
    queue.retry_unschedulable()
    assert names(queue) == ["a"]


def test_a_change_during_the_backoff_is_not_lost() -> None:
    clock = Clock()
    queue = SchedulingQueue(clock)
    queue.add(pod("a"))
    queue.park(queue.take(1)[0])
    queue.retry_unschedulable()
    assert names(queue) == []
    assert queue.next_deadline() == 1001.0
    clock.now = 1001.0
    assert names(queue) == ["a"]


def test_an_unschedulable_pod_is_tried_again_after_five_minutes_in_any_case() -> None:
    clock = Clock()
    queue = SchedulingQueue(clock)
    queue.add(pod("a"))
    queue.park(queue.take(1)[0])
    assert queue.next_deadline() == 1300.0
    clock.now = 1300.0
    assert names(queue) == ["a"]
