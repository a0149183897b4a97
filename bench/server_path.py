"""What the API server's path costs in CPU time, without sockets and without a disk: pods created, changed, read.

python bench/server_path.py [--pods 3000]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from typing import Any

from engine.api.kinds import KindTable
from engine.api.resource import PODS
from engine.client.transport import Operation
from engine.server.apiserver import APIServer
from engine.server.request import ADMIN, Request, User
from engine.storage import open_store

BATCH = 100
CONTROLLER = User("system:kube-controller-manager")


def pod(name: str) -> dict[str, Any]:
    """A pod as the ReplicaSet controller makes it."""
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d9c", "uid": "0f1e2d3c", "controller": True}
    container = {
        "name": "c",
        "image": "nginx:1.27",
        "ports": [{"containerPort": 80}],
        "env": [{"name": "A", "value": "b"}],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
    }
    metadata = {"name": name, "labels": {"app": "web", "pod-template-hash": "5d9c"}, "ownerReferences": [owner]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


async def measure(count: int) -> None:
    kinds = KindTable.builtin()
    store = open_store("memory", {kind.resource: kind.indexes for kind in kinds})
    await store.start()
    api = APIServer(store, kinds)
    await api.start()
    options = {"fieldManager": "replicaset-controller"}

    async def clocked(what: str, times: int, work: Any) -> None:
        gc.collect()
        began = time.process_time()
        for index in range(times):
            await work(index)
        each = BATCH if "each" in what else 1
        print(f"{what:44} {(time.process_time() - began) / times / each * 1e6:8.1f} us")

    async def create(index: int) -> None:
        await api.create(PODS, "default", pod(f"a-{index}"), user=CONTROLLER, options=options)

    await clocked("create, one at a time", count, create)
    batches = count // BATCH

    async def create_batch(index: int) -> None:
        made = [Operation("create", PODS, "default", body=pod(f"b-{index}-{n}"), options=options) for n in range(BATCH)]
        await api.batch(made, user=CONTROLLER)

    await clocked(f"create, {BATCH} at a time, each", batches, create_batch)

    async def bind_batch(index: int) -> None:
        target = {"target": {"kind": "Node", "name": f"node-{index}"}}
        names = [f"b-{index}-{n}" for n in range(BATCH)]
        await api.batch([Operation("create", PODS, "default", n, target, "binding") for n in names], user=CONTROLLER)

    await clocked(f"bind, {BATCH} at a time, each", batches, bind_batch)
    running = {
        "status": {
            "phase": "Running",
            "podIP": "127.0.0.2",
            "podIPs": [{"ip": "127.0.0.2"}],
            "conditions": [{"type": kind, "status": "True"} for kind in ("Initialized", "Ready", "ContainersReady")],
            "containerStatuses": [
                {"name": "c", "image": "nginx:1.27", "imageID": "", "ready": True, "restartCount": 0, "started": True}
            ],
        }
    }

    async def status_batch(index: int) -> None:
        names = [f"b-{index}-{n}" for n in range(BATCH)]
        await api.batch(
            [Operation("patch", PODS, "default", n, running, "status", "strategic") for n in names], user=CONTROLLER
        )

    await clocked(f"patch the status, {BATCH} at a time, each", batches, status_batch)

    async def get(index: int) -> None:
        await api.handle(Request("GET", f"/api/v1/namespaces/default/pods/a-{index % 100}", user=ADMIN))

    await clocked("GET through handle", count, get)
    full = Request("GET", "/api/v1/namespaces/default/pods", user=ADMIN)

    async def list_all(index: int) -> None:
        await api.handle(full)

    await clocked(f"LIST of {2 * count} through handle", 20, list_all)

    async def delete(index: int) -> None:
        await api.delete(PODS, "default", f"a-{index}", user=CONTROLLER)

    await clocked("delete, one at a time", count, delete)
    await store.close()


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pods", type=int, default=3000, help="how many to create in each way (default 3000)")
    await measure(arguments.parse_args().pods)


if __name__ == "__main__":
    asyncio.run(main())
