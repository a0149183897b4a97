"""Everything in one process: what `engine up` runs."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

from engine.controlplane.part import Part, controllers, kubelet, node_names, scheduler
from engine.controlplane.server import CONTROLLERS, KUBELET, SCHEDULER, Server, Settings


class ControlPlane:
    """API server, controllers, scheduler and nodes in this process, sharing the server's caches and logs."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.server = Server(settings)
        self._parts: list[Part] = []

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def kubeconfig(self) -> Path:
        return self.server.kubeconfig

    async def start(self) -> None:
        """Returns when requests succeed, every part is at work and the nodes are registered."""
        await self.server.start()
        self._parts = [
            controllers(self.server.client(CONTROLLERS, "kube-controller-manager")),
            scheduler(self.server.client(SCHEDULER, "kube-scheduler")),
        ]
        if self.settings.nodes:
            self._parts.append(self._kubelet())
        for part in self._parts:
            await part.start()

    def _kubelet(self) -> Part:
        names = node_names(self.settings.nodes)
        client = self.server.client(KUBELET, "kubelet")
        settings = self.settings
        part, logs = kubelet(client, names, settings.runtime, settings.data_dir, images=settings.images)
        assert self.server.logs is not None
        self.server.logs.direct(names, logs)
        return part

    async def failed(self) -> None:
        """Returns only by raising what a part failed with."""
        tasks = [asyncio.create_task(part.failed()) for part in self._parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()

    async def stop(self) -> None:
        """Containers end, controllers finish the batch in hand, then the server closes. Nothing accepted is lost."""
        await asyncio.gather(*(part.stop() for part in self._parts))
        await self.server.stop()


def calm_collector() -> None:
    """For a process that is a control plane: Python's cycle collector looks less often.

    Objects held decoded are graphs of dicts that refcounts free; each full collection walks all of them for nothing.
    With 5,000 pods the default thresholds cost a third of the time. What is loaded by now is left out for good.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)
