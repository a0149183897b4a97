"""The seed document's story with the real kubectl, and the commands people use every day."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import BIN, Cluster, until

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "deployment.yml"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes with real processes, and the example's Deployment rolled out."""
    made = Cluster(tmp_path_factory.mktemp("kubectl"), "--nodes", "3").start()
    made.kubectl("create", "-f", str(EXAMPLE))
    made.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    yield made
    made.stop()


def test_create_ends_in_running_containers(plane: Cluster) -> None:
    pods = until(lambda: [p for p in plane.pods("app=web") if p["status"]["phase"] == "Running"], "running pods")
    assert len(pods) == 3
    assert {pod["spec"]["nodeName"] for pod in pods} == {"node-1", "node-2", "node-3"}
    for pod in pods:
        assert pod["status"]["podIP"].startswith("127.")
        assert pod["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet"


def test_replicas_bind_the_same_port_on_their_own_addresses(plane: Cluster) -> None:
    pods = plane.pods("app=web")
    port = pods[0]["spec"]["containers"][0]["ports"][0]["containerPort"]
    # A container runs before its server listens.
    until(lambda: plane.kubectl("logs", "--selector=app=web").stdout.count("listening") == 3, "the servers to listen")
    for pod in pods:
        with urllib.request.urlopen(f"http://{pod['status']['podIP']}:{port}/", timeout=5) as answer:
            assert answer.status == 200


def test_get_in_every_form(plane: Cluster) -> None:
    wide = plane.kubectl("get", "deploy,rs,pods", "-o", "wide").stdout
    assert "READY" in wide
    assert "NODE" in wide
    assert wide.count("Running") == 3
    assert plane.kubectl("get", "deploy", "-o", "name").stdout.split() == ["deployment.apps/web"]
    assert yaml.safe_load(plane.kubectl("get", "deploy", "web", "-o", "yaml").stdout)["spec"]["replicas"] == 3
    assert plane.json("get", "nodes")["items"][0]["status"]["conditions"]
    assert "No resources found" in plane.kubectl("get", "jobs").stderr
    assert "kube-system" in plane.kubectl("get", "ns").stdout


def test_describe(plane: Cluster) -> None:
    told = plane.kubectl("describe", "deployment", "web").stdout
    assert "NewReplicaSetAvailable" in told
    assert "ScalingReplicaSet" in told
    pod = plane.pods("app=web")[0]["metadata"]["name"]
    assert "Successfully assigned" in plane.kubectl("describe", "pod", pod).stdout
    node = plane.kubectl("describe", "node", "node-1").stdout
    assert "Allocated resources" in node
    assert "KubeletReady" in node


def test_logs_and_following_them(plane: Cluster) -> None:
    pod = plane.pods("app=web")[0]["metadata"]["name"]
    until(lambda: "listening" in plane.kubectl("logs", pod).stdout, "the container's output")
    command = [
        str(BIN / "kubectl"),
        "--kubeconfig",
        str(plane.kubeconfig),
        "logs",
        "-f",
        "--tail=1",
        "--timestamps",
        pod,
    ]
    environment = {**os.environ, "HOME": str(plane.folder)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as follower:
        assert follower.stdout
        assert follower.stdout.readline().startswith("20")
        address = plane.json("get", "pod", pod)["status"]["podIP"]
        port = plane.json("get", "pod", pod)["spec"]["containers"][0]["ports"][0]["containerPort"]
        urllib.request.urlopen(f"http://{address}:{port}/followed", timeout=5).close()
        assert any("followed" in line for line in iter(follower.stdout.readline, ""))
        follower.kill()


def test_apply_twice_changes_nothing_the_second_time(plane: Cluster) -> None:
    manifest = json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1"}}
    )
    assert "created" in plane.kubectl("apply", "-f", "-", stdin=manifest).stdout
    before = plane.json("get", "cm", "settings")["metadata"]["resourceVersion"]
    assert "unchanged" in plane.kubectl("apply", "-f", "-", stdin=manifest).stdout
    assert plane.json("get", "cm", "settings")["metadata"]["resourceVersion"] == before
    assert "configured" in plane.kubectl("apply", "-f", "-", stdin=manifest.replace('"1"', '"2"')).stdout


def test_label_and_select(plane: Cluster) -> None:
    plane.kubectl("label", "node", "node-2", "disk=ssd", "--overwrite")
    assert plane.kubectl("get", "nodes", "-l", "disk in (ssd)", "-o", "name").stdout.split() == ["node/node-2"]
    plane.kubectl("label", "node", "node-2", "disk-")


def test_scale_up_and_down(plane: Cluster) -> None:
    plane.kubectl("scale", "deployment/web", "--replicas=5")
    plane.kubectl("wait", "deployment/web", "--for=jsonpath={.status.readyReplicas}=5", "--timeout=60s")
    plane.kubectl("scale", "deployment/web", "--replicas=3")
    until(lambda: len(plane.pods("app=web")) == 3, "three pods")


def test_set_image_rolls_out(plane: Cluster) -> None:
    before = {pod["metadata"]["uid"] for pod in plane.pods("app=web")}
    container = plane.json("get", "deploy", "web")["spec"]["template"]["spec"]["containers"][0]["name"]
    plane.kubectl("set", "image", "deployment/web", f"{container}=example/web:2")
    told = plane.kubectl("rollout", "status", "deployment/web", "--timeout=60s").stdout
    assert "successfully rolled out" in told
    after = until(lambda: pods if len(pods := plane.pods("app=web")) == 3 else None, "three new pods")
    assert not before & {pod["metadata"]["uid"] for pod in after}
    sets = plane.json("get", "rs")["items"]
    assert sorted(s["spec"]["replicas"] for s in sets) == [0, 3]


def test_get_watch_tells_changes(plane: Cluster) -> None:
    command = [str(BIN / "kubectl"), "--kubeconfig", str(plane.kubeconfig), "get", "cm", "-w", "-o", "name"]
    environment = {**os.environ, "HOME": str(plane.folder)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as watcher:
        assert watcher.stdout
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "watched"}}
        plane.kubectl("create", "-f", "-", stdin=json.dumps(manifest))
        assert any("configmap/watched" in line for line in iter(watcher.stdout.readline, ""))
        watcher.kill()


def test_version_api_resources_and_explain(plane: Cluster) -> None:
    assert "Server Version" in plane.kubectl("version").stdout
    resources = plane.kubectl("api-resources").stdout
    for name in ("deployments", "leases", "jobs", "serviceaccounts"):
        assert name in resources
    assert "replicas" in plane.kubectl("explain", "deployment.spec").stdout


def test_an_imperative_create_is_refused_with_the_way_out(plane: Cluster) -> None:
    done = plane.kubectl("create", "deployment", "x", "--image=i", check=False)
    assert done.returncode
    assert "create -f" in done.stderr


@pytest.mark.parametrize(
    ("manifest", "named"),
    [
        ("a: [", "yaml"),
        ('{"kind": "Gadget", "apiVersion": "v9", "metadata": {"name": "x"}}', "Gadget"),
        ('{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x"}, "dta": {}}', "dta"),
        ('{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x"}, "data": {"a": 1}}', "data"),
        ('{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "X_Y"}}', "metadata.name"),
        (
            '{"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "x"}, "spec": {"selector":'
            ' {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "c"}}, "spec": {"containers":'
            ' [{"name": "c", "image": "i"}]}}}}',
            "spec.template.metadata.labels",
        ),
    ],
)
def test_bad_manifests_name_what_is_wrong(plane: Cluster, manifest: str, named: str) -> None:
    done = plane.kubectl("create", "-f", "-", stdin=manifest, check=False)
    assert done.returncode == 1
    assert named in done.stderr


def test_delete_ends_the_containers(plane: Cluster) -> None:
    addresses = [pod["status"]["podIP"] for pod in plane.pods("app=web")]
    port = plane.pods("app=web")[0]["spec"]["containers"][0]["ports"][0]["containerPort"]
    plane.kubectl("delete", "deployment", "web", "--timeout=60s")
    until(lambda: not plane.pods("app=web"), "the pods to go")
    assert plane.json("get", "rs")["items"] == []
    for address in addresses:
        with pytest.raises(OSError):  # noqa: PT011 - refused or reset
            urllib.request.urlopen(f"http://{address}:{port}/", timeout=2)


def test_part_alone_over_https(tmp_path: Path, cluster: Callable[..., Cluster]) -> None:
    """The scheduler as a process of its own binds pods of its name against a server elsewhere."""
    made = cluster("--nodes", "1", "--runtime", "simulated")
    command = [str(BIN / "engine"), "scheduler", "--kubeconfig", str(made.kubeconfig)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as alone:
        assert alone.stdout
        assert alone.stdout.readline().startswith("ready")
        alone.terminate()
        assert alone.wait(15) == 0


def test_the_default_data_directory_is_relative_and_works(tmp_path: Path) -> None:
    """The README's first block: `engine up` in some directory, nothing said about where data go."""
    command = [str(BIN / "engine"), "up", "--nodes", "3", "--listen", "127.0.0.1:0"]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=tmp_path) as up,
    ):
        assert up.stdout
        ready = up.stdout.readline()
        assert ready.rstrip().endswith("kubeconfig=engine-data/kubeconfig"), ready
        for words in (["create", "-f", str(EXAMPLE)], ["rollout", "status", "deployment/web", "--timeout=60s"]):
            kubectl = [str(BIN / "kubectl"), "--kubeconfig", "engine-data/kubeconfig", *words]
            subprocess.run(kubectl, check=True, cwd=tmp_path, env={**os.environ, "HOME": str(tmp_path)}, timeout=90)
        up.terminate()
        assert up.wait(15) == 0
