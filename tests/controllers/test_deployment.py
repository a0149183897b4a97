"""The Deployment controller, clause by clause, against the API in process; a kubelet by hand makes pods ready."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.api.resource import DEPLOYMENTS, EVENTS, PODS, REPLICASETS
from engine.client.client import Client
from engine.controllers.revisions import template_hash
from engine.server.request import ADMIN
from tests.controllers.plane import Plane, condition, controllers, deployment, task, template

REVISION = "deployment.kubernetes.io/revision"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX = "deployment.kubernetes.io/max-replicas"


def available(on: Plane, replicas: int, name: str = "web") -> Callable[[], bool]:
    def holds() -> bool:
        status, found = on.status(DEPLOYMENTS, name), on.cached(DEPLOYMENTS, name)
        return (
            found is not None
            and status.get("observedGeneration") == found.generation
            and status.get("updatedReplicas", 0) == status.get("replicas", 0) == replicas
            and status.get("availableReplicas", 0) == replicas
        )

    return holds


def sizes(on: Plane) -> list[int]:
    """The replicas of the ReplicaSets, in the order of their revisions."""
    return [rs["spec"]["replicas"] for rs in on.sets()]


async def rollout(on: Plane, image: str, **spec: Any) -> None:
    await on.patch(DEPLOYMENTS, "web", {"spec": {"template": template(image), **spec}})


async def test_it_creates_a_replica_set_of_the_template(on: Plane) -> None:
    async with controllers(on), task(on.kubelet()):
        created = await on.create(DEPLOYMENTS, deployment(replicas=3))
        await on.until(available(on, 3))
        (rs,) = on.sets()
        digest = template_hash(created.peek()["spec"]["template"])
        assert rs.name == f"web-{digest}"
        assert rs.labels["pod-template-hash"] == digest
        assert rs["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": digest}
        assert rs.owner_references[0]["uid"] == created.uid
        assert (rs.annotations[DESIRED], rs.annotations[MAX]) == ("3", "4")
        await on.until(lambda: on.cached(DEPLOYMENTS, "web").annotations.get(REVISION) == "1")
        assert on.cached(DEPLOYMENTS, "web").generation == 1, "numbering a Deployment does not change what it asks for"
        assert {pod.labels["pod-template-hash"] for pod in on.pods()} == {digest}


async def test_the_status_of_a_finished_rollout(on: Plane) -> None:
    async with controllers(on), task(on.kubelet()):
        await on.create(DEPLOYMENTS, deployment(replicas=3))
        await on.until(
            lambda: condition(on.status(DEPLOYMENTS, "web"), "Progressing").get("reason") == "NewReplicaSetAvailable"
        )
        status = dict(on.status(DEPLOYMENTS, "web"))
        (rs,) = on.sets()
    assert condition(status, "Progressing")["message"] == f'ReplicaSet "{rs.name}" has successfully progressed.'
    assert condition(status, "Available")["reason"] == "MinimumReplicasAvailable"
    assert condition(status, "Available")["message"] == "Deployment has minimum availability."
    assert [status[each] for each in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")] == [3] * 4
    assert "unavailableReplicas" not in status
    assert status["terminatingReplicas"] == 0


async def test_too_few_available_pods_are_told(on: Plane) -> None:
    async with controllers(on):
        await on.create(DEPLOYMENTS, deployment(replicas=4))
        pods = await on.until(lambda: len(on.pods()) == 4 and on.pods())
        await on.run_pods(pods[:2])
        await on.until(lambda: on.status(DEPLOYMENTS, "web").get("availableReplicas") == 2)
        assert on.status(DEPLOYMENTS, "web")["unavailableReplicas"] == 2
        told = condition(on.status(DEPLOYMENTS, "web"), "Available")
        assert (told["status"], told["reason"]) == ("False", "MinimumReplicasUnavailable")
        assert condition(on.status(DEPLOYMENTS, "web"), "Progressing")["reason"] == "ReplicaSetUpdated"
        await on.run_pods(pods[2:3])
        await on.until(lambda: condition(on.status(DEPLOYMENTS, "web"), "Available")["status"] == "True")


@pytest.mark.parametrize("replicas", [5, 1, 0])
async def test_scaling_reaches_the_pods_and_the_annotations(on: Plane, replicas: int) -> None:
    async with controllers(on), task(on.kubelet()):
        await on.create(DEPLOYMENTS, deployment(replicas=3))
        await on.until(available(on, 3))
        await on.patch(DEPLOYMENTS, "web", {"spec": {"replicas": replicas}}, subresource="scale")
        await on.until(available(on, replicas))
        await on.settled()
        assert len(on.pods()) == replicas
        assert len(on.sets()) == 1


async def test_a_rolling_update_never_breaks_its_limits(on: Plane) -> None:
    async with controllers(on), task(on.kubelet()):
        limits = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 1}}
        await on.create(DEPLOYMENTS, deployment(replicas=8, strategy=limits))
        await on.until(available(on, 8))
        seen = []

        def holds() -> bool:
            pods = on.pods()
            ready = [pod for pod in pods if condition(pod.peek().get("status") or {}, "Ready").get("status") == "True"]
            seen.append((len(pods), len(ready)))
            return sizes(on) == [0, 8] and available(on, 8)()

        await rollout(on, "nginx:2")
        await on.until(holds)
        assert max(pods for pods, _ in seen) <= 10
        assert min(ready for _, ready in seen) >= 7
        assert {pod.get_path("spec.containers[0].image") for pod in on.pods()} == {"nginx:2"}
        await on.until(lambda: on.cached(DEPLOYMENTS, "web").annotations[REVISION] == "2")


async def test_a_template_that_never_gets_ready_stops_the_rollout(on: Plane) -> None:
    async with controllers(on):
        await on.create(DEPLOYMENTS, deployment(replicas=4))
        await on.run_pods(await on.until(lambda: len(on.pods()) == 4 and on.pods()))
        await on.until(available(on, 4))
        await rollout(on, "broken")
        await on.until(lambda: sizes(on) == [3, 2])
        await on.settled()
        assert sizes(on) == [3, 2]
        assert on.status(DEPLOYMENTS, "web")["availableReplicas"] == 3


async def test_the_progress_deadline_is_told(on: Plane) -> None:
    async with controllers(on):
        await on.create(DEPLOYMENTS, deployment(replicas=1, progressDeadlineSeconds=1))
        await on.until(lambda: condition(on.status(DEPLOYMENTS, "web"), "Progressing").get("status") == "False")
        told = condition(on.status(DEPLOYMENTS, "web"), "Progressing")
        assert told["reason"] == "ProgressDeadlineExceeded"
        assert told["message"] == f'ReplicaSet "{on.sets()[0].name}" has timed out progressing.'
        await on.run_pods(on.pods())
        await on.until(
            lambda: condition(on.status(DEPLOYMENTS, "web"), "Progressing")["reason"] == "NewReplicaSetAvailable"
        )


async def test_going_back_reuses_the_old_replica_set_under_a_new_revision(on: Plane) -> None:
    async with controllers(on), task(on.kubelet()):
        await on.create(DEPLOYMENTS, deployment(replicas=2))
        await on.until(available(on, 2))
        (first,) = on.sets()
        await rollout(on, "nginx:2")
        await on.until(lambda: sizes(on) == [0, 2] and available(on, 2)())
        await rollout(on, "nginx")
        await on.until(lambda: on.cached(REPLICASETS, first.name)["spec"]["replicas"] == 2 and available(on, 2)())
        await on.until(lambda: on.cached(DEPLOYMENTS, "web").annotations[REVISION] == "3")
        back = on.cached(REPLICASETS, first.name)
        assert back.annotations[REVISION] == "3"
        assert back.annotations["deployment.kubernetes.io/revision-history"] == "1"
        assert len(on.sets()) == 2


async def test_old_revisions_beyond_the_limit_are_deleted(on: Plane) -> None:
    async with controllers(on), task(on.kubelet()):
        await on.create(DEPLOYMENTS, deployment(replicas=1, revisionHistoryLimit=1))
        await on.until(available(on, 1))
        for n in (2, 3, 4):
            await rollout(on, f"nginx:{n}")
            await on.until(
                lambda n=n: on.cached(DEPLOYMENTS, "web").annotations[REVISION] == str(n) and available(on, 1)()
            )
        await on.until(lambda: len(on.sets()) == 2)
        assert [rs.annotations[REVISION] for rs in on.sets()] == ["3", "4"]


async def test_recreate_ends_all_old_pods_before_the_first_new_one(on: Plane) -> None:
    async with controllers(on):
        await on.create(DEPLOYMENTS, deployment(replicas=2, strategy={"type": "Recreate"}))
        old = await on.until(lambda: len(on.pods()) == 2 and on.pods())
        await on.run_pods(old)
        await on.until(available(on, 2))
        await rollout(on, "nginx:2")
        await on.until(lambda: not on.pods() and len(on.all(PODS)) == 2, "the old pods terminate")
        await on.settled()
        assert sizes(on) == [0]
        for pod in old:
            await on.client.delete(PODS, "default", pod.name, gracePeriodSeconds=0)
        new = await on.until(lambda: len(on.pods()) == 2 and on.pods())
        assert {pod.get_path("spec.containers[0].image") for pod in new} == {"nginx:2"}


async def test_while_paused_templates_wait_and_scaling_works(on: Plane) -> None:
    async with controllers(on), task(on.kubelet()):
        await on.create(DEPLOYMENTS, deployment(replicas=2))
        await on.until(available(on, 2))
        await on.patch(DEPLOYMENTS, "web", {"spec": {"paused": True}})
        await on.until(lambda: condition(on.status(DEPLOYMENTS, "web"), "Progressing")["reason"] == "DeploymentPaused")
        await rollout(on, "nginx:2", replicas=4)
        await on.until(lambda: sizes(on) == [4])
        await on.settled()
        assert sizes(on) == [4]
        await on.patch(DEPLOYMENTS, "web", {"spec": {"paused": False}})
        await on.until(lambda: sizes(on) == [0, 4] and available(on, 4)())
        await on.until(
            lambda: condition(on.status(DEPLOYMENTS, "web"), "Progressing")["reason"] == "NewReplicaSetAvailable"
        )


async def test_scaling_in_mid_rollout_is_proportional(on: Plane) -> None:
    async with controllers(on):
        limits = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
        await on.create(DEPLOYMENTS, deployment(replicas=10, strategy=limits))
        await on.run_pods(await on.until(lambda: len(on.pods()) == 10 and on.pods()))
        await on.until(available(on, 10))
        await rollout(on, "broken")
        await on.until(lambda: sizes(on) == [8, 5])
        await on.settled()
        await on.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 15}})
        await on.until(lambda: sizes(on) == [11, 7])
        assert [rs.annotations[DESIRED] for rs in on.sets()] == ["15", "15"]


async def test_a_replica_set_that_matches_is_adopted_and_one_that_does_not_is_released(on: Plane) -> None:
    async with controllers(on), task(on.kubelet()):
        owner = await on.create(DEPLOYMENTS, deployment(replicas=2))
        await on.until(available(on, 2))
        (rs,) = on.sets()
        await on.patch(REPLICASETS, rs.name, {"metadata": {"ownerReferences": None}})
        await on.until(
            lambda: [each["uid"] for each in on.cached(REPLICASETS, rs.name).owner_references] == [owner.uid]
        )
        await on.patch(REPLICASETS, rs.name, {"metadata": {"labels": {"app": "other"}}})
        await on.until(lambda: not on.cached(REPLICASETS, rs.name).owner_references)


async def test_a_name_that_is_taken_counts_as_a_collision(on: Plane) -> None:
    async with controllers(on), task(on.kubelet()):
        created = await on.create(DEPLOYMENTS, {**deployment(replicas=0), "metadata": {"name": "probe"}})
        digest = template_hash(created.peek()["spec"]["template"])
        taken = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {"name": f"web-{digest}"},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template("x")},
        }
        taken["spec"]["template"]["metadata"]["labels"] = {"a": "b"}
        await on.create(REPLICASETS, taken)
        await on.create(DEPLOYMENTS, deployment(replicas=1))
        await on.until(lambda: on.status(DEPLOYMENTS, "web").get("collisionCount") == 1)
        await on.until(available(on, 1))


async def test_events_tell_of_scaling(on: Plane) -> None:
    async with controllers(on), task(on.kubelet()):
        await on.create(DEPLOYMENTS, deployment(replicas=2))
        await on.until(available(on, 2))
        name = on.sets()[0].name
        await on.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 1}})

        def told() -> set[str]:
            return {event["message"] for event in on.all(EVENTS) if event["reason"] == "ScalingReplicaSet"}

        await on.until(lambda: len(told()) == 2)
    assert told() == {
        f"Scaled up replica set {name} from 0 to 2",
        f"Scaled down replica set {name} from 2 to 1",
    }


async def test_annotations_reach_the_replica_set(on: Plane) -> None:
    async with controllers(on):
        await on.create(DEPLOYMENTS, deployment(replicas=0))
        await on.until(on.sets)
        await on.patch(DEPLOYMENTS, "web", {"metadata": {"annotations": {"kubernetes.io/change-cause": "because"}}})
        await on.until(lambda: on.sets()[0].annotations.get("kubernetes.io/change-cause") == "because")


async def test_what_is_settled_writes_nothing(on: Plane) -> None:
    async with controllers(on) as program, task(on.kubelet()):
        await on.create(DEPLOYMENTS, deployment(replicas=3))
        await on.until(available(on, 3))
        await on.settled()
        revision = on.store.revision
        await program.deployments.reconcile(["default/web"])
        await program.replicasets.reconcile([on.sets()[0].key])
        assert on.store.revision == revision


async def test_controllers_killed_between_any_two_writes_converge_when_they_start_again(on: Plane) -> None:
    """After a few groups of writes no further one gets through; then a new manager, which knows nothing, goes on."""
    transport = on.client.transport
    real, groups_left = transport.batch, [0]

    async def cut_off(operations: Any) -> Any:
        if not groups_left[0]:
            raise ConnectionError("cut off")
        groups_left[0] -= 1
        return await real(operations)

    doomed = Client(type(transport)(on.api, ADMIN))
    doomed.transport.batch = cut_off  # type: ignore[method-assign]
    async with task(on.kubelet()):
        await on.create(DEPLOYMENTS, deployment(replicas=6))
        for life in range(1, 12):
            if life == 6:
                await rollout(on, "nginx:2")
            groups_left[0] = life % 4 + 1
            async with controllers(on, client=doomed):
                await on.until(lambda: not groups_left[0] or available(on, 6)())
            assert len(on.pods()) <= 6 + 2
        async with controllers(on):
            await on.until(lambda: sizes(on)[-1] == 6 and sum(sizes(on)) == 6 and available(on, 6)())
            await on.settled()
            assert len(on.pods()) == 6
