"""Writes: names, versions, generations, statuses, deletions, and groups of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from engine._object import Object
from engine.api.errors import StatusError
from engine.api.resource import CONFIGMAPS as CONFIGMAP_RESOURCE
from engine.api.resource import PODS as POD_RESOURCE
from engine.client.transport import Operation
from engine.server import naming
from engine.server.request import ADMIN
from engine.storage.store import Conflict, StorageError, Write
from tests.server.objects import CONFIGMAPS, DEPLOYMENTS, JSON_PATCH, MERGE, PODS, STRATEGIC, configmap, deployment, pod
from tests.server.serving import Serving

APPLY = "application/apply-patch+yaml"


async def create(served: Serving, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await served.ask("POST", path, body)
    assert answer.status == 201, answer.body
    return dict(answer.json)


# Names


async def test_a_generated_name_that_is_taken_is_made_again(served: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    suffixes = iter(["taken", "taken", "free1"])
    monkeypatch.setattr(naming._random, "choices", lambda alphabet, k: next(suffixes))
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "g-"}}
    assert (await create(served, CONFIGMAPS, body))["metadata"]["name"] == "g-taken"
    assert (await create(served, CONFIGMAPS, body))["metadata"]["name"] == "g-free1"


def test_generated_names_fit_a_label_and_spell_no_words() -> None:
    name = naming.generated("x" * 100)
    assert len(name) == 63
    assert set(name[58:]) <= set(naming.ALPHABET)


# Versions


async def test_an_update_that_changes_nothing_writes_nothing(served: Serving) -> None:
    first = await create(served, CONFIGMAPS, configmap("x", {"a": "1"}))
    assert (await served.ask("PUT", f"{CONFIGMAPS}/x", first)).json == first
    patch = {"data": {"a": "1"}}
    other = await served.ask("PATCH", f"{CONFIGMAPS}/x?fieldManager=else", patch, content_type=MERGE)
    assert other.json == first


async def test_a_patch_that_names_no_version_wins_over_one_that_came_between(served: Serving) -> None:
    await create(served, CONFIGMAPS, configmap("x", {"a": "1"}))
    racing = Racing(served.api.store, "default/x", {"b": "theirs"})
    served.api._pipeline._store = racing
    answer = await served.ask("PATCH", f"{CONFIGMAPS}/x", {"data": {"c": "ours"}}, content_type=MERGE)
    assert racing.lost == 1
    assert answer.json["data"] == {"a": "1", "b": "theirs", "c": "ours"}


async def test_an_update_that_names_its_version_loses_to_one_that_came_between(served: Serving) -> None:
    first = await create(served, CONFIGMAPS, configmap("x", {"a": "1"}))
    served.api._pipeline._store = Racing(served.api.store, "default/x", {"b": "theirs"})
    answer = await served.ask("PUT", f"{CONFIGMAPS}/x", {**first, "data": {"a": "2"}})
    assert (answer.status, answer.json["reason"]) == (409, "Conflict")


class Racing:
    """A store in which somebody else writes an object just before the first commit."""

    def __init__(self, store: Any, key: str, data: dict[str, str]) -> None:
        self.store = store
        self.key = key
        self.data = data
        self.lost = 0

    async def commit(self, writes: Sequence[Write]) -> list[Object | Conflict]:
        if not self.lost:
            found = self.store.newest(CONFIGMAP_RESOURCE, self.key)
            document = found.to_dict()
            document["data"] |= self.data
            await self.store.commit([Write(CONFIGMAP_RESOURCE, self.key, document, found.resource_version)])
        answers: list[Object | Conflict] = await self.store.commit(writes)
        self.lost += sum(isinstance(answer, Conflict) for answer in answers)
        return answers


async def test_what_the_store_could_not_keep_is_refused(served: Serving) -> None:
    class Full:
        async def commit(self, writes: Sequence[Write]) -> list[Object | Conflict]:
            raise StorageError("disk full")

    served.api._pipeline._store = Full()
    answer = await served.ask("POST", CONFIGMAPS, configmap("x"))
    assert (answer.status, answer.json["reason"]) == (500, "InternalError")
    assert "disk full" in answer.json["message"]


async def test_a_dry_run_goes_all_the_way_and_leaves_nothing(served: Serving) -> None:
    await create(served, CONFIGMAPS, configmap("x", {"a": "1"}))
    patched = await served.ask("PATCH", f"{CONFIGMAPS}/x?dryRun=All", {"data": {"a": "2"}}, content_type=MERGE)
    assert patched.json["data"] == {"a": "2"}
    assert (await served.ask("DELETE", f"{CONFIGMAPS}/x?dryRun=All")).status == 200
    assert (await served.ask("GET", f"{CONFIGMAPS}/x")).json["data"] == {"a": "1"}
    invalid = await served.ask("POST", f"{DEPLOYMENTS}?dryRun=All", deployment("x", selects="other"))
    assert invalid.status == 422


# Generation and status


async def test_the_generation_counts_changes_of_the_spec(served: Serving) -> None:
    await create(served, DEPLOYMENTS, deployment("x"))

    async def generation_after(patch: dict[str, Any], path: str = "") -> int:
        answer = await served.ask("PATCH", f"{DEPLOYMENTS}/x{path}", patch, content_type=STRATEGIC)
        return int(answer.json["metadata"]["generation"])

    assert await generation_after({"metadata": {"labels": {"a": "b"}}}) == 1
    assert await generation_after({"spec": {"replicas": 3}}) == 2
    assert await generation_after({"status": {"replicas": 3}}, "/status") == 2


async def test_status_and_spec_are_written_apart(served: Serving) -> None:
    body = await create(served, DEPLOYMENTS, {**deployment("x"), "status": {"replicas": 9}})
    assert body["status"] == {}
    body["spec"]["replicas"], body["status"] = 5, {"replicas": 4}
    body = (await served.ask("PUT", f"{DEPLOYMENTS}/x/status", body)).json
    assert (body["spec"]["replicas"], body["status"]) == (1, {"replicas": 4})
    body["spec"]["replicas"], body["status"] = 6, {"replicas": 8}
    body = (await served.ask("PUT", f"{DEPLOYMENTS}/x", body)).json
    assert (body["spec"]["replicas"], body["status"]) == (6, {"replicas": 4})


async def test_a_scale_is_replaced_and_keeps_its_precondition(served: Serving) -> None:
    await create(served, DEPLOYMENTS, deployment("x"))
    scale = (await served.ask("GET", f"{DEPLOYMENTS}/x/scale")).json
    scale["spec"]["replicas"] = 0
    answer = await served.ask("PUT", f"{DEPLOYMENTS}/x/scale", scale)
    assert (answer.json["kind"], answer.json["spec"]) == ("Scale", {})
    assert (await served.ask("GET", f"{DEPLOYMENTS}/x")).json["spec"]["replicas"] == 0
    assert (await served.ask("PUT", f"{DEPLOYMENTS}/x/scale", scale)).json["reason"] == "Conflict"


async def test_a_pod_is_bound_once(served: Serving) -> None:
    body = await create(served, PODS, pod("x"))
    binding = {"metadata": {"name": "x", "uid": body["metadata"]["uid"]}, "target": {"kind": "Node", "name": "n1"}}
    other = {**binding, "metadata": {"name": "x", "uid": "other"}}
    assert (await served.ask("POST", f"{PODS}/x/binding", other)).json["reason"] == "Conflict"
    assert (await served.ask("POST", f"{PODS}/x/binding", binding)).status == 201
    assert (await served.ask("POST", f"{PODS}/x/binding", binding)).json["reason"] == "Conflict"
    bound = (await served.ask("GET", f"{PODS}/x")).json
    assert bound["spec"]["nodeName"] == "n1"
    assert [condition["type"] for condition in bound["status"]["conditions"]] == ["PodScheduled"]


# Apply


async def test_an_apply_creates_and_its_status_does_not(served: Serving) -> None:
    config = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}}
    path = f"{DEPLOYMENTS}/x/status?fieldManager=m"
    assert (await served.ask("PATCH", path, config, content_type=APPLY)).status == 404
    path = f"{CONFIGMAPS}/x?fieldManager=m"
    assert (await served.ask("PATCH", path, configmap("x", {"a": "1"}), content_type=APPLY)).status == 201
    assert (await served.ask("PATCH", path, configmap("x", {"a": "1"}), content_type=APPLY)).status == 200


# Deletion


async def test_a_running_pod_gets_its_grace_and_a_later_delete_only_shortens_it(served: Serving) -> None:
    await create(served, PODS, pod("x", node="n1", terminationGracePeriodSeconds=40))
    body = (await served.ask("DELETE", f"{PODS}/x")).json
    assert (body["metadata"]["deletionGracePeriodSeconds"], body["metadata"]["generation"]) == (40, 2)
    longer = (await served.ask("DELETE", f"{PODS}/x", {"gracePeriodSeconds": 50})).json
    assert longer["metadata"] == body["metadata"]
    shorter = (await served.ask("DELETE", f"{PODS}/x", {"gracePeriodSeconds": 10})).json
    assert (shorter["metadata"]["deletionGracePeriodSeconds"], shorter["metadata"]["generation"]) == (10, 2)
    assert shorter["metadata"]["deletionTimestamp"] < body["metadata"]["deletionTimestamp"]
    assert (await served.ask("DELETE", f"{PODS}/x", {"gracePeriodSeconds": 0})).status == 200
    assert (await served.ask("GET", f"{PODS}/x")).status == 404


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
async def test_a_finished_pod_goes_at_once(served: Serving, phase: str) -> None:
    await create(served, PODS, pod("x", node="n1"))
    await served.ask("PATCH", f"{PODS}/x/status", {"status": {"phase": phase}}, content_type=MERGE)
    await served.ask("DELETE", f"{PODS}/x")
    assert (await served.ask("GET", f"{PODS}/x")).status == 404


async def test_finalizers_hold_a_pod_that_has_stopped(served: Serving) -> None:
    body = pod("x", node="n1")
    body["metadata"]["finalizers"] = ["example.com/hold"]
    await create(served, PODS, body)
    await served.ask("DELETE", f"{PODS}/x", {"gracePeriodSeconds": 0})
    held = (await served.ask("GET", f"{PODS}/x")).json
    assert held["metadata"]["deletionGracePeriodSeconds"] == 0
    await served.ask("PATCH", f"{PODS}/x", {"metadata": {"finalizers": None}}, content_type=MERGE)
    assert (await served.ask("GET", f"{PODS}/x")).status == 404


async def test_finalizers_that_go_do_not_end_a_pod_that_still_runs(served: Serving) -> None:
    body = pod("x", node="n1")
    body["metadata"]["finalizers"] = ["example.com/hold"]
    await create(served, PODS, body)
    await served.ask("DELETE", f"{PODS}/x")
    await served.ask("PATCH", f"{PODS}/x", {"metadata": {"finalizers": None}}, content_type=MERGE)
    assert (await served.ask("GET", f"{PODS}/x")).status == 200


@pytest.mark.parametrize(("policy", "finalizer"), [("Orphan", "orphan"), ("Foreground", "foregroundDeletion")])
async def test_a_policy_leaves_the_dependents_to_the_garbage_collector(
    served: Serving, policy: str, finalizer: str
) -> None:
    await create(served, DEPLOYMENTS, deployment("x"))
    answer = await served.ask("DELETE", f"{DEPLOYMENTS}/x", {"propagationPolicy": policy})
    assert answer.json["metadata"]["finalizers"] == [finalizer]
    assert "deletionTimestamp" in (await served.ask("GET", f"{DEPLOYMENTS}/x")).json["metadata"]


async def test_an_explicit_policy_replaces_an_earlier_one(served: Serving) -> None:
    await create(served, DEPLOYMENTS, deployment("x"))
    await served.ask("DELETE", f"{DEPLOYMENTS}/x", {"propagationPolicy": "Foreground"})
    await served.ask("DELETE", f"{DEPLOYMENTS}/x", {"propagationPolicy": "Background"})
    assert (await served.ask("GET", f"{DEPLOYMENTS}/x")).status == 404


async def test_a_deletion_holds_to_its_preconditions(served: Serving) -> None:
    body = await create(served, CONFIGMAPS, configmap("x"))
    for preconditions in ({"uid": "other"}, {"resourceVersion": "1"}):
        answer = await served.ask("DELETE", f"{CONFIGMAPS}/x", {"preconditions": preconditions})
        assert answer.json["reason"] == "Conflict"
    exact = {"uid": body["metadata"]["uid"], "resourceVersion": body["metadata"]["resourceVersion"]}
    assert (await served.ask("DELETE", f"{CONFIGMAPS}/x", {"preconditions": exact})).status == 200


async def test_a_collection_is_deleted_by_selector(served: Serving) -> None:
    for number in range(3):
        await create(served, CONFIGMAPS, configmap(f"c{number}", labels={"n": str(number)}))
    answer = await served.ask("DELETE", f"{CONFIGMAPS}?labelSelector=n!=1")
    assert [item["metadata"]["name"] for item in answer.json["items"]] == ["c0", "c2"]
    left = (await served.ask("GET", CONFIGMAPS)).json["items"]
    assert [item["metadata"]["name"] for item in left] == ["c1"]


async def test_a_namespace_terminates_and_goes_with_its_last_finalizer(served: Serving) -> None:
    namespaces = "/api/v1/namespaces"
    await create(served, namespaces, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
    body = (await served.ask("DELETE", f"{namespaces}/n")).json
    assert (body["status"]["phase"], body["spec"]["finalizers"]) == ("Terminating", ["kubernetes"])
    late = await served.ask("POST", f"{namespaces}/n/configmaps", configmap("late"))
    assert late.json["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    body["spec"] = {"finalizers": []}
    assert (await served.ask("PUT", f"{namespaces}/n/finalize", body)).status == 200
    assert (await served.ask("GET", f"{namespaces}/n")).status == 404


# Groups


async def test_a_batch_is_one_group_and_each_operation_stands_for_itself(served: Serving) -> None:
    commits: list[int] = []
    store = served.api.store

    class Counting:
        async def commit(self, writes: Sequence[Write]) -> list[Object | Conflict]:
            commits.append(len(writes))
            return await store.commit(writes)

    served.api._pipeline._store = Counting()
    operations = [
        Operation("create", CONFIGMAP_RESOURCE, "default", body=configmap("a", {"k": "1"})),
        Operation("create", CONFIGMAP_RESOURCE, "default", body=configmap("Bad Name")),
        Operation("create", CONFIGMAP_RESOURCE, "nowhere", body=configmap("b")),
        Operation("create", POD_RESOURCE, "default", body=pod("p")),
        Operation("delete", POD_RESOURCE, "default", "none"),
    ]
    answers = await served.api.batch(operations, user=ADMIN)
    codes = [answer.code if isinstance(answer, StatusError) else answer.name for answer in answers]
    assert (codes, commits) == (["a", 422, 404, "p", 404], [2])


async def test_operations_on_one_object_follow_each_other(served: Serving) -> None:
    await create(served, CONFIGMAPS, configmap("x", {"a": "1"}))
    patches = [{"data": {"b": "2"}}, {"data": {"c": "3"}}, {"data": {"a": None}}]
    operations = [Operation("patch", CONFIGMAP_RESOURCE, "default", "x", patch) for patch in patches]
    for answer in await served.api.batch(operations, user=ADMIN):
        assert isinstance(answer, Object)
    assert (await served.ask("GET", f"{CONFIGMAPS}/x")).json["data"] == {"b": "2", "c": "3"}


async def test_one_of_two_creates_of_one_name_wins(served: Serving) -> None:
    operations = [Operation("create", CONFIGMAP_RESOURCE, "default", body=configmap("x")) for _ in range(2)]
    first, second = await served.api.batch(operations, user=ADMIN)
    assert isinstance(first, Object)
    assert isinstance(second, StatusError)
    assert second.reason == "AlreadyExists"


async def test_bodies_of_callers_in_this_process_are_only_read(served: Serving) -> None:
    body = pod("x")
    before = repr(body)
    made = await served.api.create(POD_RESOURCE, "default", body, user=ADMIN)
    patch = [{"op": "add", "path": "/metadata/labels/n", "value": "1"}]
    stored = made.raw
    await served.api.patch(POD_RESOURCE, "default", "x", patch, user=ADMIN, patch_type="json")
    await served.api.update(POD_RESOURCE, "default", "x", Object({**body, "metadata": {"name": "x"}}), user=ADMIN)
    assert (repr(body), made.raw, made.to_dict()) == (before, stored, Object(stored).to_dict())


async def test_a_write_never_changes_what_readers_hold(served: Serving) -> None:
    made = await served.api.create(POD_RESOURCE, "default", pod("x"), user=ADMIN)
    held = made.to_dict()
    binding = {"metadata": {"name": "x"}, "target": {"kind": "Node", "name": "n"}}
    await served.api.create(POD_RESOURCE, "default", binding, name="x", subresource="binding", user=ADMIN)
    running = {"status": {"phase": "Running"}, "metadata": {"labels": {"new": "y"}}}
    await served.api.patch(POD_RESOURCE, "default", "x", running, subresource="status", user=ADMIN)
    await served.api.patch(POD_RESOURCE, "default", "x", {"metadata": {"annotations": {"a": "b"}}}, user=ADMIN)
    await served.api.delete(POD_RESOURCE, "default", "x", user=ADMIN)
    assert made.to_dict() == held == dict(made.peek())


async def test_json_patches_may_come_over_the_wire(served: Serving) -> None:
    await create(served, CONFIGMAPS, configmap("x", {"a": "1"}))
    patch = [{"op": "test", "path": "/data/a", "value": "1"}, {"op": "move", "from": "/data/a", "path": "/data/b"}]
    answer = await served.ask("PATCH", f"{CONFIGMAPS}/x", patch, content_type=JSON_PATCH)
    assert answer.json["data"] == {"b": "1"}
