"""The API server as a program: its store, its certificates, and HTTPS before it."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine.api.kinds import KindTable
from engine.client.client import Client
from engine.client.local import LocalTransport
from engine.server.apiserver import APIServer
from engine.server.expiry import EventExpiry
from engine.server.request import ADMIN, User
from engine.storage import open_store

if TYPE_CHECKING:
    from engine.server.certificates import Certificates
    from engine.server.http import HTTPServer
    from engine.server.nodelogs import NodeLogs

CONTROLLERS = User("system:kube-controller-manager", ("system:authenticated",))
SCHEDULER = User("system:kube-scheduler", ("system:authenticated",))
KUBELET = User("system:node:engine", ("system:nodes", "system:authenticated"))


@dataclass(frozen=True, slots=True)
class Settings:
    """How a control plane is made. The fields are the options of `engine up`."""

    data_dir: Path
    storage: Literal["sqlite", "memory", "etcd"] = "sqlite"
    etcd_endpoints: Sequence[str] = ()
    listen: tuple[str, int] = ("127.0.0.1", 6443)
    nodes: int = 1
    runtime: Literal["process", "simulated"] = "process"
    images: Mapping[str, Sequence[str]] = field(default_factory=dict)  # what runs for an image: name → command
    kubeconfig: Path | None = None  # None: DATA_DIR/kubeconfig


class Server:
    """The API server on its store, behind HTTPS."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        kinds = KindTable.builtin()
        resources = {kind.resource: kind.indexes for kind in kinds}
        self.store = open_store(
            settings.storage, resources, data_dir=settings.data_dir, endpoints=settings.etcd_endpoints
        )
        self.api = APIServer(self.store, kinds)
        self.certificates: Certificates | None = None
        self.url = ""  # known when it listens
        self.logs: NodeLogs | None = None  # from the start on
        self._front: HTTPServer | None = None
        self._expiry: asyncio.Task[None] | None = None

    @property
    def kubeconfig(self) -> Path:
        return self.settings.kubeconfig or self.settings.data_dir / "kubeconfig"

    async def start(self) -> None:
        """Opens the store, then listens. Raises StorageError, and OSError when the address cannot be had."""
        from engine.server.certificates import Certificates
        from engine.server.http import HTTPServer
        from engine.server.nodelogs import KUBELET_CLIENT, NodeLogs

        host, port = self.settings.listen
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        await self.store.start()
        self._expiry = asyncio.create_task(EventExpiry(self.store).run(), name="event expiry")
        await self.api.start()
        names = ("localhost", "127.0.0.1", *([host] if host not in ("localhost", "127.0.0.1", "0.0.0.0", "::") else ()))
        self.certificates = Certificates.open(self.settings.data_dir / "pki", names=names)
        self.api.authenticator.add(self.certificates.token, ADMIN)
        self.logs = self.api.log_source = NodeLogs(self.store, *self.certificates.client(KUBELET_CLIENT))
        front = HTTPServer(self.api, self.certificates.server_context())
        try:
            host, port = await front.start(host, port)
        except OSError as error:
            raise cannot_listen(host, port, error) from error
        self._front = front
        self.api.reached_at(f"{host}:{port}")
        self.url = f"https://{f'[{host}]' if ':' in host else host}:{port}"
        self.certificates.write_kubeconfig(self.kubeconfig, self.url)

    def write_component_kubeconfigs(self) -> None:
        """DATA_DIR/controllers.kubeconfig and so on: one identity for each part that runs alone."""
        assert self.certificates is not None
        for name, user in (("controllers", CONTROLLERS), ("scheduler", SCHEDULER), ("kubelet", KUBELET)):
            self.certificates.write_kubeconfig(self.settings.data_dir / f"{name}.kubeconfig", self.url, user=user)

    async def stop(self) -> None:
        """Ends watches and connections, then makes the last writes durable."""
        if self._front is not None:
            await self._front.stop()
        if self.logs is not None:
            await self.logs.close()
        if self._expiry is not None:
            self._expiry.cancel()
            await asyncio.gather(self._expiry, return_exceptions=True)
            await self.store.close()

    def client(self, user: User, manager: str) -> Client:
        """The API in this process, as `user`."""
        return Client(LocalTransport(self.api, user), manager=manager)


def cannot_listen(host: str, port: int, error: OSError) -> OSError:
    """The same error, with the address."""
    why = "address already in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
    return OSError(f"cannot listen on {host}:{port}: {why}")
