"""The control plane on a real etcd: kubectl's story, kills of either side, and several API servers on one etcd."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.api import Api
from tests.e2e.conftest import BIN, Cluster, until
from tests.storage.servers import Etcd, free_port

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"

pytestmark = pytest.mark.skipif(
    shutil.which("etcd") is None,
    reason="no `etcd` on PATH: this needs the real server (Debian: etcd-server)",
)


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    server = Etcd(tmp_path / "etcd")
    server.start()
    yield server
    server.kill()


class APIServer(Cluster):
    """`engine apiserver` alone."""

    command = "apiserver"


Start = Callable[..., Cluster]


def on(etcd: Etcd) -> tuple[str, ...]:
    return ("--storage", "etcd", "--etcd-endpoints", etcd.endpoint)


def deployment(name: str, replicas: int) -> str:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})


def configmap(name: str, text: str = "") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"text": text}}


class Watcher:
    """`kubectl get … --watch` and the lines it has printed so far."""

    def __init__(self, cluster: Cluster, *words: str) -> None:
        command = [str(BIN / "kubectl"), "--kubeconfig", str(cluster.kubeconfig), "get", *words, "--watch"]
        environment = {**os.environ, "HOME": str(cluster.folder)}
        self.lines: list[str] = []
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.lines.append(line.strip())

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


class Writer(threading.Thread):
    """Creates ConfigMaps one after the other and keeps the versions that were acknowledged."""

    def __init__(self, kubeconfig: Path) -> None:
        super().__init__(daemon=True)
        self._kubeconfig = kubeconfig
        self.acknowledged: dict[str, int] = {}
        self.stopping = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.stopping.is_set():
            try:
                api = Api(self._kubeconfig)
                while not self.stopping.is_set():
                    number += 1
                    status, made = api.send("POST", CONFIGMAPS, configmap(f"w-{number}"))
                    if status == 201:
                        self.acknowledged[made["metadata"]["name"]] = int(made["metadata"]["resourceVersion"])
            except (OSError, ValueError):
                time.sleep(0.05)  # the server is away, or its kubeconfig is being written


def test_a_deployment_from_creation_to_deletion(etcd: Etcd, cluster: Start) -> None:
    plane = cluster("--nodes", "10", "--runtime", "simulated", *on(etcd))
    with Watcher(plane, "deployments", "-o", "jsonpath={.metadata.name}:{.status.availableReplicas}{'\\n'}") as seen:
        plane.kubectl("create", "-f", "-", stdin=deployment("web", 20))
        plane.kubectl("wait", "deployment/web", "--for=condition=Available", "--timeout=30s")
        plane.kubectl("rollout", "status", "deployment/web", "--timeout=30s")
        until(lambda: "web:20" in seen.lines, "the watch to tell of 20 available replicas")
        plane.kubectl("scale", "deployment/web", "--replicas=5")
        until(lambda: len(plane.pods("app=web")) == 5, "five pods")
        until(lambda: seen.lines[-1:] == ["web:5"], "the watch to tell of 5 available replicas")
    stored = json.loads(etcd.get("/registry/deployments.apps/default/web"))
    assert stored["spec"]["replicas"] == 5
    plane.kubectl("delete", "deployment", "web", "--timeout=30s")
    until(lambda: not plane.pods("app=web") and not plane.json("get", "rs")["items"], "everything of it to go")


def test_a_killed_control_plane_finds_everything_again(etcd: Etcd, cluster: Start) -> None:
    plane = cluster("--nodes", "3", "--runtime", "simulated", *on(etcd))
    plane.kubectl("create", "-f", "-", stdin=deployment("web", 6))
    plane.kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    writer = Writer(plane.kubeconfig)
    writer.start()
    until(lambda: len(writer.acknowledged) > 50, "some writes")
    before = {pod["metadata"]["uid"] for pod in plane.pods("app=web")}
    plane.kill()
    plane.start()
    enough = len(writer.acknowledged) + 20
    until(lambda: len(writer.acknowledged) > enough, "writes to go on")
    writer.stopping.set()
    writer.join(30)
    assert_kept(plane, writer)
    plane.kubectl("scale", "deployment/web", "--replicas=8")
    plane.kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    assert before < {pod["metadata"]["uid"] for pod in plane.pods("app=web")}


def test_an_etcd_that_is_killed_under_load_loses_nothing_acknowledged(etcd: Etcd, cluster: Start) -> None:
    plane = cluster("--nodes", "3", "--runtime", "simulated", *on(etcd))
    plane.kubectl("create", "-f", "-", stdin=deployment("web", 3))
    writer = Writer(plane.kubeconfig)
    writer.start()
    with Watcher(plane, "configmaps", "-o", "name") as seen:
        for _ in range(2):
            enough = len(writer.acknowledged) + 50
            until(lambda: len(writer.acknowledged) > enough, "some writes")  # noqa: B023
            etcd.kill()
            time.sleep(0.5)  # away for a while, with writes that wait
            etcd.start()
        enough = len(writer.acknowledged) + 50
        until(lambda: len(writer.acknowledged) > enough, "writes after the last restart")
        writer.stopping.set()
        writer.join(30)
        names = {f"configmap/{name}" for name in writer.acknowledged}
        until(lambda: names <= set(seen.lines), "the watch to have told of every acknowledged write")
    assert len(seen.lines) == len(set(seen.lines)), "each once"
    assert_kept(plane, writer)
    plane.kubectl("scale", "deployment/web", "--replicas=6")
    plane.kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    assert plane.kubectl("get", "nodes").stdout.count(" Ready") == 3
    assert "Traceback" not in plane.log.read_text()


def assert_kept(plane: Cluster, writer: Writer) -> None:
    kept = {
        item["metadata"]["name"]: int(item["metadata"]["resourceVersion"])
        for item in plane.json("get", "configmaps")["items"]
    }
    lost = {name for name, version in writer.acknowledged.items() if kept.get(name) != version}
    assert not lost, f"{len(lost)} of {len(writer.acknowledged)} acknowledged writes are gone or changed"
    print(f"{len(writer.acknowledged)} acknowledged writes, all there")


@pytest.fixture
def pair(etcd: Etcd, tmp_path: Path) -> Iterator[tuple[Cluster, Cluster]]:
    """Two API servers on one etcd."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    servers = [APIServer(folder, *on(etcd)).start() for folder in folders]
    yield servers[0], servers[1]
    for server in servers:
        assert server.stop() == 0


def test_two_api_servers_show_the_same(pair: tuple[Cluster, Cluster]) -> None:
    one, two = pair
    with Watcher(two, "configmaps", "-o", "jsonpath={.metadata.name}={.data.text}{'\\n'}") as seen:
        one.kubectl("create", "-f", "-", stdin=json.dumps(configmap("shared", "a")))
        until(lambda: "shared=a" in seen.lines, "the other server's watch to tell of it")
        one.kubectl("patch", "configmap", "shared", "-p", '{"data":{"text":"b"}}')
        until(lambda: "shared=b" in seen.lines, "… and of its change")
    here, there = Api(one.kubeconfig), Api(two.kubeconfig)
    _, made = here.send("GET", f"{CONFIGMAPS}/shared")
    assert there.send("GET", f"{CONFIGMAPS}/shared") == (200, made)
    # A version that one server answered can be asked of the other, at once.
    for number in range(20):
        _, written = here.send("PUT", f"{CONFIGMAPS}/shared", {**made, "data": {"text": str(number)}})
        version = written["metadata"]["resourceVersion"]
        _, listed = there.send("GET", f"{CONFIGMAPS}?resourceVersion={version}&resourceVersionMatch=NotOlderThan")
        assert [item["data"]["text"] for item in listed["items"]] == [str(number)]
        assert int(listed["metadata"]["resourceVersion"]) >= int(version)
        made = written


def test_two_api_servers_refuse_conflicting_updates(pair: tuple[Cluster, Cluster]) -> None:
    apis = [Api(server.kubeconfig) for server in pair]
    _, made = apis[0].send("POST", CONFIGMAPS, configmap("fought", "0"))
    for round in range(20):
        codes: list[int] = []
        bodies: list[Any] = []
        start = threading.Barrier(2)

        def update(api: Api, text: str, made: Any = made) -> None:
            start.wait()  # noqa: B023
            code, body = api.send("PUT", f"{CONFIGMAPS}/fought", {**made, "data": {"text": text}})
            codes.append(code)  # noqa: B023
            bodies.append(body)  # noqa: B023

        threads = [threading.Thread(target=update, args=(api, f"{round}-{n}")) for n, api in enumerate(apis)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(codes) == [200, 409], bodies
        made = bodies[codes.index(200)]
        assert bodies[codes.index(409)]["reason"] == "Conflict"
    status, body = apis[1].send("POST", CONFIGMAPS, configmap("fought"))
    assert (status, body["reason"]) == (409, "AlreadyExists")


def test_two_api_servers_on_one_data_directory_know_the_same_users(etcd: Etcd, tmp_path: Path) -> None:
    one = APIServer(tmp_path, *on(etcd)).start()
    second = tmp_path / "second"
    second.mkdir()
    (second / "data").symlink_to(tmp_path / "data")
    two = APIServer(second, *on(etcd)).start()
    known, there = Api(one.kubeconfig), Api(two.kubeconfig)
    known.connection = http.client.HTTPSConnection(there.host, there.port, context=known.context, timeout=20)
    assert known.send("GET", CONFIGMAPS)[0] == 200
    assert [server.stop() for server in (one, two)] == [0, 0]


def test_no_etcd_at_the_start_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    """All of them at once: each waits for its etcd for 10 s."""
    began = time.monotonic()
    started = []
    for command in ("up", "apiserver"):
        for endpoint in (f"http://127.0.0.1:{free_port()}", "http://nowhere.invalid:2379"):
            words = [str(BIN / "engine"), command, "--data-dir", f"{len(started)}", "--listen", "127.0.0.1:0"]
            words += ["--storage", "etcd", "--etcd-endpoints", endpoint]
            process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
            started.append((process, endpoint))
    for process, endpoint in started:
        _, told = process.communicate(timeout=30)
        (line,) = told.splitlines()
        assert line.startswith("engine: ")
        assert endpoint in line
        assert process.returncode == 1
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("endpoint", ["https://127.0.0.1:2379", "ftp://x", "http://", "127.0.0.1:99999", "http://a:b"])
def test_an_endpoint_that_is_none_is_wrong_usage(endpoint: str, tmp_path: Path) -> None:
    words = [str(BIN / "engine"), "up", "--storage", "etcd", "--etcd-endpoints", endpoint]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=30, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert endpoint in done.stderr
    assert not list(tmp_path.iterdir())
