"""SIGKILL at any moment: what was acknowledged stays, no pod runs twice, the Deployment converges."""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.e2e.api import Api
from tests.e2e.conftest import Cluster, until

KILLS = 20 if os.environ.get("ENGINE_FULL") else 6
MARK = "ENGINE_KILL_TEST"


def deployment(folder: Path, replicas: int) -> dict[str, object]:
    """Each container notes its start in a file, and then stays until it is told to go."""
    script = 'echo "$POD_UID" >> "$STARTS"; trap "exit 0" TERM; while :; do sleep 0.2; done'
    env = [
        {"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
        {"name": "STARTS", "value": str(folder / "starts")},
        {"name": MARK, "value": str(folder)},
    ]
    container = {"name": "c", "image": "local", "command": ["sh", "-c", script], "env": env}
    template = {
        "metadata": {"labels": {"app": "kill"}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 2},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "kill"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "kill"}, "spec": spec}


def living(folder: Path) -> Counter[str]:
    """How many live top processes each pod uid has: those whose environment carries the test's mark."""
    found: Counter[str] = Counter()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = dict(
                pair.split(b"=", 1) for pair in (entry / "environ").read_bytes().split(b"\0") if b"=" in pair
            )
            command = (entry / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if environment.get(MARK.encode()) == str(folder).encode() and command.startswith(b"sh\0-c\0"):
            found[environment[b"POD_UID"].decode()] += 1
    return found


class Writer(threading.Thread):
    """Creates ConfigMaps without pause and remembers which were acknowledged."""

    def __init__(self, kubeconfig: Path) -> None:
        super().__init__(daemon=True)
        self.kubeconfig = kubeconfig
        self.acknowledged: dict[str, int] = {}
        self.stopping = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.stopping.is_set():
            try:
                api = Api(self.kubeconfig)
                while not self.stopping.is_set():
                    number += 1
                    body = {
                        "apiVersion": "v1",
                        "kind": "ConfigMap",
                        "metadata": {"name": f"w{number}"},
                        "data": {"n": str(number)},
                    }
                    status, answer = api.send("POST", "/api/v1/namespaces/default/configmaps", body)
                    if status == 201:
                        self.acknowledged[f"w{number}"] = int(answer["metadata"]["resourceVersion"])
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.05)  # killed just now: the next try finds it, or the file being written


def test_kills_lose_nothing_and_run_nothing_twice(
    cluster: Callable[..., Cluster], tmp_path: Path, figure: Callable[[str], None]
) -> None:
    seed = int(os.environ.get("ENGINE_SEED", random.randrange(1 << 30)))
    print(f"ENGINE_SEED={seed}")
    chance = random.Random(seed)
    plane = cluster("--nodes", "2")
    plane.kubectl("create", "-f", "-", stdin=json.dumps(deployment(tmp_path, 4)))
    writer = Writer(plane.kubeconfig)
    writer.start()
    for _ in range(KILLS):
        replicas = chance.randint(2, 6)
        plane.kubectl("scale", "deployment/kill", f"--replicas={replicas}")
        time.sleep(chance.uniform(0.0, 1.5))
        plane.kill()
        assert all(count == 1 for count in living(tmp_path).values())
        plane.start()
    writer.stopping.set()
    writer.join(30)

    plane.kubectl("rollout", "status", "deployment/kill", "--timeout=60s")

    def settled() -> bool:
        pods = plane.pods("app=kill")
        running = {pod["metadata"]["uid"] for pod in pods if pod["status"].get("phase") == "Running"}
        return len(pods) == len(running) == replicas and set(living(tmp_path)) == running

    until(settled, f"{replicas} pods, each with its one process")
    assert all(count == 1 for count in living(tmp_path).values())
    restarts = {
        pod["metadata"]["uid"]: sum(status["restartCount"] for status in pod["status"]["containerStatuses"])
        for pod in plane.pods("app=kill")
    }
    starts = Counter(line.strip() for line in (tmp_path / "starts").read_text().splitlines())
    for uid, count in restarts.items():
        assert starts[uid] == count + 1, f"pod {uid} was started {starts[uid]} times with {count} restarts"

    kept = {
        item["metadata"]["name"]: int(item["metadata"]["resourceVersion"])
        for item in plane.json("get", "configmaps")["items"]
    }
    lost = {name for name, version in writer.acknowledged.items() if kept.get(name) != version}
    assert writer.acknowledged
    assert not lost, (
        f"{len(lost)} of {len(writer.acknowledged)} acknowledged writes are gone or changed: {sorted(lost)[:5]}"
    )
    written, started = len(writer.acknowledged), sum(starts.values())
    figure(f"{KILLS} SIGKILLs: {written} acknowledged writes, all there; {started} container starts, none twice")

    plane.kubectl("delete", "deployment/kill")
    until(lambda: not living(tmp_path), "no process left after the deletion")
