"""The ReplicaSet controller, clause by clause, against the API in process."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from engine.api.errors import StatusError
from engine.api.resource import EVENTS, PODS, REPLICASETS
from engine.client.client import Client
from engine.controllers.replicaset import BURST, ReplicaSetController
from engine.informers.informer import Informers
from engine.runtime.events import EventRecorder
from tests.controllers.plane import Plane, condition, controllers, pod, replicaset, template


def only_replicasets(client: Client, informers: Informers) -> ReplicaSetController:
    return ReplicaSetController(client, informers, EventRecorder(client, "replicaset-controller"))


async def test_it_creates_as_many_pods_as_the_spec_says(on: Plane) -> None:
    async with controllers(on, only_replicasets):
        rs = await on.create(REPLICASETS, replicaset(replicas=4))
        await on.until(lambda: len(on.pods()) == 4)
        await on.settled()
    assert len(on.pods()) == 4
    for each in on.pods():
        assert each.name.startswith("web-")
        assert dict(each.labels) == {"app": "web"}
        (owner,) = each.owner_references
        assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == (rs.uid, True, True)


async def test_a_deleted_pod_is_replaced_while_it_still_terminates(on: Plane) -> None:
    async with controllers(on, only_replicasets):
        await on.create(REPLICASETS, replicaset(replicas=2))
        pods = await on.until(lambda: len(on.pods()) == 2 and on.pods())
        await on.run_pods(pods)
        await on.client.delete(PODS, "default", pods[0].name)
        await on.until(lambda: on.status(REPLICASETS, "web").get("terminatingReplicas") == 1)
        await on.until(lambda: len(on.pods()) == 2)


async def test_a_finished_pod_is_replaced(on: Plane) -> None:
    async with controllers(on, only_replicasets):
        await on.create(REPLICASETS, replicaset(replicas=1))
        (first,) = await on.until(on.pods)
        await on.patch(PODS, first.name, {"status": {"phase": "Failed"}}, subresource="status")
        await on.until(lambda: len(on.pods()) == 2)


async def test_scaling_down_deletes_what_is_missed_least(on: Plane) -> None:
    async with controllers(on, only_replicasets):
        await on.create(REPLICASETS, replicaset(replicas=5))
        pods = await on.until(lambda: len(on.pods()) == 5 and on.pods())
        await on.run_pods(pods[:2])
        await on.patch(REPLICASETS, "web", {"spec": {"replicas": 2}})
        await on.until(lambda: len(on.pods()) == 2)
    assert {each.name for each in on.pods()} == {each.name for each in pods[:2]}


async def test_the_status_counts_pods_by_state(on: Plane) -> None:
    async with controllers(on, only_replicasets):
        created = await on.create(REPLICASETS, replicaset(replicas=4))
        pods = await on.until(lambda: len(on.pods()) == 4 and on.pods())
        await on.run_pods(pods[:3])
        await on.until(lambda: on.status(REPLICASETS, "web").get("readyReplicas") == 3)
        status = on.status(REPLICASETS, "web")
    assert status["replicas"] == status["fullyLabeledReplicas"] == 4
    assert status["availableReplicas"] == 3
    assert status["observedGeneration"] == created.generation


async def test_pods_without_all_labels_of_the_template_are_not_fully_labeled(on: Plane) -> None:
    labelled = template()
    labelled["metadata"]["labels"]["tier"] = "front"
    await on.create(PODS, pod("bare", {"app": "web"}))
    async with controllers(on, only_replicasets):
        await on.create(REPLICASETS, replicaset(replicas=3, template=labelled))
        await on.until(lambda: on.status(REPLICASETS, "web").get("replicas") == 3)
        assert on.status(REPLICASETS, "web")["fullyLabeledReplicas"] == 2


async def test_a_pod_is_available_only_after_min_ready_seconds(on: Plane) -> None:
    async with controllers(on, only_replicasets):
        await on.create(REPLICASETS, replicaset(replicas=2, minReadySeconds=2))
        pods = await on.until(lambda: len(on.pods()) == 2 and on.pods())
        ready_at = time.time()
        await on.run_pods(pods[:1], since=ready_at)
        await on.run_pods(pods[1:])
        await on.until(lambda: on.status(REPLICASETS, "web").get("readyReplicas") == 2)
        assert on.status(REPLICASETS, "web")["availableReplicas"] == 1
        await on.until(lambda: on.status(REPLICASETS, "web").get("availableReplicas") == 2)
        assert time.time() >= int(ready_at) + 2


async def test_orphans_that_match_are_adopted_and_counted(on: Plane) -> None:
    await on.create(PODS, pod("mine", {"app": "web"}))
    await on.create(PODS, pod("other", {"app": "db"}))
    async with controllers(on, only_replicasets):
        rs = await on.create(REPLICASETS, replicaset(replicas=2))
        await on.until(lambda: len(on.pods("app=web")) == 2)
        await on.settled()
    assert on.cached(PODS, "mine").owner_references[0]["uid"] == rs.uid
    assert not on.cached(PODS, "other").owner_references
    assert len(on.pods("app=web")) == 2


async def test_an_orphan_that_comes_later_is_adopted_and_the_surplus_deleted(on: Plane) -> None:
    async with controllers(on, only_replicasets):
        await on.create(REPLICASETS, replicaset(replicas=2))
        await on.run_pods(await on.until(lambda: len(on.pods()) == 2 and on.pods()))
        await on.create(PODS, pod("late", {"app": "web"}))
        await on.until(lambda: on.cached(PODS, "late") is None, "the unassigned newcomer goes first")
    assert len(on.pods()) == 2


async def test_a_pod_of_another_controller_is_left_alone(on: Plane) -> None:
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "j", "controller": True}
    await on.create(PODS, pod("theirs", {"app": "web"}, ownerReferences=[owner]))
    async with controllers(on, only_replicasets):
        await on.create(REPLICASETS, replicaset(replicas=1))
        await on.until(lambda: len(on.pods()) == 2)
        await on.settled()
    assert on.cached(PODS, "theirs").owner_references[0]["uid"] == "j"


async def test_a_pod_whose_labels_no_longer_match_is_released_and_replaced(on: Plane) -> None:
    async with controllers(on, only_replicasets):
        await on.create(REPLICASETS, replicaset(replicas=2))
        first = (await on.until(lambda: len(on.pods()) == 2 and on.pods()))[0]
        await on.patch(PODS, first.name, {"metadata": {"labels": {"app": "debug"}}})
        await on.until(lambda: len(on.pods("app=web")) == 2)
        await on.until(lambda: not on.cached(PODS, first.name).owner_references)
    assert len(on.pods()) == 3


async def test_labels_that_changed_while_no_controller_ran_are_seen_at_the_start(on: Plane) -> None:
    async with controllers(on, only_replicasets):
        await on.create(REPLICASETS, replicaset(replicas=1))
        (first,) = await on.until(on.pods)
    await on.patch(PODS, first.name, {"metadata": {"labels": {"app": "debug"}}})
    async with controllers(on, only_replicasets):
        await on.until(lambda: not on.cached(PODS, first.name).owner_references)
        await on.until(lambda: len(on.pods("app=web")) == 1)


async def test_a_set_that_is_being_deleted_neither_adopts_nor_creates(on: Plane) -> None:
    document = replicaset(replicas=2)
    document["metadata"]["finalizers"] = ["example.com/hold"]
    await on.create(REPLICASETS, document)
    await on.client.delete(REPLICASETS, "default", "web")
    await on.create(PODS, pod("orphan", {"app": "web"}))
    async with controllers(on, only_replicasets):
        await on.until(lambda: on.status(REPLICASETS, "web").get("observedGeneration"))
        await on.settled()
    assert [each.name for each in on.pods()] == ["orphan"]
    assert not on.cached(PODS, "orphan").owner_references


class Failing(Client):
    """Refuses creates of pods after the first `allowed`."""

    def __init__(self, client: Client, allowed: int) -> None:
        super().__init__(client.transport)
        self.allowed, self.tried = allowed, 0

    async def batch(self, operations: Any) -> Any:
        results: list[Any] = []
        for operation in operations:
            if operation.verb == "create" and operation.resource == PODS:
                self.tried += 1
                if self.allowed <= 0:
                    results.append(StatusError(403, "Forbidden", "exceeded quota: pods"))
                    continue
                self.allowed -= 1
            results += await super().batch([operation])
        return results


async def test_refused_creates_stop_early_and_are_told_in_the_status(on: Plane) -> None:
    failing = Failing(on.client, 70)
    on.client = failing
    async with controllers(on, only_replicasets) as program:
        await on.create(REPLICASETS, replicaset(replicas=5000))
        await on.until(lambda: condition(on.status(REPLICASETS, "web"), "ReplicaFailure"))
        told = condition(on.status(REPLICASETS, "web"), "ReplicaFailure")
        assert (told["status"], told["reason"], told["message"]) == ("True", "FailedCreate", "exceeded quota: pods")
        assert failing.tried <= 64 * (2 + program.controller.queue.failures("default/web") + 1)
        await on.patch(REPLICASETS, "web", {"spec": {"replicas": 70}})
        await on.until(lambda: not condition(on.status(REPLICASETS, "web"), "ReplicaFailure"), "the condition stays")
    assert len(on.pods()) == 70


async def test_pods_beyond_one_burst_come_in_the_next_reconciles(on: Plane) -> None:
    async with controllers(on, only_replicasets):
        await on.create(REPLICASETS, replicaset(replicas=BURST + 3))
        await on.until(lambda: len(on.pods()) == BURST + 3)
        await on.settled()
    assert len(on.pods()) == BURST + 3


async def test_a_cache_that_lags_makes_no_duplicates(on: Plane) -> None:
    informers = Informers(on.client)
    program = only_replicasets(on.client, informers)
    await informers.start()
    await on.create(REPLICASETS, replicaset(replicas=3))
    real = program._pods.cache
    stale = type(real)(indexes={"controllers/replicas": lambda _: ()})
    program._pods.cache, program._expectations._cache = stale, stale
    for _ in range(3):
        await program.reconcile(["default/web"])
    assert len(on.pods()) == 3
    program._pods.cache, program._expectations._cache = real, real
    await program.reconcile(["default/web"])
    assert len(on.pods()) == 3
    await informers.stop()


async def test_a_status_that_did_not_change_is_not_written(on: Plane) -> None:
    async with controllers(on, only_replicasets) as program:
        await on.create(REPLICASETS, replicaset(replicas=2))
        await on.run_pods(await on.until(lambda: len(on.pods()) == 2 and on.pods()))
        await on.until(lambda: on.status(REPLICASETS, "web").get("availableReplicas") == 2)
        await on.settled()
        revision = on.store.revision
        await program.reconcile(["default/web"])
        assert on.store.revision == revision


async def test_pods_that_change_quickly_cost_few_status_writes_and_the_last_one_counts(on: Plane) -> None:
    async with controllers(on, only_replicasets):
        await on.create(REPLICASETS, replicaset(replicas=60))
        pods = await on.until(lambda: len(on.pods()) == 60 and on.pods())
        await on.settled()
        before = on.store.revision
        for each in pods:
            await on.run_pods([each])
        await on.until(lambda: on.status(REPLICASETS, "web").get("availableReplicas") == 60)
        assert on.store.revision - before - 2 * len(pods) < 20


async def test_events_tell_of_created_pods(on: Plane) -> None:
    class Recorded:
        def __init__(self, client: Client, informers: Informers) -> None:
            self.recorder = EventRecorder(client, "replicaset-controller")
            self.program = ReplicaSetController(client, informers, self.recorder)

        async def run(self) -> None:
            await asyncio.gather(self.recorder.run(), self.program.run())

    async with controllers(on, Recorded):
        await on.create(REPLICASETS, replicaset(replicas=1))
        (event,) = await on.until(lambda: on.all(EVENTS))
    assert event["reason"] == "SuccessfulCreate"
    assert event["message"] == f"Created pod: {on.pods()[0].name}"
