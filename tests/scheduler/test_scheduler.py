"""The scheduler on a real API server: what it writes, what it does when a write fails, and when it rests."""

from __future__ import annotations

import asyncio
import random

from engine.api.errors import StatusError
from engine.api.quantity import milli
from engine.api.resource import NODES, PODS
from tests.scheduler.conftest import Cluster, eventually, pod


async def test_a_pod_is_bound_to_a_node_and_an_event_says_so(cluster: Cluster) -> None:
    await cluster.node("n1")
    await cluster.pod("a")
    await eventually(lambda: cluster.node_of("a") == "n1")
    told = ("Scheduled", "Successfully assigned default/a to n1")
    await eventually(lambda: told in cluster.events("a"))


async def test_a_binding_names_the_pods_uid(cluster: Cluster) -> None:
    await cluster.node("n1")
    made = await cluster.pod("a")
    await eventually(lambda: cluster.node_of("a"))
    (bound,) = [o for batch in cluster.scheduling.batches for o in batch if o.subresource == "binding"]
    assert isinstance(bound.body, dict)
    assert bound.body["metadata"]["uid"] == made.uid


async def test_pods_are_spread_over_equal_nodes(cluster: Cluster) -> None:
    for name in ("n1", "n2", "n3"):
        await cluster.node(name)
    for number in range(9):
        await cluster.pod(f"p{number}")
    await eventually(lambda: all(cluster.node_of(f"p{number}") for number in range(9)))
    assert sorted(cluster.node_of(f"p{number}") for number in range(9)) == ["n1"] * 3 + ["n2"] * 3 + ["n3"] * 3


async def test_a_pod_that_fits_nowhere_is_told_why_in_kubernetes_words(cluster: Cluster) -> None:
    await cluster.node("n1", unschedulable=True)
    await cluster.node("n2", cpu="1")
    await cluster.node("n3", cpu="1")
    await cluster.pod("big", cpu="2")
    why = "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu."
    await eventually(lambda: cluster.told("big") == why)
    condition = next(c for c in cluster.cache.get("default/big")["status"]["conditions"] if c["type"] == "PodScheduled")
    assert condition["reason"] == "Unschedulable"
    await eventually(lambda: ("FailedScheduling", why) in cluster.events("big"))


async def test_an_unschedulable_pod_is_tried_again_when_a_node_comes_and_its_backoff_is_over(cluster: Cluster) -> None:
    await cluster.pod("a")
    await eventually(lambda: cluster.told("a") == "no nodes available to schedule pods")
    cluster.clock.now += 1.0
    await cluster.node("n1")
    await eventually(lambda: cluster.node_of("a") == "n1")


async def test_an_unschedulable_pod_is_tried_again_when_another_pod_leaves(cluster: Cluster) -> None:
    await cluster.node("n1", cpu="1")
    await cluster.pod("first", cpu="1")
    await eventually(lambda: cluster.node_of("first"))
    await cluster.pod("second", cpu="1")
    await eventually(lambda: cluster.told("second"))
    cluster.clock.now += 1.0
    await cluster.client.delete(PODS, "default", "first", gracePeriodSeconds=0)
    await eventually(lambda: cluster.node_of("second") == "n1")


async def test_higher_priority_is_decided_first(cluster: Cluster) -> None:
    # Both are known before there is room for one of them.
    await cluster.pod("low", cpu="1")
    await cluster.pod("high", cpu="1", priorityClassName="system-cluster-critical")
    await eventually(lambda: cluster.told("low") and cluster.told("high"))
    cluster.clock.now += 1.0
    await cluster.node("n1", cpu="1")
    await eventually(lambda: cluster.node_of("high") == "n1")
    await eventually(lambda: "Insufficient cpu" in cluster.told("low"))


async def test_a_lost_binding_gives_its_room_back_and_is_tried_again_with_backoff(cluster: Cluster) -> None:
    await cluster.node("n1", cpu="1100m")
    cluster.scheduling.lose = 1
    await cluster.pod("a", cpu="1")
    await eventually(lambda: cluster.scheduling.batches and len(cluster.scheduler.queue) == 1)
    assert int(cluster.scheduler.cluster.nodes.used_cpu.sum()) == 0
    cluster.clock.now += 1.0
    await cluster.pod("wake")  # the test's clock cannot wake the loop
    await eventually(lambda: cluster.node_of("a") == "n1")


async def test_a_pod_that_goes_while_its_binding_is_under_way_leaves_nothing_behind(cluster: Cluster) -> None:
    await cluster.node("n1")
    cluster.scheduling.passing.clear()
    await cluster.pod("a")
    await eventually(lambda: cluster.scheduling.batches)
    await cluster.client.delete(PODS, "default", "a", gracePeriodSeconds=0)
    cluster.scheduling.passing.set()
    await eventually(lambda: int(cluster.scheduler.cluster.nodes.used_pods.sum()) == 0)
    assert len(cluster.scheduler.queue) == 0


async def test_a_pod_made_anew_under_the_same_name_is_scheduled_by_its_own_right(cluster: Cluster) -> None:
    await cluster.node("n1")
    cluster.scheduling.passing.clear()
    await cluster.pod("a")
    await eventually(lambda: cluster.scheduling.batches)
    await cluster.client.delete(PODS, "default", "a", gracePeriodSeconds=0)
    again = await cluster.pod("a", cpu="200m")
    cluster.scheduling.passing.set()
    await eventually(lambda: cluster.node_of("a") == "n1")
    assert cluster.cache.get("default/a").uid == again.uid
    await eventually(lambda: int(cluster.scheduler.cluster.nodes.used_cpu.sum()) == 200)


async def test_pods_of_other_schedulers_and_gated_pods_are_left_alone(cluster: Cluster) -> None:
    await cluster.pod("theirs", schedulerName="other")
    await cluster.pod("gated", schedulingGates=[{"name": "example.com/wait"}])
    await cluster.node("n1")
    await cluster.pod("mine")
    await eventually(lambda: cluster.node_of("mine"))
    assert not cluster.node_of("theirs")
    assert not cluster.node_of("gated")
    assert not cluster.told("theirs")


async def test_many_pods_are_bound_in_few_batches(cluster: Cluster) -> None:
    for number in range(5):
        await cluster.node(f"n{number}", cpu="64")
    made = await cluster.client.batch([cluster.client.creating(PODS, "default", pod(f"p{i}")) for i in range(400)])
    assert not any(isinstance(answer, StatusError) for answer in made)
    await eventually(lambda: all(cluster.node_of(f"p{number}") for number in range(400)))
    bindings = [batch for batch in cluster.scheduling.batches if batch[0].subresource == "binding"]
    assert len(bindings) <= 5


async def test_no_node_is_ever_given_more_than_it_has_whatever_comes_and_goes(cluster: Cluster) -> None:
    chance = random.Random(7)
    room = {f"n{number}": chance.choice([1000, 2000, 4000]) for number in range(8)}
    for name, cpu in room.items():
        await cluster.node(name, cpu=f"{cpu}m", pods="6")
    alive: list[str] = []
    for number in range(300):
        if alive and chance.random() < 0.4:
            gone = alive.pop(chance.randrange(len(alive)))
            await cluster.client.delete(PODS, "default", gone, gracePeriodSeconds=0)
        if chance.random() < 0.1:
            cluster.scheduling.lose = 1
        if chance.random() < 0.1:
            cordon = {"spec": {"unschedulable": chance.random() < 0.5}}
            await cluster.client.patch(NODES, None, chance.choice(list(room)), cordon)
        await cluster.pod(f"p{number}", cpu=chance.choice(["100m", "300m", "700m", "1500m"]))
        alive.append(f"p{number}")
        cluster.clock.now += 0.5
        await asyncio.sleep(0)
        used: dict[str, list[int]] = {}
        for placed in cluster.cache.list(field_selector="spec.nodeName!="):
            cpu = milli(placed["spec"]["containers"][0]["resources"]["requests"]["cpu"])
            used.setdefault(placed["spec"]["nodeName"], []).append(cpu)
        for name, pods in used.items():
            assert sum(pods) <= room[name]
            assert len(pods) <= 6
    await eventually(lambda: len(cluster.cache.list(field_selector="spec.nodeName!=")) > 10)


async def test_with_nothing_to_do_the_loop_is_not_turned(cluster: Cluster) -> None:
    await cluster.node("n1")
    await cluster.pod("a")
    await eventually(lambda: len(cluster.events("a")) == 1)
    assert await _turns(0.3) < 30


async def test_while_a_binding_is_under_way_changes_do_not_turn_the_loop(cluster: Cluster) -> None:
    await cluster.node("n1")
    cluster.scheduling.passing.clear()
    await cluster.pod("a")
    await eventually(lambda: cluster.scheduling.batches)
    await cluster.pod("b")
    assert await _turns(0.3) < 30
    cluster.scheduling.passing.set()
    await eventually(lambda: cluster.node_of("b") == "n1")


async def _turns(seconds: float) -> int:
    """How often the event loop went round in this time: each round asks for ready sockets once."""
    loop = asyncio.get_running_loop()
    selector = loop._selector  # type: ignore[attr-defined]
    select, count = selector.select, 0

    def counting(timeout: float | None = None) -> object:
        nonlocal count
        count += 1
        return select(timeout)

    selector.select = counting
    try:
        await asyncio.sleep(seconds)
    finally:
        selector.select = select
    return count
