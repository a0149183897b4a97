"""The official Python client, which checks every answer against its models: what Kubernetes' other clients see too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, config, watch

from tests.e2e.conftest import Cluster, until

NODES = 3


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Simulated nodes and a rolled-out Deployment, so that there is something of most kinds."""
    made = Cluster(tmp_path_factory.mktemp("client"), "--nodes", str(NODES), "--runtime", "simulated").start()
    try:
        made.kubectl("create", "-f", "-", stdin=json.dumps(deployment("web", 2)))
        made.kubectl("rollout", "status", "deployment/web", "--timeout=30s")
        yield made
    finally:
        assert made.stop() == 0


@pytest.fixture(scope="module")
def api(plane: Cluster) -> Iterator[client.ApiClient]:
    with config.new_client_from_config(str(plane.kubeconfig)) as made:
        yield made


@pytest.fixture(scope="module")
def core(api: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(api)


@pytest.fixture(scope="module")
def apps(api: client.ApiClient) -> client.AppsV1Api:
    return client.AppsV1Api(api)


def deployment(name: str, replicas: int) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def configmap(name: str, **data: str) -> client.V1ConfigMap:
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name), data=data)


def pod(name: str) -> client.V1Pod:
    spec = client.V1PodSpec(containers=[client.V1Container(name="c", image="i")])
    return client.V1Pod(metadata=client.V1ObjectMeta(name=name), spec=spec)


def test_version_and_groups(api: client.ApiClient) -> None:
    assert client.VersionApi(api).get_code().major == "1"
    groups = {group.name for group in client.ApisApi(api).get_api_versions().groups}
    assert {"apps", "batch", "coordination.k8s.io"} <= groups
    assert "v1" in client.CoreApi(api).get_api_versions().versions
    names = {resource.name for resource in client.CoreV1Api(api).get_api_resources().resources}
    assert {"pods", "pods/log", "nodes", "events"} <= names


def test_lists_of_every_kind_decode(api: client.ApiClient, core: client.CoreV1Api, apps: client.AppsV1Api) -> None:
    batch, coordination = client.BatchV1Api(api), client.CoordinationV1Api(api)
    until(lambda: core.list_event_for_all_namespaces().items, "events")
    lists = [
        core.list_namespace(),
        core.list_node(),
        core.list_pod_for_all_namespaces(),
        core.list_config_map_for_all_namespaces(),
        core.list_secret_for_all_namespaces(),
        core.list_service_for_all_namespaces(),
        core.list_service_account_for_all_namespaces(),
        core.list_event_for_all_namespaces(),
        apps.list_deployment_for_all_namespaces(),
        apps.list_replica_set_for_all_namespaces(),
        batch.list_job_for_all_namespaces(),
        coordination.list_lease_for_all_namespaces(),
    ]
    counts = {found.kind: len(found.items) for found in lists}
    assert counts["NodeList"] == NODES
    assert counts["PodList"] == 2
    assert counts["LeaseList"] >= NODES
    assert counts["EventList"] > 0
    for found in lists:
        assert found.metadata.resource_version
        for item in found.items:
            assert item.metadata.uid
            assert item.metadata.creation_timestamp.tzinfo


def test_what_the_parts_write_is_typed(core: client.CoreV1Api, apps: client.AppsV1Api, api: client.ApiClient) -> None:
    node = core.list_node().items[0]
    assert {condition.type: condition.status for condition in node.status.conditions}["Ready"] == "True"
    assert node.status.node_info.kubelet_version
    assert node.status.allocatable["cpu"]
    assert node.status.addresses
    lease = client.CoordinationV1Api(api).read_namespaced_lease(node.metadata.name, "kube-node-lease")
    assert lease.spec.holder_identity == node.metadata.name
    assert lease.spec.renew_time.microsecond is not None
    web = apps.read_namespaced_deployment("web", "default")
    assert web.status.available_replicas == 2
    assert {condition.type for condition in web.status.conditions} == {"Available", "Progressing"}
    (rs,) = apps.list_namespaced_replica_set("default", label_selector="app=web").items
    assert rs.metadata.owner_references[0].uid == web.metadata.uid
    for found in core.list_namespaced_pod("default", label_selector="app=web").items:
        assert found.status.phase == "Running"
        assert found.status.container_statuses[0].state.running.started_at
        assert found.status.start_time
        assert found.spec.node_name
        assert found.status.pod_ip


def test_config_maps_from_creation_to_deletion(core: client.CoreV1Api) -> None:
    made = core.create_namespaced_config_map("default", configmap("typed", a="1"))
    assert (made.data, made.metadata.namespace) == ({"a": "1"}, "default")
    made.data["a"] = "2"
    replaced = core.replace_namespaced_config_map("typed", "default", made)
    assert int(replaced.metadata.resource_version) > int(made.metadata.resource_version)
    patched = core.patch_namespaced_config_map("typed", "default", {"data": {"b": "3", "a": None}})
    assert patched.data == {"b": "3"}
    operations = [{"op": "add", "path": "/data/c", "value": "4"}]
    assert core.patch_namespaced_config_map("typed", "default", operations).data == {"b": "3", "c": "4"}
    assert core.read_namespaced_config_map("typed", "default").data == {"b": "3", "c": "4"}
    with pytest.raises(client.ApiException) as stale:
        core.replace_namespaced_config_map("typed", "default", made)
    assert (stale.value.status, json.loads(stale.value.body)["reason"]) == (409, "Conflict")
    assert core.delete_namespaced_config_map("typed", "default")["status"] == "Success"  # the client has no type for it
    with pytest.raises(client.ApiException) as gone:
        core.read_namespaced_config_map("typed", "default")
    assert gone.value.status == 404


def test_deployments_from_creation_to_deletion(apps: client.AppsV1Api, core: client.CoreV1Api) -> None:
    made = apps.create_namespaced_deployment("default", deployment("typed", 2))
    assert (made.spec.strategy.type, made.spec.revision_history_limit) == ("RollingUpdate", 10)
    until(lambda: apps.read_namespaced_deployment_status("typed", "default").status.available_replicas == 2, "2 pods")
    apps.patch_namespaced_deployment_scale("typed", "default", {"spec": {"replicas": 3}})
    assert apps.read_namespaced_deployment_scale("typed", "default").spec.replicas == 3
    until(lambda: apps.read_namespaced_deployment("typed", "default").status.available_replicas == 3, "3 pods")
    image = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "j"}]}}}}
    patched = apps.patch_namespaced_deployment("typed", "default", image)
    assert patched.metadata.generation > made.metadata.generation
    assert patched.spec.template.spec.containers[0].image == "j"
    until(lambda: apps.read_namespaced_deployment("typed", "default").status.updated_replicas == 3, "the roll-out")
    apps.delete_namespaced_deployment("typed", "default", propagation_policy="Foreground")
    until(lambda: not core.list_namespaced_pod("default", label_selector="app=typed").items, "its pods to go")
    until(lambda: not apps.list_namespaced_deployment("default", field_selector="metadata.name=typed").items, "it")


def test_pods_from_creation_to_deletion(core: client.CoreV1Api) -> None:
    made = core.create_namespaced_pod("default", pod("typed"))
    assert made.status.phase == "Pending"
    assert made.spec.restart_policy == "Always"
    until(lambda: core.read_namespaced_pod("typed", "default").status.phase == "Running", "it to run")
    assert core.read_namespaced_pod_log("typed", "default") == ""
    labelled = core.patch_namespaced_pod("typed", "default", {"metadata": {"labels": {"a": "b"}}})
    assert labelled.metadata.labels == {"a": "b"}
    found = core.list_namespaced_pod("default", field_selector="status.phase=Running", label_selector="a in (b)")
    assert [item.metadata.name for item in found.items] == ["typed"]
    core.delete_namespaced_pod("typed", "default", grace_period_seconds=0)
    until(lambda: not core.list_namespaced_pod("default", label_selector="a=b").items, "it to go")


def test_a_pod_that_somebody_binds(core: client.CoreV1Api) -> None:
    waiting = pod("bound")
    waiting.spec.scheduler_name = "somebody"
    core.create_namespaced_pod("default", waiting)
    target = client.V1ObjectReference(kind="Node", name="node-2")
    body = client.V1Binding(metadata=client.V1ObjectMeta(name="bound"), target=target)
    core.create_namespaced_pod_binding("bound", "default", body, _preload_content=False)
    assert core.read_namespaced_pod("bound", "default").spec.node_name == "node-2"
    core.delete_namespaced_pod("bound", "default", grace_period_seconds=0)


def test_status_is_patched_by_itself(core: client.CoreV1Api) -> None:
    node = core.create_node(client.V1Node(metadata=client.V1ObjectMeta(name="typed")))
    condition = {"type": "Ready", "status": "False", "reason": "Tested"}
    body = {"status": {"conditions": [condition], "capacity": {"cpu": "4"}}, "spec": {"unschedulable": True}}
    patched = core.patch_node_status("typed", body)
    assert (patched.status.conditions[0].reason, patched.status.capacity) == ("Tested", {"cpu": "4"})
    assert not patched.spec.unschedulable
    assert core.read_node_status("typed").metadata.uid == node.metadata.uid
    assert core.patch_node("typed", {"spec": {"unschedulable": True}}).spec.unschedulable
    core.delete_node("typed")


def test_leases_events_and_jobs(api: client.ApiClient, core: client.CoreV1Api) -> None:
    coordination, batch = client.CoordinationV1Api(api), client.BatchV1Api(api)
    spec = client.V1LeaseSpec(holder_identity="me", lease_duration_seconds=15)
    lease = coordination.create_namespaced_lease(
        "default", client.V1Lease(metadata=client.V1ObjectMeta(name="typed"), spec=spec)
    )
    lease.spec.holder_identity = "you"
    assert coordination.replace_namespaced_lease("typed", "default", lease).spec.holder_identity == "you"
    coordination.delete_namespaced_lease("typed", "default")

    about = client.V1ObjectReference(kind="Pod", name="x", namespace="default")
    event = client.CoreV1Event(
        metadata=client.V1ObjectMeta(name="typed"), involved_object=about, reason="Tested", message="m", type="Normal"
    )
    core.create_namespaced_event("default", event)
    (found,) = core.list_namespaced_event("default", field_selector="reason=Tested").items
    assert found.involved_object.name == "x"
    core.delete_namespaced_event("typed", "default")

    template = client.V1PodTemplateSpec(
        spec=client.V1PodSpec(restart_policy="Never", containers=[client.V1Container(name="c", image="i")])
    )
    job = client.V1Job(metadata=client.V1ObjectMeta(name="typed"), spec=client.V1JobSpec(template=template))
    made = batch.create_namespaced_job("default", job)
    assert made.spec.backoff_limit == 6
    assert made.spec.selector.match_labels
    assert batch.patch_namespaced_job("typed", "default", {"spec": {"suspend": True}}).spec.suspend
    batch.delete_namespaced_job("typed", "default", propagation_policy="Background")
    until(lambda: not batch.list_namespaced_job("default").items, "the job to go")


def test_namespaces_secrets_services_and_service_accounts(core: client.CoreV1Api) -> None:
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name="typed")))
    assert core.read_namespace("typed").status.phase == "Active"
    secret = client.V1Secret(metadata=client.V1ObjectMeta(name="s"), string_data={"a": "b"})
    assert core.create_namespaced_secret("typed", secret).data == {"a": "Yg=="}
    port = client.V1ServicePort(port=80, target_port="http")
    service = client.V1Service(
        metadata=client.V1ObjectMeta(name="s"), spec=client.V1ServiceSpec(ports=[port], selector={"a": "b"})
    )
    assert core.create_namespaced_service("typed", service).spec.type == "ClusterIP"
    account = client.V1ServiceAccount(metadata=client.V1ObjectMeta(name="s"))
    assert core.create_namespaced_service_account("typed", account).metadata.name == "s"
    core.delete_namespaced_secret("s", "typed")
    core.delete_namespaced_service("s", "typed")
    core.delete_namespaced_service_account("s", "typed")


def test_a_list_in_pages(core: client.CoreV1Api) -> None:
    for number in range(5):
        core.create_namespaced_config_map("default", configmap(f"page-{number}"))
    names: list[str] = []
    token = None
    while True:
        page = core.list_namespaced_config_map("default", limit=2, _continue=token)
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"page-{number}" for number in range(5)]
    core.delete_collection_namespaced_config_map("default")
    assert core.list_namespaced_config_map("default").items == []


def test_a_watch_from_a_version_tells_every_change_once(core: client.CoreV1Api) -> None:
    start = core.list_namespaced_config_map("default").metadata.resource_version
    core.create_namespaced_config_map("default", configmap("watched", a="1"))
    core.patch_namespaced_config_map("watched", "default", {"data": {"a": "2"}})
    core.delete_namespaced_config_map("watched", "default")
    told = [
        (event["type"], event["object"].data)
        for event in watch.Watch().stream(
            core.list_namespaced_config_map, "default", resource_version=start, timeout_seconds=1
        )
    ]
    assert told == [("ADDED", {"a": "1"}), ("MODIFIED", {"a": "2"}), ("DELETED", {"a": "2"})]


def test_a_watch_without_a_version_begins_with_what_is_there(core: client.CoreV1Api) -> None:
    watcher = watch.Watch()
    seen = set()
    for event in watcher.stream(core.list_node, timeout_seconds=10):
        assert event["type"] == "ADDED"
        seen.add(event["object"].metadata.name)
        if len(seen) == NODES:
            watcher.stop()
    assert seen == {f"node-{number}" for number in range(1, NODES + 1)}


def test_a_followed_log_ends(core: client.CoreV1Api) -> None:
    name = core.list_namespaced_pod("default", label_selector="app=web").items[0].metadata.name
    assert list(watch.Watch().stream(core.read_namespaced_pod_log, name=name, namespace="default")) == []


def test_a_refusal_has_its_status(core: client.CoreV1Api, apps: client.AppsV1Api) -> None:
    body = deployment("bad", 1)
    body["spec"]["selector"]["matchLabels"] = {"app": "other"}
    with pytest.raises(client.ApiException) as refused:
        apps.create_namespaced_deployment("default", body)
    status = json.loads(refused.value.body)
    assert refused.value.status == 422
    assert [cause["field"] for cause in status["details"]["causes"]] == ["spec.template.metadata.labels"]
    with pytest.raises(client.ApiException) as unknown:
        core.read_namespaced_pod("none", "default")
    assert json.loads(unknown.value.body)["message"] == 'pods "none" not found'
