"""Pods, a process runtime without a server, and waiting for what it reports."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from engine._object import Object
from engine.api.errors import not_found
from engine.api.resource import Resource
from engine.client.client import Client
from engine.kubelet.process import ProcessRuntime
from engine.kubelet.runtime import Report
from engine.kubelet.shape import NodeFacts

NODE = NodeFacts("node-1", "127.0.0.1", {"cpu": "4", "memory": "8Gi", "pods": "110"})
DEADLINE_SECONDS = 15.0


def pod(
    name: str,
    *containers: Mapping[str, Any],
    uid: str = "",
    metadata: Mapping[str, Any] | None = None,
    status: Mapping[str, Any] | None = None,
    **spec: Any,
) -> Object:
    meta = {"name": name, "namespace": "default", "uid": uid or str(uuid.uuid4()), "resourceVersion": "1"}
    spec = {"restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "nodeName": NODE.name, **spec}
    spec["containers"] = [dict(container) for container in containers]
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": {**meta, **(metadata or {})}, "spec": spec}
    return Object({**document, "status": dict(status or {"phase": "Pending"})})


def shell(script: str, name: str = "main", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "none", "command": ["/bin/sh", "-c", script], **more}


def deleted(pod: Object, grace_seconds: int) -> Object:
    document = pod.to_dict()
    document["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": grace_seconds}
    return Object(document)


class Objects:
    """A transport that answers gets from a dict, as far as the process runtime asks."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str, str], Object] = {}

    def put(self, kind: str, name: str, data: Mapping[str, str]) -> None:
        document = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "default"}, "data": data}
        self.found[kind, "default", name] = Object(document)

    async def get(self, resource: Resource, namespace: str, name: str, **more: Any) -> Object:
        try:
            return self.found[resource.kind, namespace, name]
        except KeyError:
            raise not_found(resource.group, resource.plural, name) from None


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Recorder:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []

    def record(self, about: Object, type: str, reason: str, message: str) -> None:
        self.events.append((type, reason, message))


class Runner:
    """A process runtime at work; what it reported last of each pod."""

    def __init__(self, directory: Path, objects: Objects, **options: Any) -> None:
        self.events = Recorder()
        self.runtime = ProcessRuntime(
            Client(objects),  # type: ignore[arg-type]
            directory / "data",
            events=self.events,  # type: ignore[arg-type]
            registry=directory / "addresses",
            **options,
        )
        self.reports: dict[str, list[Report]] = {}
        self.directory = directory / "data"
        self.pods: dict[str, Object] = {}

    def sync(self, *pods: Object) -> None:
        self.pods.update((pod.uid, pod) for pod in pods)
        self.runtime.sync(pods)

    def report(self, reports: Sequence[Report]) -> None:
        for report in reports:
            self.reports.setdefault(report.uid, []).append(report)
            if report.status is not None:
                document = self.pods[report.uid].to_dict()
                document["status"] |= report.status
                self.pods[report.uid] = Object(document)

    def status(self, pod: Object) -> dict[str, Any]:
        return self.pods[pod.uid].to_dict()["status"]

    def container(self, pod: Object, name: str = "main") -> dict[str, Any]:
        statuses = self.status(pod)
        both = [*statuses.get("containerStatuses", ()), *statuses.get("initContainerStatuses", ())]
        return next((status for status in both if status["name"] == name), {"state": {}, "restartCount": -1})

    def gone(self, pod: Object) -> bool:
        return any(report.gone for report in self.reports.get(pod.uid, ()))

    def phase(self, pod: Object) -> str:
        return str(self.status(pod).get("phase"))

    def log(self, pod: Object, name: str = "main", attempt: int = 0) -> list[str]:
        """The lines of one attempt, without time and stream."""
        path = self.directory / "pods" / pod.uid / name / str(attempt) / "log"
        return [line.split(" ", 3)[3] for line in path.read_text().splitlines()] if path.exists() else []

    def pid(self, pod: Object, name: str = "main", attempt: int = 0) -> int:
        path = self.directory / "pods" / pod.uid / name / str(attempt) / "state"
        fields = dict(line.split("=", 1) for line in path.read_text().splitlines())
        return int(fields["pid"])


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Waits for a condition with a deadline."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not condition():  # noqa: ASYNC110  # files and processes tell nobody when they change
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"never happened: {what or condition}") from None


@asynccontextmanager
async def running(directory: Path, objects: Objects | None = None, **options: Any) -> AsyncIterator[Runner]:
    """Containers end with it."""
    runner = Runner(directory, objects or Objects(), **options)
    runner.runtime.attach({NODE.name: NODE}, runner.report)
    task = asyncio.create_task(runner.runtime.run())
    try:
        yield runner
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if not runner.runtime._stopping:
            runner.runtime.remove(list(runner.runtime._pods))
            await runner.runtime.stop()
