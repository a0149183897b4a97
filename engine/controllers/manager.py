"""All controllers of the control plane, as one program."""

from __future__ import annotations

import asyncio

from engine.client.client import Client
from engine.controllers.deployment import DeploymentController
from engine.controllers.garbagecollector import GarbageCollector
from engine.controllers.nodelifecycle import NodeLifecycleController, Settings
from engine.controllers.replicaset import ReplicaSetController
from engine.informers.informer import Informers
from engine.runtime.events import EventRecorder


class ControllerManager:
    """Builds every controller over shared informers. Start the informers after this is made and before it runs."""

    def __init__(self, client: Client, informers: Informers, *, nodes: Settings = Settings()) -> None:  # noqa: B008 - frozen
        recorders = {name: EventRecorder(client, name) for name in ("deployment-controller", "replicaset-controller")}
        node_recorder = EventRecorder(client, "node-controller")
        self.deployments = DeploymentController(client, informers, recorders["deployment-controller"])
        self.replicasets = ReplicaSetController(client, informers, recorders["replicaset-controller"])
        self.garbage = GarbageCollector(client, informers)
        self.nodes = NodeLifecycleController(client, informers, node_recorder, nodes)
        self._recorders = [*recorders.values(), node_recorder]

    async def run(self) -> None:
        """Until cancelled. A controller that ends by an error ends all, with that error."""
        async with asyncio.TaskGroup() as tasks:
            for recorder in self._recorders:
                tasks.create_task(recorder.run())
            for program in (self.deployments, self.replicasets, self.garbage, self.nodes):
                tasks.create_task(program.run())
