"""The parts alone: four processes that meet over HTTPS only, and the real kubectl."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import BIN, Cluster, until

STOP_SECONDS = 10


class Parts(Cluster):
    """API server, controllers, scheduler and one node, each its own process."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.kubeconfig = folder / "api" / "kubeconfig"
        self.running: dict[str, subprocess.Popen[str]] = {}
        self.log = folder / "apiserver.log"

    def start(self) -> Parts:
        self.run("apiserver", "--data-dir", str(self.folder / "api"), "--listen", "127.0.0.1:0")
        for name in ("controllers", "scheduler", "kubelet"):
            self.run(name)
        return self

    def run(self, name: str, *arguments: str) -> None:
        if not arguments:
            arguments = ("--kubeconfig", str(self.folder / "api" / f"{name}.kubeconfig"))
        if name == "kubelet":
            arguments += ("--data-dir", str(self.folder / "node"))
        with (self.folder / f"{name}.log").open("a") as log:
            command = [str(BIN / "engine"), name, *arguments]
            self.running[name] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        output = self.running[name].stdout
        assert output
        assert output.readline().startswith("ready"), self.told(name)

    def terminate(self, *names: str) -> dict[str, int]:
        """The exit codes of these parts, all told at once to stop; none takes longer than a part may."""
        begun = time.monotonic()
        for name in names:
            self.running[name].send_signal(signal.SIGTERM)
        codes = {name: self.running.pop(name).wait(STOP_SECONDS + 5) for name in names}
        assert time.monotonic() - begun < STOP_SECONDS
        return codes

    def told(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def create(self, kind: str, name: str, script: str, **spec: object) -> None:
        container = {"name": "main", "image": "none", "command": ["/bin/sh", "-c", script]}
        pod = {"terminationGracePeriodSeconds": 1, "containers": [container], **spec}
        body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": pod}
        if kind == "Deployment":
            template = {"metadata": {"labels": {"app": name}}, "spec": pod}
            body["apiVersion"] = "apps/v1"
            body["spec"] = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template}
        self.kubectl("create", "-f", "-", stdin=json.dumps(body))

    def follow(self, pod: str) -> subprocess.Popen[str]:
        command = [str(BIN / "kubectl"), "--kubeconfig", str(self.kubeconfig), "logs", "-f", pod]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "HOME": str(self.folder)}
        )


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    made = Parts(tmp_path_factory.mktemp("parts"))
    try:
        yield made.start()
    finally:
        for process in made.running.values():
            process.terminate()
        for process in made.running.values():
            process.wait(STOP_SECONDS + 5)


def sleepers(folder: Path) -> list[str]:
    """Processes of containers on this node, by their working directories."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if os.readlink(process / "cwd").startswith(str(folder / "node")):
                    found.append(process.name)
            except OSError:
                continue
    return found


def test_a_deployment_runs_on_a_node_elsewhere(parts: Parts) -> None:
    parts.create("Deployment", "web", "echo begun as $HOSTNAME; exec sleep 600")
    parts.kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    pods = parts.pods("app=web")
    assert [pod["status"]["phase"] for pod in pods] == ["Running"] * 2
    assert {pod["status"]["hostIP"] for pod in pods} == {"127.0.0.1"}


def test_the_node_says_where_its_kubelet_is(parts: Parts) -> None:
    status = parts.json("get", "node", "node-1")["status"]
    assert {"type": "InternalIP", "address": "127.0.0.1"} in status["addresses"]
    assert status["daemonEndpoints"]["kubeletEndpoint"]["Port"] > 0


def test_logs_come_from_the_node(parts: Parts) -> None:
    for pod in parts.pods("app=web"):
        name = pod["metadata"]["name"]
        assert parts.kubectl("logs", name).stdout == f"begun as {name}\n"
    assert parts.kubectl("logs", "deployment/web", "--tail=0").stdout == ""
    done = parts.kubectl("logs", name, "--previous", check=False)
    assert f'previous terminated container "main" in pod "{name}" not found' in done.stderr


def test_following_ends_with_the_container(parts: Parts) -> None:
    gate = parts.folder / "gate"
    parts.create("Pod", "job", f"echo 1; while ! test -e {gate}; do sleep 0.05; done; echo 2", restartPolicy="Never")
    until(lambda: parts.kubectl("logs", "job", check=False).stdout, "the first line")
    with parts.follow("job") as follower:
        assert follower.stdout
        assert follower.stdout.readline() == "1\n"
        gate.touch()
        assert follower.stdout.read() == "2\n"
        assert follower.wait(STOP_SECONDS) == 0


def test_a_kubelet_that_is_gone_is_an_error_that_names_it(parts: Parts) -> None:
    """SIGTERM ends the containers and the streams of their logs, with all that was written."""
    name = parts.pods("app=web")[0]["metadata"]["name"]
    with parts.follow(name) as follower:
        assert follower.stdout
        assert follower.stdout.readline() == f"begun as {name}\n"
        assert parts.terminate("kubelet") == {"kubelet": 0}
        assert follower.wait(STOP_SECONDS) == 0
    assert sleepers(parts.folder) == []
    done = parts.kubectl("logs", name, check=False)
    assert done.returncode == 1
    assert f"/containerLogs/default/{name}/main" in done.stderr
    assert "connection refused" in done.stderr


def test_pods_start_again_with_the_kubelet_and_their_last_logs_are_kept(parts: Parts) -> None:
    name = parts.pods("app=web")[0]["metadata"]["name"]
    parts.run("kubelet")
    until(lambda: parts.kubectl("logs", name, "--previous", check=False).stdout, "the container before")
    parts.kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    until(lambda: parts.kubectl("logs", name, check=False).stdout == f"begun as {name}\n", "the new container's log")


def test_a_kubelet_that_cannot_listen_is_one_line(parts: Parts) -> None:
    taken = parts.json("get", "node", "node-1")["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    for address, code, named in ((f"127.0.0.1:{taken}", 1, "in use"), ("0.0.0.0:0", 2, "--listen 0.0.0.0")):
        command = [str(BIN / "engine"), "kubelet", "--kubeconfig", str(parts.kubeconfig), "--listen", address]
        command += ["--node-name", "other", "--data-dir", str(parts.folder / "other")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, len(done.stderr.splitlines())) == (code, 1), done.stderr
        assert named in done.stderr


def test_a_deleted_deployment_leaves_nothing(parts: Parts) -> None:
    parts.kubectl("delete", "deployment/web", "pod/job", "--timeout=30s")
    until(lambda: not parts.pods(), "the pods to go")
    until(lambda: not sleepers(parts.folder), "the containers to end")


def test_every_part_leaves_on_sigterm_and_complained_of_nothing(parts: Parts) -> None:
    parts.create("Pod", "last", "exec sleep 600")
    until(lambda: sleepers(parts.folder), "a container")
    names = ("apiserver", "controllers", "scheduler", "kubelet")
    assert parts.terminate(*names) == dict.fromkeys(names, 0)
    assert sleepers(parts.folder) == []
    for name in names:
        for complaint in ("Traceback", "Unclosed", "never awaited", " E "):
            assert complaint not in parts.told(name), parts.told(name)
