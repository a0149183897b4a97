"""The garbage collector, clause by clause, against the API in process."""

from __future__ import annotations

from typing import Any

from engine._object import Object
from engine.api.resource import CONFIGMAPS, DEPLOYMENTS, PODS, REPLICASETS
from engine.client.client import Client
from engine.controllers.garbagecollector import GarbageCollector
from engine.informers.informer import Informers
from tests.controllers.plane import Plane, controllers, deployment, pod, task


def only_gc(client: Client, informers: Informers) -> GarbageCollector:
    return GarbageCollector(client, informers)


def config(name: str, *owners: Object, block: bool = False, **metadata: Any) -> dict[str, Any]:
    references = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": each.name, "uid": each.uid, "blockOwnerDeletion": block}
        for each in owners
    ]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "ownerReferences": references, **metadata},
    }


def names(on: Plane) -> set[str]:
    return {each.name for each in on.all(CONFIGMAPS)}


async def test_dependents_go_after_their_owner(on: Plane) -> None:
    async with controllers(on, only_gc):
        owner = await on.create(CONFIGMAPS, config("owner"))
        child = await on.create(CONFIGMAPS, config("child", owner))
        await on.create(CONFIGMAPS, config("grandchild", child))
        await on.client.delete(CONFIGMAPS, "default", "owner")
        await on.until(lambda: not names(on))


async def test_a_deleted_deployment_takes_its_replica_sets_and_pods_along(on: Plane) -> None:
    async with controllers(on), task(on.kubelet()):
        await on.create(DEPLOYMENTS, deployment(replicas=5))
        await on.until(lambda: on.status(DEPLOYMENTS, "web").get("availableReplicas") == 5)
        await on.client.delete(DEPLOYMENTS, "default", "web", propagationPolicy="Background")
        await on.until(lambda: not on.all(DEPLOYMENTS) and not on.all(REPLICASETS) and not on.all(PODS))


async def test_an_owner_that_lives_protects_and_the_dead_one_is_taken_off(on: Plane) -> None:
    async with controllers(on, only_gc):
        dead, alive = await on.create(CONFIGMAPS, config("dead")), await on.create(CONFIGMAPS, config("alive"))
        await on.create(CONFIGMAPS, config("child", dead, alive))
        await on.client.delete(CONFIGMAPS, "default", "dead")
        await on.until(lambda: len(on.cached(CONFIGMAPS, "child").owner_references) == 1)
        assert on.cached(CONFIGMAPS, "child").owner_references[0]["name"] == "alive"


async def test_an_owner_that_never_was_is_asked_for_and_then_counts_as_gone(on: Plane) -> None:
    async with controllers(on, only_gc):
        owner = await on.create(CONFIGMAPS, config("owner"))
        namesake = Object({"metadata": {"name": "owner", "uid": "another"}})
        await on.create(CONFIGMAPS, config("orphan", namesake))
        await on.create(CONFIGMAPS, config("child", owner))
        await on.until(lambda: names(on) == {"owner", "child"})


async def test_what_was_left_over_by_a_dead_controller_is_found_at_the_start(on: Plane) -> None:
    owner = await on.create(CONFIGMAPS, config("owner"))
    await on.create(CONFIGMAPS, config("child", owner))
    await on.client.delete(CONFIGMAPS, "default", "owner")
    async with controllers(on, only_gc):
        await on.until(lambda: not names(on))


async def test_an_owner_that_the_cache_does_not_show_yet_is_asked_for_at_the_server(on: Plane) -> None:
    async with controllers(on, only_gc) as program:
        owner = await on.create(CONFIGMAPS, config("owner"))
        await on.create(CONFIGMAPS, config("child", owner))
        await on.settled()
        informer = program._informers["configmaps"]
        real, blind = informer.cache, type(informer.cache)(indexes={"controllers/owners": lambda _: ()})
        blind.apply("ADDED", on.cached(CONFIGMAPS, "child"))
        informer.cache = blind
        await program.reconcile(["default/configmaps/child"])
        informer.cache = real
        assert "child" in names(on)


async def test_owners_of_kinds_that_are_not_followed_protect_what_they_own(on: Plane) -> None:
    document = config("child")
    owner = {"apiVersion": "example.com/v1", "kind": "Widget", "name": "w", "uid": "w"}
    document["metadata"]["ownerReferences"] = [owner]
    async with controllers(on, only_gc):
        await on.create(CONFIGMAPS, document)
        await on.settled()
        assert names(on) == {"child"}


async def test_in_the_foreground_the_owner_stays_until_what_blocks_it_is_gone(on: Plane) -> None:
    async with controllers(on, only_gc):
        owner = await on.create(CONFIGMAPS, config("owner"))
        await on.create(CONFIGMAPS, config("child", owner, block=True, finalizers=["example.com/hold"]))
        await on.create(CONFIGMAPS, config("free", owner))
        await on.client.delete(CONFIGMAPS, "default", "owner", propagationPolicy="Foreground")
        await on.until(lambda: on.cached(CONFIGMAPS, "child").deletion_timestamp)
        await on.until(lambda: names(on) == {"owner", "child"})
        await on.patch(CONFIGMAPS, "child", {"metadata": {"finalizers": None}})
        await on.until(lambda: not names(on))


async def test_in_the_foreground_dependents_of_dependents_go_first(on: Plane) -> None:
    async with controllers(on, only_gc):
        owner = await on.create(CONFIGMAPS, config("owner"))
        child = await on.create(CONFIGMAPS, config("child", owner, block=True))
        await on.create(CONFIGMAPS, config("grandchild", child, block=True, finalizers=["example.com/hold"]))
        await on.client.delete(CONFIGMAPS, "default", "owner", propagationPolicy="Foreground")
        await on.until(lambda: on.cached(CONFIGMAPS, "grandchild").deletion_timestamp)
        assert names(on) == {"owner", "child", "grandchild"}
        await on.patch(CONFIGMAPS, "grandchild", {"metadata": {"finalizers": None}})
        await on.until(lambda: not names(on))


async def test_owners_that_wait_for_each_other_in_a_circle_all_go(on: Plane) -> None:
    async with controllers(on, only_gc):
        first = await on.create(CONFIGMAPS, config("a"))
        second = await on.create(CONFIGMAPS, config("b", first, block=True))
        references = config("x", second, block=True)["metadata"]["ownerReferences"]
        await on.patch(CONFIGMAPS, "a", {"metadata": {"ownerReferences": references}})
        await on.client.delete(CONFIGMAPS, "default", "a", propagationPolicy="Foreground")
        await on.until(lambda: not names(on))


async def test_orphans_lose_the_reference_before_the_owner_goes(on: Plane) -> None:
    async with controllers(on, only_gc):
        owner = await on.create(CONFIGMAPS, config("owner"))
        for n in range(3):
            await on.create(CONFIGMAPS, config(f"child-{n}", owner))
        await on.client.delete(CONFIGMAPS, "default", "owner", propagationPolicy="Orphan")
        await on.until(lambda: names(on) == {"child-0", "child-1", "child-2"})
        await on.settled()
        assert not any(each.owner_references for each in on.all(CONFIGMAPS))


async def test_pods_that_their_owner_orphaned_stay(on: Plane) -> None:
    async with controllers(on), task(on.kubelet()):
        await on.create(DEPLOYMENTS, deployment(replicas=2))
        await on.until(lambda: on.status(DEPLOYMENTS, "web").get("availableReplicas") == 2)
        (rs,) = on.sets()
        await on.client.delete(DEPLOYMENTS, "default", "web", propagationPolicy="Orphan")
        await on.until(lambda: not on.all(DEPLOYMENTS))
        await on.settled()
        assert [each.uid for each in on.sets()] == [rs.uid]
        assert len(on.pods()) == 2


async def test_what_nobody_owns_is_never_touched(on: Plane) -> None:
    async with controllers(on, only_gc):
        await on.create(CONFIGMAPS, config("free"))
        await on.create(PODS, pod("bare", {"app": "x"}))
        await on.settled()
        assert names(on) == {"free"}
        assert len(on.pods()) == 1
