"""Writes per second of each store: creates of pods of 1.5 KB by 1, 64 and 1,000 concurrent writers.

    python -m bench.storage [--seconds 2] [--stores memory,sqlite,etcd]

etcd is the real server, started here on free ports with its data beside sqlite's.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine._object import Object
from engine.api.resource import PODS
from engine.storage import open_store
from engine.storage.store import EMPTY, Store, Write

WRITERS = (1, 64, 1000)


def pod(name: str) -> dict[str, Any]:
    """About what a pod of a Deployment weighs after defaulting."""
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10, "timeoutSeconds": 1}
    container = {
        "name": "web",
        "image": "registry.example/shop/web:1.2.3",
        "env": [{"name": f"VARIABLE_{i}", "value": "v" * 30} for i in range(8)],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
        "livenessProbe": probe,
        "readinessProbe": probe,
    }
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": "web-5d4f8c7b9",
        "uid": "0" * 36,
        "controller": True,
    }
    metadata = {
        "name": name,
        "namespace": "shop",
        "uid": "1" * 36,
        "labels": {"app": "web"},
        "ownerReferences": [owner],
    }
    spec = {"containers": [container], "restartPolicy": "Always", "nodeName": "", "priority": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}


async def measure(store: Store, writers: int, seconds: float) -> tuple[int, float, float]:
    """Writes done, seconds taken, and the median latency in milliseconds."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def writer(number: int) -> None:
        round = 0
        while (start := time.perf_counter()) < end:
            name = f"w{writers}-{number}-{round}"
            (answer,) = await store.commit([Write(PODS, f"shop/{name}", pod(name), EMPTY)])
            assert isinstance(answer, Object)
            latencies.append(time.perf_counter() - start)
            round += 1
            await asyncio.sleep(0)  # memory answers without giving way

    start = time.perf_counter()
    await asyncio.gather(*(writer(number) for number in range(writers)))
    taken = time.perf_counter() - start
    return len(latencies), taken, sorted(latencies)[len(latencies) // 2] * 1000


async def bench(kind: Any, folder: Path, endpoints: list[str], seconds: float) -> None:
    store = open_store(kind, {PODS: {"node": "spec.nodeName"}}, data_dir=folder / "sqlite", endpoints=endpoints)
    await store.start()
    for writers in WRITERS:
        count, taken, median = await measure(store, writers, seconds)
        print(f"{kind:<8} {writers:>8,} {count / taken:>12,.0f} {median:>12.2f}", flush=True)
    await store.close()


@contextmanager
def etcd(data_dir: Path) -> Iterator[str]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        client, peer = (f"http://127.0.0.1:{listener.getsockname()[1]}" for listener in (one, two))
    command = ["etcd", "--data-dir", str(data_dir), "--log-level", "error", "--initial-cluster", f"default={peer}"]
    command += ["--listen-client-urls", client, "--advertise-client-urls", client]
    command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield client  # the store's start waits until it answers
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="per measurement (default 2)")
    parser.add_argument("--stores", default="memory,sqlite,etcd", help="comma-separated (default: all three)")
    arguments = parser.parse_args()
    print(f"a pod is {len(Object(pod('w1000-999-99')).raw):,} bytes")
    print(f"{'store':<8} {'writers':>8} {'writes/s':>12} {'p50 ms':>12}")
    with tempfile.TemporaryDirectory(prefix="engine-bench-") as name:
        folder = Path(name)
        for kind in arguments.stores.split(","):
            if kind != "etcd":
                asyncio.run(bench(kind, folder, [], arguments.seconds))
            elif shutil.which("etcd") is None:
                print("etcd     not installed: skipped")
            else:
                with etcd(folder / "etcd") as endpoint:
                    asyncio.run(bench(kind, folder, [endpoint], arguments.seconds))


if __name__ == "__main__":
    main()
