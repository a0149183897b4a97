"""A real API server on a memory store, over real HTTPS and in process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.api.kinds import KindTable
from engine.client.client import Client
from engine.client.https import HTTPSTransport
from engine.client.kubeconfig import load
from engine.client.local import LocalTransport
from engine.server.apiserver import APIServer
from engine.server.certificates import Certificates
from engine.server.http import HTTPServer
from engine.server.request import ADMIN
from engine.storage import open_store


@dataclass
class Live:
    api: APIServer
    front: HTTPServer
    kubeconfig: Path
    remote: Client  # over HTTPS
    local: Client


@asynccontextmanager
async def live(folder: Path, *, max_requests: int = 64) -> AsyncGenerator[Live, None]:
    kinds = KindTable.builtin()
    store = open_store("memory", {kind.resource: kind.indexes for kind in kinds})
    await store.start()
    api = APIServer(store, kinds)
    await api.start()
    certificates = Certificates.open(folder / "pki")
    front = HTTPServer(api, certificates.server_context())
    host, port = await front.start("127.0.0.1", 0)
    kubeconfig = folder / "kubeconfig"
    certificates.write_kubeconfig(kubeconfig, f"https://{host}:{port}")
    transport = HTTPSTransport(load(kubeconfig), max_requests=max_requests)
    try:
        yield Live(api, front, kubeconfig, Client(transport), Client(LocalTransport(api, ADMIN)))
    finally:
        await transport.close()
        await front.stop()
        await store.close()


def config_map(name: str, **data: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
