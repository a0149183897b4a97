"""The real kubectl on this server alone: what needs no controller and no node."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.server.serving import Serving

KUBECTL = shutil.which("kubectl", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
DEADLINE_SECONDS = 60.0

MANIFESTS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: nginx}]}
"""

pytestmark = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")


class Kubectl:
    """Runs kubectl against one server, with a cache of its own."""

    def __init__(self, served: Serving, folder: Path) -> None:
        self.kubeconfig = folder / "kubeconfig"
        served.certificates.write_kubeconfig(self.kubeconfig, served.url)
        self.manifests = folder / "manifests.yml"
        self.manifests.write_text(MANIFESTS)
        self.environment = {**os.environ, "HOME": str(folder), "KUBECONFIG": str(self.kubeconfig)}

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        assert KUBECTL
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(KUBECTL, *arguments, stdout=pipe, stderr=pipe, env=self.environment)

    async def fails(self, *arguments: str) -> str:
        process = await self.start(*arguments)
        _, errors = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
        assert process.returncode != 0
        return errors.decode()

    async def __call__(self, *arguments: str) -> str:
        process = await self.start(*arguments)
        told, errors = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
        assert process.returncode == 0, errors.decode()
        return told.decode()


@pytest.fixture
async def kubectl(served: Serving, tmp_path: Path) -> Kubectl:
    return Kubectl(served, tmp_path)


@pytest.fixture
async def created(kubectl: Kubectl) -> Kubectl:
    told = await kubectl("create", "-f", str(kubectl.manifests))
    assert told == "configmap/settings created\ndeployment.apps/web created\n"
    return kubectl


async def test_get_in_every_form(created: Kubectl) -> None:
    table = (await created("get", "deployment", "web")).splitlines()
    assert table[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert table[1].split()[:4] == ["web", "0/2", "0", "0"]
    wide = (await created("get", "deployment", "-o", "wide")).splitlines()
    assert wide[0].split()[-3:] == ["CONTAINERS", "IMAGES", "SELECTOR"]
    assert wide[1].split()[-3:] == ["c", "nginx", "app=web"]
    assert await created("get", "deploy,cm", "-o", "name") == "deployment.apps/web\nconfigmap/settings\n"
    assert json.loads(await created("get", "cm", "settings", "-o", "json"))["data"] == {"colour": "blue"}
    assert "colour: blue" in await created("get", "cm", "settings", "-o", "yaml")
    assert (await created("get", "cm", "-A", "--no-headers")).split()[:3] == ["default", "settings", "1"]


async def test_describe(created: Kubectl) -> None:
    assert "2 desired | 0 updated | 0 total" in await created("describe", "deployment", "web")
    assert "colour:\n----\nblue" in await created("describe", "configmap", "settings")


async def test_apply_twice(kubectl: Kubectl) -> None:
    file = str(kubectl.manifests)
    assert await kubectl("apply", "-f", file) == "configmap/settings created\ndeployment.apps/web created\n"
    assert await kubectl("apply", "-f", file) == "configmap/settings unchanged\ndeployment.apps/web unchanged\n"
    kubectl.manifests.write_text(MANIFESTS.replace("blue", "red"))
    assert await kubectl("apply", "-f", file) == "configmap/settings configured\ndeployment.apps/web unchanged\n"
    await kubectl("diff", "-f", file)


async def test_apply_on_the_server(kubectl: Kubectl) -> None:
    file = str(kubectl.manifests)
    await kubectl("apply", "--server-side", "-f", file)
    kubectl.manifests.write_text(MANIFESTS.replace("blue", "red"))
    refusal = await kubectl.fails("apply", "--server-side", "--field-manager=other", "-f", file)
    assert 'conflict with "kubectl"' in refusal
    await kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=other", "-f", file)
    assert await kubectl("get", "cm", "settings", "-o", "jsonpath={.data.colour}") == "red"


async def test_changes(created: Kubectl) -> None:
    await created("scale", "deployment/web", "--replicas=5", "--current-replicas=2")
    await created("set", "image", "deployment/web", "c=nginx:2")
    await created("label", "deployment/web", "tier=front")
    await created("patch", "deployment", "web", "-p", '{"spec":{"minReadySeconds":7}}')
    path = "{.spec.replicas} {.spec.template.spec.containers[0].image} {.metadata.labels.tier} {.spec.minReadySeconds}"
    assert await created("get", "deployment", "web", "-o", f"jsonpath={path}") == "5 nginx:2 front 7"
    assert "restarted" in await created("rollout", "restart", "deployment/web")
    patch = '[{"op":"replace","path":"/data/colour","value":"red"}]'
    await created("patch", "cm", "settings", "--type=json", "-p", patch)
    assert await created("get", "cm", "settings", "-o", "jsonpath={.data.colour}") == "red"


async def test_delete_and_wait(created: Kubectl) -> None:
    told = await created("delete", "-f", str(created.manifests))
    assert told.splitlines() == [
        'configmap "settings" deleted from default namespace',
        'deployment.apps "web" deleted from default namespace',
    ]
    assert '"web" not found' in await created.fails("get", "deployment", "web")


async def test_wait_reads_a_watch(created: Kubectl, served: Serving) -> None:
    waiting = await created.start("wait", "--for=jsonpath={.data.colour}=red", "cm/settings", "--timeout=30s")
    await created("patch", "cm", "settings", "-p", '{"data":{"colour":"red"}}')
    told, errors = await asyncio.wait_for(waiting.communicate(), DEADLINE_SECONDS)
    assert (waiting.returncode, told) == (0, b"configmap/settings condition met\n"), errors


async def test_get_and_watch(created: Kubectl) -> None:
    watching = await created.start("get", "cm", "--watch", "--no-headers")
    assert watching.stdout
    first = await asyncio.wait_for(watching.stdout.readline(), DEADLINE_SECONDS)
    await created("patch", "cm", "settings", "-p", '{"data":{"size":"9"}}')
    second = await asyncio.wait_for(watching.stdout.readline(), DEADLINE_SECONDS)
    watching.terminate()
    await watching.wait()
    assert [line.split()[:2] for line in (first, second)] == [[b"settings", b"1"], [b"settings", b"2"]]


async def test_what_is_there(kubectl: Kubectl) -> None:
    resources = await kubectl("api-resources", "-o", "name")
    assert {"pods", "deployments.apps", "jobs.batch", "leases.coordination.k8s.io"} <= set(resources.split())
    assert "Server Version: v1.37.0" in await kubectl("version")
    assert "maxSurge" in await kubectl("explain", "deployment.spec.strategy.rollingUpdate")
    assert "containerPort" in await kubectl("explain", "pod", "--recursive")
    assert "ok" in await kubectl("get", "--raw", "/readyz")
    assert "kube-system" in await kubectl("get", "namespaces")


async def test_a_field_that_is_not_there_is_named(kubectl: Kubectl) -> None:
    kubectl.manifests.write_text(MANIFESTS.replace("replicas", "replicsa"))
    refusal = await kubectl.fails("create", "-f", str(kubectl.manifests))
    assert 'unknown field "spec.replicsa"' in refusal


async def test_an_imperative_create_says_what_to_do_instead(kubectl: Kubectl) -> None:
    assert "kubectl create -f" in await kubectl.fails("create", "deployment", "web", "--image=nginx")
