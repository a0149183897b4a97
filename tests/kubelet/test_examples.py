"""The examples do what their comments say."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import yaml

from engine.api.resource import CONFIGMAPS, PODS, SECRETS
from engine.kubelet.logs import ContainerLogs
from engine.kubelet.process import ProcessRuntime
from engine.server.podlogs import LogOptions
from tests.kubelet.cluster import Cluster, cluster
from tests.kubelet.harness import until

EXAMPLES = Path(__file__).parents[2] / "examples"
RESOURCES = {"Pod": PODS, "ConfigMap": CONFIGMAPS, "Secret": SECRETS}


async def create(server: Cluster, *documents: dict[str, Any]) -> None:
    for document in documents:
        if document["kind"] == "Pod":
            document["spec"]["nodeName"] = "node-1"
        await server.others.create(RESOURCES[document["kind"]], "default", document)


def load(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((EXAMPLES / name).read_text()))


def processes(server: Cluster, directory: Path) -> ProcessRuntime:
    return ProcessRuntime(server.client, directory / "data", registry=directory / "addresses")


async def follow(server: Cluster, directory: Path, name: str, container: str) -> AsyncIterator[bytes]:
    pod = next(pod for pod in server.pods() if pod.name == name)
    return await ContainerLogs(directory / "data").open(pod, LogOptions(container, follow=True))


async def log(server: Cluster, directory: Path, name: str, container: str = "main") -> str:
    return b"".join([chunk async for chunk in await follow(server, directory, name, container)]).decode()


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return str(answer.read().decode())


async def test_every_replica_of_the_deployment_serves_on_the_same_port(tmp_path: Path) -> None:
    (deployment,) = load("deployment.yml")
    template = deployment["spec"]["template"]
    async with cluster(tmp_path) as server, server.kubelet(processes(server, tmp_path)):
        names = [f"web-{n}" for n in range(deployment["spec"]["replicas"])]
        pods = [{"kind": "Pod", "metadata": {"name": name}, "spec": dict(template["spec"])} for name in names]
        await create(server, *pods)
        await until(lambda: set(server.phases().values()) == {"Running"})
        for name in names:
            address = f"http://{server.status(name)['podIP']}:8080"
            async for line in await follow(server, tmp_path, name, "web"):
                if address.encode() in line:
                    break
            answer = await asyncio.to_thread(fetch, address)
            assert answer == f"hello from {name} on node-1\n"


async def test_the_configured_pod_prints_what_it_got(tmp_path: Path) -> None:
    async with cluster(tmp_path) as server, server.kubelet(processes(server, tmp_path)):
        await create(server, *load("pod-configuration.yml"))
        await until(lambda: server.phases() == {"configured": "Succeeded"})
        expected = "hello from node-1/configured\ncolour blue, token of 13 characters\n"
        assert await log(server, tmp_path, "configured") == expected


async def test_the_staged_pod_runs_its_parts_in_order(tmp_path: Path) -> None:
    documents = load("pod-init.yml")
    documents[0]["spec"]["containers"][0]["command"][2] = "cat message; echo done"  # without the pause for the reader
    async with cluster(tmp_path) as server, server.kubelet(processes(server, tmp_path)):
        await create(server, *documents)
        await until(lambda: server.phases() == {"staged": "Succeeded"})
        assert await log(server, tmp_path, "staged") == "prepared\ndone\n"


async def test_the_crashing_pod_comes_back(tmp_path: Path) -> None:
    async with cluster(tmp_path) as server, server.kubelet(processes(server, tmp_path)):
        await create(server, *load("pod-crashloop.yml"))

        def backs_off() -> bool:
            (container,) = server.status("crashing").get("containerStatuses", [{"state": {}}])
            return "CrashLoopBackOff" in str(container["state"])

        await until(backs_off)
