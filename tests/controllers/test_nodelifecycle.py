"""The node lifecycle controller, clause by clause; its clocks are the tests'."""

from __future__ import annotations

import time
from dataclasses import dataclass

from engine._object import Object
from engine.api.resource import LEASES, NODES, PODS
from engine.api.timestamps import rfc3339
from engine.client.client import Client
from engine.controllers import taints
from engine.controllers.nodelifecycle import SWEEP, NodeLifecycleController
from engine.informers.informer import Informers
from engine.runtime.controller import Requeue
from engine.runtime.events import EventRecorder
from tests.controllers.plane import Plane, condition, controllers, node, pod


@dataclass
class Time:
    """Seconds that pass only when a test says so."""

    passed: float = 0.0
    start: float = 1_800_000_000.0

    def now(self) -> float:
        return self.start + self.passed

    def clock(self) -> float:
        return self.passed

    def build(self, client: Client, informers: Informers) -> NodeLifecycleController:
        recorder = EventRecorder(client, "node-controller")
        return NodeLifecycleController(client, informers, recorder, now=self.now, clock=self.clock)


def lease(name: str) -> dict[str, object]:
    metadata = {"name": name, "namespace": "kube-node-lease"}
    spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": "2026-01-01T00:00:00.000000Z"}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


async def join(on: Plane, *names: str) -> None:
    for name in names:
        await on.create(NODES, node(name))
        await on.client.create(LEASES, "kube-node-lease", lease(name))


async def renew(on: Plane, name: str) -> None:
    spec = {"renewTime": f"2026-01-01T00:00:00.{time.time_ns() % 1_000_000:06d}Z"}
    await on.client.patch(LEASES, "kube-node-lease", name, {"spec": spec})


async def post_ready(on: Plane, name: str, status: str = "True") -> None:
    """What a kubelet does that finds its node called not ready."""
    ready = {"type": "Ready", "status": status, "reason": "Kubelet", "lastHeartbeatTime": rfc3339(time.time())}
    await on.patch(NODES, name, {"status": {"conditions": [ready]}}, type="strategic", subresource="status")


async def bound(on: Plane, name: str, on_node: str, **spec: object) -> Object:
    document = pod(name, {"app": "web"})
    document["spec"] = {**document["spec"], **spec}
    made = await on.create(PODS, document)
    await on.run_pods([made], node=on_node)
    return made


def ready_of(on: Plane, name: str) -> str:
    return str(condition(on.status(NODES, name), "Ready").get("status"))


def taints_of(on: Plane, name: str) -> set[tuple[str, str]]:
    found = on.cached(NODES, name)
    return (
        {(each["key"], each["effect"]) for each in (found.peek().get("spec") or {}).get("taints") or ()}
        if found
        else set()
    )


UNREACHABLE = {(taints.UNREACHABLE, "NoSchedule"), (taints.UNREACHABLE, "NoExecute")}


async def test_a_node_without_heartbeat_for_40_seconds_is_unknown_and_tainted(on: Plane) -> None:
    time_ = Time()
    async with controllers(on, time_.build) as program:
        await join(on, "silent", "alive")
        await on.settled()
        time_.passed = 39.9
        await program.reconcile([SWEEP])
        await renew(on, "alive")
        await on.settled()
        assert ready_of(on, "silent") == "True"
        time_.passed = 40
        program.controller.queue.add(SWEEP)
        await on.until(lambda: taints_of(on, "silent") == UNREACHABLE)
        told = condition(on.status(NODES, "silent"), "Ready")
        assert (told["status"], told["reason"]) == ("Unknown", "NodeStatusUnknown")
        assert told["message"] == "Kubelet stopped posting node status."
        assert condition(on.status(NODES, "silent"), "DiskPressure")["reason"] == "NodeStatusNeverUpdated"
        assert ready_of(on, "alive") == "True"
        assert taints_of(on, "alive") == set()


async def test_the_sweep_comes_when_the_next_node_may_be_overdue(on: Plane) -> None:
    time_ = Time()
    async with controllers(on, time_.build) as program:
        await join(on, "a")
        await on.settled()
        time_.passed = 15
        await join(on, "b")
        await on.settled()
        time_.passed = 20
        assert (await program.reconcile([SWEEP]))[SWEEP] == Requeue(20)
        await renew(on, "a")
        await on.settled()
        assert (await program.reconcile([SWEEP]))[SWEEP] == Requeue(35)


async def test_a_heartbeat_makes_no_reconcile(on: Plane) -> None:
    time_ = Time()
    async with controllers(on, time_.build) as program:
        await join(on, "a")
        await on.settled()
        reconciled = []
        real = program.controller._reconcile

        async def counting(keys):
            reconciled.extend(keys)
            return await real(keys)

        program.controller._reconcile = counting
        for _ in range(5):
            time_.passed += 10
            await renew(on, "a")
        await on.settled()
        assert program._heard["a"] == 50
        assert reconciled == []


async def test_a_node_whose_kubelet_comes_back_loses_its_taints(on: Plane) -> None:
    time_ = Time()
    async with controllers(on, time_.build) as program:
        await join(on, "a")
        await on.settled()
        time_.passed = 50
        program.controller.queue.add(SWEEP)
        await on.until(lambda: taints_of(on, "a") == UNREACHABLE)
        await renew(on, "a")
        await post_ready(on, "a")
        await on.until(lambda: taints_of(on, "a") == set())
        assert (await program.reconcile([SWEEP]))[SWEEP] == Requeue(40)


async def test_a_kubelet_that_says_not_ready_gets_the_other_taint(on: Plane) -> None:
    async with controllers(on, Time().build):
        await join(on, "a")
        await post_ready(on, "a", "False")
        await on.until(
            lambda: taints_of(on, "a") == {(taints.NOT_READY, "NoSchedule"), (taints.NOT_READY, "NoExecute")}
        )


async def test_pods_on_a_node_that_is_not_ready_are_not_ready(on: Plane) -> None:
    async with controllers(on, Time().build):
        await join(on, "a")
        await bound(on, "p", "a")
        await post_ready(on, "a", "Unknown")
        await on.until(lambda: condition(on.status(PODS, "p"), "Ready").get("status") == "False")
        assert condition(on.status(PODS, "p"), "ContainersReady")["status"] == "True"


async def test_pods_leave_when_their_tolerations_run_out(on: Plane) -> None:
    time_ = Time()
    tolerated = {"key": taints.UNREACHABLE, "operator": "Exists", "effect": "NoExecute"}
    async with controllers(on, time_.build) as program:
        await join(on, "a")
        await bound(on, "short", "a", tolerations=[{**tolerated, "tolerationSeconds": 10}])
        await bound(on, "usual", "a")
        await bound(on, "forever", "a", tolerations=[tolerated])
        await post_ready(on, "a", "Unknown")
        await on.until(lambda: taints_of(on, "a") == UNREACHABLE)
        await on.settled()
        assert len(on.pods()) == 3
        assert (await program.reconcile(["a"]))["a"] == Requeue(10)
        time_.passed = 11
        program.controller.queue.add("a")
        await on.until(lambda: {each.name for each in on.pods()} == {"usual", "forever"})
        time_.passed = 301
        program.controller.queue.add("a")
        await on.until(lambda: {each.name for each in on.pods()} == {"forever"})


async def test_pods_of_a_node_that_does_not_exist_are_removed_after_a_while(on: Plane) -> None:
    time_ = Time()
    async with controllers(on, time_.build) as program:
        await join(on, "a", "b")
        await bound(on, "gone", "a")
        await bound(on, "stays", "b")
        await on.client.delete(NODES, None, "a")
        await on.settled()
        assert len(on.pods()) == 2
        time_.passed = 40
        program.controller.queue.add("a")
        await on.until(lambda: on.cached(PODS, "gone") is None)
        assert on.cached(PODS, "stays") is not None


async def test_a_pod_bound_to_a_node_that_never_existed_is_found(on: Plane) -> None:
    time_ = Time()
    async with controllers(on, time_.build) as program:
        await bound(on, "lost", "nowhere")
        await on.until(lambda: "nowhere" in program._missing)
        time_.passed = 41
        program.controller.queue.add("nowhere")
        await on.until(lambda: on.cached(PODS, "lost") is None)


async def test_a_node_that_registers_again_in_time_keeps_its_pods(on: Plane) -> None:
    time_ = Time()
    async with controllers(on, time_.build) as program:
        await join(on, "a")
        await bound(on, "p", "a")
        await on.client.delete(NODES, None, "a")
        await on.until(lambda: "a" in program._missing)
        await on.create(NODES, node("a"))
        await on.until(lambda: "a" not in program._missing)
        time_.passed = 39
        program.controller.queue.add("a")
        await on.settled()
        assert on.cached(PODS, "p") is not None
