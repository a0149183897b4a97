"""What polling costs, beside informers: the same reads on the same cluster under the same churn, over HTTPS.

    python bench/polling.py [--objects 2000] [--nodes 100] [--seconds 5] [--interval 1] [--writes 50] [--json FILE]

An API server runs in a process of its own, seeded with pods, ReplicaSets, Deployments and nodes. A writer patches pods,
Deployments and ReplicaSets at a fixed rate, three times: while nobody reads, while controllers poll, while informers
follow. The reader is a process of its own too.

`polling`: each interval the Deployment controller lists Deployments and ReplicaSets, the ReplicaSet controller lists
ReplicaSets and pods, the scheduler pods and nodes, and each node's kubelet its pods; everything is decoded.
`informers`: one list and one watch for each kind, shared by all of them; every change is decoded and handed over.

Staleness is the time from the moment at which the writer has its answer to the moment at which the reader sees that
version or a later one, on the one monotonic clock of the machine; 0 when that is the earlier moment. Bytes are what the
reader's sockets received, TLS included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import random
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from engine._object import Object
from engine.api.resource import DEPLOYMENTS, NODES, PODS, REPLICASETS, Resource
from engine.client.client import Client
from engine.client.https import HTTPSTransport
from engine.client.kubeconfig import load
from engine.client.transport import Operation
from engine.informers.informer import Informers

PODS_PER_DEPLOYMENT = 50
SEED_BATCH = 200
SETTLE_SECONDS = 0.5  # after the last write, on top of two intervals: what was written shall be seen
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

Seen = tuple[str, int, float]  # key with its resource, resource version, monotonic seconds


@dataclass(slots=True)
class Side:
    """What one way of reading cost while the writer wrote."""

    name: str
    measured_seconds: float = 0.0  # the churn, and the time in which all of it can be seen
    writes: int = 0
    requests: int = 0
    bytes_received: int = 0
    startup_requests: int = 0
    startup_bytes: int = 0
    client_cpu_seconds: float = 0.0
    server_cpu_seconds: float = 0.0
    staleness_p50_ms: float | None = None
    staleness_p99_ms: float | None = None
    unseen: int = 0


@dataclass(slots=True)
class Ledger:
    """What a reader saw, and what its sockets brought."""

    requests: int = 0
    bytes_received: int = 0
    versions: dict[str, int] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)

    def saw(self, resource: Resource, obj: Object) -> None:
        key = f"{resource.plural}/{obj.key}"
        version = obj.resource_version
        if self.versions.get(key, 0) < version:
            self.versions[key] = version
            self.seen.append((key, version, time.monotonic()))

    def restart(self) -> None:
        self.requests = self.bytes_received = 0
        self.seen.clear()


# The reader: a process of its own.


def count_received(ledger: Ledger) -> None:
    """Counts every byte that a socket of this process receives (asyncio's own loop reads through these two)."""
    recv, recv_into = socket.socket.recv, socket.socket.recv_into

    def counting_recv(self: socket.socket, *arguments: Any) -> bytes:
        data = recv(self, *arguments)
        ledger.bytes_received += len(data)
        return data

    def counting_recv_into(self: socket.socket, *arguments: Any) -> int:
        size = recv_into(self, *arguments)
        ledger.bytes_received += size
        return size

    socket.socket.recv = counting_recv  # type: ignore[method-assign,assignment]
    socket.socket.recv_into = counting_recv_into  # type: ignore[method-assign,assignment]


class CountingTransport(HTTPSTransport):
    """Counts lists and watches."""

    ledger: Ledger

    async def list(self, *arguments: Any, **options: Any) -> Any:
        self.ledger.requests += 1
        return await super().list(*arguments, **options)

    def watch(self, *arguments: Any, **options: Any) -> Any:
        self.ledger.requests += 1
        return super().watch(*arguments, **options)


async def poll_forever(reads: Sequence[Callable[[], Awaitable[None]]], interval: float, first: asyncio.Event) -> None:
    """One controller of the naive kind."""
    while True:
        begun = time.monotonic()
        for read in reads:
            await read()
        first.set()
        await asyncio.sleep(max(0.0, begun + interval - time.monotonic()))


async def run_polling(client: Client, ledger: Ledger, nodes: int, interval: float) -> None:
    """Returns when every controller has polled once; they go on in the background."""

    def reading(resource: Resource, **query: str) -> Callable[[], Awaitable[None]]:
        async def read() -> None:
            for obj in (await client.list(resource, **query)).items:
                obj.peek()
                ledger.saw(resource, obj)

        return read

    programs = [
        [reading(DEPLOYMENTS), reading(REPLICASETS)],
        [reading(REPLICASETS), reading(PODS)],
        [reading(PODS), reading(NODES)],
        *([reading(PODS, fieldSelector=f"spec.nodeName=node-{n}")] for n in range(nodes)),
    ]
    begun = [asyncio.Event() for _ in programs]
    for reads, first in zip(programs, begun, strict=True):
        keep(asyncio.create_task(poll_forever(reads, interval, first)))
    for first in begun:
        await first.wait()


async def run_informers(client: Client, ledger: Ledger) -> None:
    """Returns when every informer is synced and was read; they go on in the background."""
    informers = Informers(client)
    followed = [informers.get(resource) for resource in (DEPLOYMENTS, REPLICASETS, PODS, NODES)]
    await informers.start()
    for informer in followed:
        read_once = asyncio.Event()

        async def follow(informer: Any = informer, read_once: asyncio.Event = read_once) -> None:
            subscription = informer.subscribe()
            while True:
                for change in subscription.next_batch():
                    change.object.peek()
                    ledger.saw(informer.resource, change.object)
                if subscription.synced:
                    read_once.set()
                await subscription.wait()

        keep(asyncio.create_task(follow()))
        await read_once.wait()


BACKGROUND: set[asyncio.Task[None]] = set()


def keep(task: asyncio.Task[None]) -> None:
    """A task that fails ends the process: a side that reads no more must not look cheap."""

    def done(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            print(f"reader failed: {task.exception()!r}", file=sys.stderr, flush=True)
            os._exit(1)

    task.add_done_callback(done)
    BACKGROUND.add(task)


async def read(side: str, kubeconfig: Path, nodes: int, interval: float) -> None:
    """Reads until standard input says `stop`, and prints what it cost since `start`."""
    ledger = Ledger()
    count_received(ledger)
    transport = CountingTransport(load(kubeconfig))
    transport.ledger = ledger
    client = Client(transport)
    if side == "polling":
        await run_polling(client, ledger, nodes, interval)
    else:
        await run_informers(client, ledger)
    started = {"startup_requests": ledger.requests, "startup_bytes": ledger.bytes_received}
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.readline)
    ledger.restart()
    print("started", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    cost = {"requests": ledger.requests, "bytes_received": ledger.bytes_received, "seen": ledger.seen}
    print(json.dumps(started | cost), flush=True)
    os._exit(0)  # connections are dropped as they are: their end is not part of the comparison


# The cluster.


@asynccontextmanager
async def api_server(folder: Path, storage: str) -> AsyncIterator[tuple[int, Path]]:
    """An API server and its store in a process of its own: its pid and the administrator's kubeconfig."""
    command = [sys.executable, "-c", "from engine.cli.main import main; main()", "apiserver"]
    command += ["--data-dir", str(folder), "--storage", storage]
    command += ["--listen", "127.0.0.1:0", "--log-level", "warning"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        if not line.startswith("ready "):
            raise RuntimeError("the API server did not start")
        yield process.pid, Path(line.split("kubeconfig=", 1)[1].strip())
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def metadata(name: str, app: str) -> dict[str, Any]:
    return {"name": name, "namespace": "default", "labels": {"app": app, "tier": "backend", "release": "stable"}}


def template(app: str) -> dict[str, Any]:
    env = [{"name": f"SETTING_{n}", "value": f"value-{n}"} for n in range(6)]
    resources = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}}
    container = {"name": "app", "image": "example/app:1", "env": env, "resources": resources}
    return {"metadata": {"labels": metadata("", app)["labels"]}, "spec": {"containers": [container]}}


async def seed(client: Client, objects: int, nodes: int) -> list[tuple[Resource, str]]:
    """Makes the cluster; returns what the writer may change."""
    operations: list[Operation] = []
    targets: list[tuple[Resource, str]] = []
    for n in range(nodes):
        status = {"capacity": {"cpu": "32", "memory": "128Gi", "pods": "110"}}
        body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{n}"}, "status": status}
        operations.append(client.creating(NODES, None, body))
    for d in range(max(1, objects // PODS_PER_DEPLOYMENT)):
        app = f"app-{d}"
        spec = {"replicas": PODS_PER_DEPLOYMENT, "selector": {"matchLabels": {"app": app}}, "template": template(app)}
        for resource in (DEPLOYMENTS, REPLICASETS):
            body = {"apiVersion": "apps/v1", "kind": resource.kind, "metadata": metadata(app, app), "spec": spec}
            operations.append(client.creating(resource, "default", body))
            targets.append((resource, app))
    for n in range(objects):
        app, name = f"app-{n // PODS_PER_DEPLOYMENT}", f"pod-{n}"
        spec = {**template(app)["spec"], "nodeName": f"node-{n % nodes}"}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata(name, app), "spec": spec}
        operations.append(client.creating(PODS, "default", body))
        targets.append((PODS, name))
    for start in range(0, len(operations), SEED_BATCH):
        for answer in await client.batch(operations[start : start + SEED_BATCH]):
            if not isinstance(answer, Object):
                raise answer
    return targets


async def churn(client: Client, targets: Sequence[tuple[Resource, str]], rate: float, seconds: float) -> list[Seen]:
    """Patches objects at a fixed rate; each write with the moment of its answer."""
    rng = random.Random(1)
    acknowledged: list[Seen] = []

    async def write(number: int) -> None:
        resource, name = rng.choice(targets)
        patch = {"metadata": {"annotations": {"bench/written": f"{number} at {time.time_ns()}"}}}
        written = await client.patch(resource, "default", name, patch)
        acknowledged.append((f"{resource.plural}/{written.key}", written.resource_version, time.monotonic()))

    begun, writes = time.monotonic(), []
    for number in range(int(rate * seconds)):
        writes.append(asyncio.create_task(write(number)))
        await asyncio.sleep(max(0.0, begun + (number + 1) / rate - time.monotonic()))
    await asyncio.gather(*writes)
    return acknowledged


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def staleness_ms(acknowledged: Sequence[Seen], seen: Sequence[Seen]) -> tuple[list[float], int]:
    """For each write the milliseconds until its version or a later one of its object was seen, and how many never were.
    0 when the reader was faster than the writer's own answer."""
    by_key: dict[str, list[tuple[int, float]]] = {}
    for key, version, when in seen:
        by_key.setdefault(key, []).append((version, when))
    delays, unseen = [], 0
    for key, version, when in acknowledged:
        first = next((at for newer, at in by_key.get(key, ()) if newer >= version), None)
        if first is None:
            unseen += 1
        else:
            delays.append(max(0.0, (first - when) * 1000))
    return sorted(delays), unseen


def percentile(ordered: Sequence[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else None


# The comparison.


async def measure(name: str, options: argparse.Namespace, pid: int, kubeconfig: Path, write: Any) -> Side:
    """One side: the reader is at work before the writer starts, and stays until everything can have been seen."""
    side = Side(name)
    reader: asyncio.subprocess.Process | None = None
    if name != "nobody":
        command = [sys.executable, __file__, "--reader", name, "--kubeconfig", str(kubeconfig)]
        command += ["--nodes", str(options.nodes), "--interval", str(options.interval)]
        pipe = asyncio.subprocess.PIPE
        reader = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=1 << 26)
    try:
        if reader is not None:
            await expect(reader, "ready")
            await tell(reader, "start")
            await expect(reader, "started")
        begun = time.monotonic()
        server_before, reader_before = cpu_seconds(pid), cpu_seconds(reader.pid) if reader else 0.0
        acknowledged = await write()
        await asyncio.sleep(2 * options.interval + SETTLE_SECONDS)
        side.measured_seconds, side.writes = time.monotonic() - begun, len(acknowledged)
        side.server_cpu_seconds = cpu_seconds(pid) - server_before
        if reader is not None:
            side.client_cpu_seconds = cpu_seconds(reader.pid) - reader_before
            await tell(reader, "stop")
            assert reader.stdout is not None
            result = json.loads(await reader.stdout.readline())
            delays, side.unseen = staleness_ms(acknowledged, result.pop("seen"))
            for field_name, value in result.items():
                setattr(side, field_name, value)
            side.staleness_p50_ms, side.staleness_p99_ms = percentile(delays, 0.5), percentile(delays, 0.99)
    finally:
        if reader is not None:
            if reader.returncode is None and side.staleness_p50_ms is None:
                reader.kill()
            await reader.wait()
    return side


async def tell(reader: asyncio.subprocess.Process, word: str) -> None:
    assert reader.stdin is not None
    reader.stdin.write(f"{word}\n".encode())
    await reader.stdin.drain()


async def expect(reader: asyncio.subprocess.Process, word: str) -> None:
    assert reader.stdout is not None
    line = await asyncio.wait_for(reader.stdout.readline(), 120)
    if line.decode().strip() != word:
        raise RuntimeError(f"the reader did not say {word}: {line!r}")


async def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Runs all sides on one cluster."""
    sides = []
    with tempfile.TemporaryDirectory(prefix="engine-polling-") as folder:
        async with api_server(Path(folder), options.storage) as (pid, kubeconfig):
            transport = HTTPSTransport(load(kubeconfig))
            client = Client(transport, manager="churn")
            try:
                targets = await seed(client, options.objects, options.nodes)

                async def write() -> list[Seen]:
                    return await churn(client, targets, options.writes, options.seconds)

                for name in ("nobody", "polling", "informers"):
                    print(f"{name}: {options.seconds:g} s at {options.writes:g} writes/s", file=sys.stderr)
                    sides.append(await measure(name, options, pid, kubeconfig, write))
            finally:
                await transport.close()
    setting = {
        name: getattr(options, name) for name in ("objects", "nodes", "seconds", "interval", "writes", "storage")
    }
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    return {"setting": setting, "machine": machine, "sides": [asdict(side) for side in sides]}


def table_of(result: dict[str, Any]) -> Table:
    """The comparison as people read it."""
    setting = result["setting"]
    table = Table(
        title=f"{setting['objects']} pods, {setting['nodes']} nodes, {setting['writes']:g} writes/s over HTTPS"
    )
    sides = {side["name"]: side for side in result["sides"]}
    polling, informers, nobody = sides["polling"], sides["informers"], sides["nobody"]
    table.add_column("")
    table.add_column(f"polling every {setting['interval']:g} s", justify="right")
    table.add_column("informers", justify="right")
    table.add_column("factor", justify="right")

    def row(label: str, of: Callable[[dict[str, Any]], float | None], form: str) -> None:
        values = [of(polling), of(informers)]
        texts = ["-" if value is None else format(value, form) for value in values]
        factor = f"{values[0] / values[1]:,.0f}x" if values[0] and values[1] else ""
        table.add_row(label, *texts, factor)

    row("requests", lambda side: side["requests"], ",d")
    row("MB received", lambda side: side["bytes_received"] / 1e6, ",.3f")
    row("MB received at start", lambda side: side["startup_bytes"] / 1e6, ",.3f")
    row("reader, CPU seconds", lambda side: side["client_cpu_seconds"], ".2f")
    alone = f"server, CPU seconds (unread: {nobody['server_cpu_seconds']:.2f})"
    row(alone, lambda side: side["server_cpu_seconds"], ".2f")
    row("staleness p50, ms", lambda side: side["staleness_p50_ms"], ",.1f")
    row("staleness p99, ms", lambda side: side["staleness_p99_ms"], ",.1f")
    row("changes never seen", lambda side: side["unseen"], ",d")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--objects", type=int, default=2000, help="pods (default: %(default)s)")
    parser.add_argument("--nodes", type=int, default=100, help="nodes, each with a kubelet (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of churn for each side (default: %(default)s)")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between polls (default: %(default)s)")
    parser.add_argument("--writes", type=float, default=50.0, help="per second (default: %(default)s)")
    parser.add_argument("--storage", choices=("memory", "sqlite"), default="memory")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    parser.add_argument("--reader", choices=("polling", "informers"), help=argparse.SUPPRESS)
    parser.add_argument("--kubeconfig", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.reader:
        asyncio.run(read(options.reader, options.kubeconfig, options.nodes, options.interval))
        return
    result = asyncio.run(compare(options))
    Console().print(table_of(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
