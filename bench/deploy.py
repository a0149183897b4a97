"""One Deployment from `kubectl create` to all pods Running on simulated nodes, by phase.

    python bench/deploy.py [--replicas 5000] [--nodes 1000] [--mode one|parts] [--storage sqlite|memory] [--json FILE]

`one`: the whole control plane in one process, its programs on the local transport; kubectl comes over HTTPS.
`parts`: API server, controllers, scheduler and kubelet are processes of their own and speak HTTPS. In both, every write
takes the API's whole path and is fsynced before it is acknowledged (storage sqlite). Pods are counted by watching them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from engine import Object
from engine.api.resource import DEPLOYMENTS, NODES, PODS
from engine.client.client import Client
from engine.client.https import HTTPSTransport
from engine.client.kubeconfig import load
from engine.controlplane import ControlPlane, Settings, calm_collector
from engine.informers.informer import Informers, Subscription
from engine.server.request import ADMIN

BIN = Path(sys.executable).parent
PEER_PODS_PER_SECOND = 93  # etcd, kube-apiserver, kube-controller-manager and kube-scheduler 1.36 binding, 2 cores
SETTLE_SECONDS = 2.0  # between the last node that became ready and kubectl's start
PARTS = ("controllers", "scheduler", "kubelet")


@dataclass(slots=True)
class Phases:
    """Seconds since kubectl was started at which the first and the last pod had got so far."""

    replicas: int
    stored: float = 0.0  # the Deployment is in the store
    created: list[float] = field(default_factory=lambda: [0.0, 0.0])
    bound: list[float] = field(default_factory=lambda: [0.0, 0.0])
    running: list[float] = field(default_factory=lambda: [0.0, 0.0])
    available: float = 0.0  # the Deployment's status says so
    cpu_seconds: dict[str, float] = field(default_factory=dict)  # by process, from kubectl's start to available

    @property
    def pods_per_second(self) -> float:
        """From kubectl's start to the last pod Running."""
        return self.replicas / self.running[1]


def manifest(replicas: int) -> dict[str, Any]:
    container = {"name": "app", "image": "example/app:1", "ports": [{"containerPort": 8080}]}
    container["resources"] = {"requests": {"cpu": "100m", "memory": "128Mi"}}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


@dataclass(frozen=True, slots=True)
class Plane:
    """A control plane that runs: a client of it, its kubeconfig, and the processes it consists of."""

    client: Client
    kubeconfig: Path
    processes: dict[str, int]

    def cpu_seconds(self) -> dict[str, float]:
        return {name: _cpu_seconds(pid) for name, pid in self.processes.items()}


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def one_process(folder: Path, nodes: int, storage: Any) -> AsyncIterator[Plane]:
    settings = Settings(folder / "data", storage=storage, listen=("127.0.0.1", 0), nodes=nodes, runtime="simulated")
    plane = ControlPlane(settings)
    await plane.start()
    try:
        yield Plane(
            plane.server.client(ADMIN, "bench"), plane.kubeconfig, {"engine up, and this benchmark": os.getpid()}
        )
    finally:
        await plane.stop()


@asynccontextmanager
async def parts(folder: Path, nodes: int, storage: str) -> AsyncIterator[Plane]:
    data = folder / "data"
    async with AsyncExitStack() as stack:
        processes: dict[str, int] = {}
        more = ["--data-dir", str(data), "--storage", storage, "--listen", "127.0.0.1:0"]
        processes["apiserver"] = await stack.enter_async_context(_part("apiserver", *more))
        for name in PARTS:
            more = ["--nodes", str(nodes), "--runtime", "simulated"] if name == "kubelet" else []
            kubeconfig = str(data / f"{name}.kubeconfig")
            processes[name] = await stack.enter_async_context(_part(name, "--kubeconfig", kubeconfig, *more))
        client = Client(HTTPSTransport(load(data / "kubeconfig")), manager="bench")
        stack.push_async_callback(client.transport.close)
        yield Plane(client, data / "kubeconfig", {**processes, "this benchmark": os.getpid()})


@asynccontextmanager
async def _part(name: str, *arguments: str) -> AsyncIterator[int]:
    command = [str(BIN / "engine"), name, *arguments, "--log-level", "warning"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    line = await process.stdout.readline()
    if not line.startswith(b"ready"):
        raise SystemExit(f"engine {name} did not start")
    try:
        yield process.pid
    finally:
        process.terminate()
        await process.wait()


async def measure(plane: Plane, nodes: int, replicas: int) -> Phases:
    """Waits for the nodes, creates the Deployment with kubectl and follows its pods."""
    informers = Informers(plane.client)
    pods, deployments, fleet = (informers.get(resource) for resource in (PODS, DEPLOYMENTS, NODES))
    await informers.start()
    changes = fleet.subscribe()
    while sum(_is_ready(node) for node in fleet.cache.list()) < nodes:
        changes.next_batch()
        await changes.wait()
    await asyncio.sleep(SETTLE_SECONDS)
    phases = Phases(replicas)
    file = plane.kubeconfig.parent / "deployment.json"
    file.write_text(json.dumps(manifest(replicas)))
    before = plane.cpu_seconds()
    start = time.perf_counter()
    kubectl = await asyncio.create_subprocess_exec(
        str(BIN / "kubectl"), "--kubeconfig", str(plane.kubeconfig), "create", "-f", str(file),
        stdout=asyncio.subprocess.DEVNULL, env={**os.environ, "HOME": str(plane.kubeconfig.parent)},
    )  # fmt: skip
    await asyncio.gather(
        _follow_pods(pods.subscribe(), phases, start), _follow_deployment(deployments.subscribe(), phases, start)
    )
    phases.cpu_seconds = {name: seconds - before[name] for name, seconds in plane.cpu_seconds().items()}
    if await kubectl.wait():
        raise SystemExit("kubectl create failed")
    await informers.stop()
    return phases


def _is_ready(node: Object) -> bool:
    conditions = node.get_path("status.conditions", ())
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return ready and not node.get_path("spec.taints", ())


async def _follow_pods(pods: Subscription, phases: Phases, start: float) -> None:
    created: set[str] = set()
    bound: set[str] = set()
    running: set[str] = set()
    while len(running) < phases.replicas:
        batch = pods.next_batch()
        if not batch:
            await pods.wait()
            continue
        now = time.perf_counter() - start
        for change in batch:
            document = change.object.peek()
            _note(created, change.key, phases.created, now)
            if document["spec"].get("nodeName"):
                _note(bound, change.key, phases.bound, now)
            if document["status"].get("phase") == "Running":
                _note(running, change.key, phases.running, now)


def _note(seen: set[str], key: str, times: list[float], now: float) -> None:
    if key not in seen:
        if not seen:
            times[0] = now
        seen.add(key)
        times[1] = now


async def _follow_deployment(deployments: Subscription, phases: Phases, start: float) -> None:
    while not phases.available:
        batch = deployments.next_batch()
        if not batch:
            await deployments.wait()
            continue
        now = time.perf_counter() - start
        phases.stored = phases.stored or now
        if batch[-1].object.get_path("status.availableReplicas", 0) >= phases.replicas:
            phases.available = now


def show(phases: Phases, mode: str, storage: str, nodes: int) -> None:
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    print(f"{phases.replicas} replicas on {nodes} simulated nodes, {mode}, storage {storage}")
    print(f"  {'':22}{'first':>9}{'last':>9}   (s after kubectl's start)")
    print(f"  {'Deployment stored':22}{phases.stored:9.3f}")
    for name, times in (("pods created", phases.created), ("bound", phases.bound), ("Running", phases.running)):
        print(f"  {name:22}{times[0]:9.3f}{times[1]:9.3f}")
    print(f"  {'Deployment available':22}{'':9}{phases.available:9.3f}")
    print("  CPU: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in phases.cpu_seconds.items()))
    rate, peer = phases.pods_per_second, PEER_PODS_PER_SECOND
    print(f"  {rate:.0f} pods/s from kubectl create to Running: {rate / peer:.1f} x the {peer} pods/s at which")
    print("  etcd, kube-apiserver, kube-controller-manager and kube-scheduler 1.36 bind")
    print("  (measured once, apart, on 2 cores)")


async def run(arguments: argparse.Namespace) -> Phases:
    with tempfile.TemporaryDirectory(prefix="engine-deploy-") as folder:
        start = one_process if arguments.mode == "one" else parts
        async with start(Path(folder), arguments.nodes, arguments.storage) as plane:
            return await measure(plane, arguments.nodes, arguments.replicas)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--replicas", type=int, default=5000)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--mode", choices=["one", "parts"], default="one")
    parser.add_argument("--storage", choices=["sqlite", "memory"], default="sqlite")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    arguments = parser.parse_args()
    calm_collector()
    phases = uvloop.run(run(arguments))
    show(phases, arguments.mode, arguments.storage, arguments.nodes)
    if arguments.json:
        machine = {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
        figures = {**asdict(phases), "pods_per_second": phases.pods_per_second, "mode": arguments.mode, **machine}
        arguments.json.write_text(
            json.dumps({**figures, "nodes": arguments.nodes, "storage": arguments.storage}, indent=1)
        )


if __name__ == "__main__":
    main()
