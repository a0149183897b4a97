"""The parts alone: each its own process, over HTTPS against any API server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from engine import controlplane, logs
from engine.cli.exits import Failure
from engine.cli.options import kubeconfig_option, listen_option, log_options, node_options, storage_options
from engine.cli.service import run_service, settings_of
from engine.client.client import Client
from engine.controlplane import Program, Server
from engine.informers.informer import Informers
from engine.runtime.component import run_all

Build = Callable[[Client, Informers], Sequence[Program]]


@click.command()
@storage_options
@listen_option
@click.option(
    "--kubeconfig",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the administrator's kubeconfig.  [default: DATA_DIR/kubeconfig]",
)
@log_options
def apiserver(kubeconfig: Path | None, log_level: str, log_format: str, **options: Any) -> None:
    """Run the API server and its store alone.

    Prints `ready https://HOST:PORT kubeconfig=PATH`. Writes a kubeconfig for each other part beside the first:
    DATA_DIR/controllers.kubeconfig, scheduler.kubeconfig and kubelet.kubeconfig.
    """
    logs.configure(level=log_level, format=log_format)
    server = Server(settings_of(kubeconfig=kubeconfig, **options))

    async def start() -> str:
        await server.start()
        server.write_component_kubeconfigs()
        return f"ready {server.url} kubeconfig={server.kubeconfig}"

    run_service(start, server.stop)


@click.command()
@kubeconfig_option
@log_options
def controllers(kubeconfig: Path, log_level: str, log_format: str) -> None:
    """Run the controllers: Deployment, ReplicaSet, garbage collection, node lifecycle."""
    logs.configure(level=log_level, format=log_format)
    _run(kubeconfig, "kube-controller-manager", controlplane.controllers)


@click.command()
@kubeconfig_option
@log_options
def scheduler(kubeconfig: Path, log_level: str, log_format: str) -> None:
    """Run the scheduler."""
    logs.configure(level=log_level, format=log_format)
    _run(kubeconfig, "kube-scheduler", controlplane.scheduler)


@click.command()
@kubeconfig_option
@node_options
@click.option("--node-name", metavar="NAME", help="The one node's name, instead of node-1 … node-N.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("engine-data"),
    show_default="./engine-data",
    help="Where the containers' state lives (runtime process).",
)
@log_options
def kubelet(
    kubeconfig: Path, nodes: int, runtime: Any, node_name: str | None, data_dir: Path, log_level: str, log_format: str
) -> None:
    """Run one or many nodes."""
    logs.configure(level=log_level, format=log_format)
    if node_name is not None and nodes != 1:
        raise click.UsageError(f"--node-name names one node, but --nodes is {nodes}")
    names = [node_name] if node_name else controlplane.node_names(nodes)

    def build(client: Client, informers: Informers) -> Sequence[Program]:
        return controlplane.kubelet(client, informers, names, runtime, data_dir)[1]

    _run(kubeconfig, "kubelet", build)


def _run(kubeconfig: Path, manager: str, build: Build) -> None:
    """One program against the server of a kubeconfig, until a signal."""
    from engine.client.https import HTTPSTransport
    from engine.client.kubeconfig import ConfigError, load

    try:
        config = load(kubeconfig)
    except ConfigError as error:
        raise Failure(str(error)) from error
    task: asyncio.Task[None] | None = None
    transport: HTTPSTransport | None = None

    async def start() -> str:
        nonlocal task, transport
        transport = HTTPSTransport(config)
        client = Client(transport, manager=manager)
        informers = Informers(client)
        begun = asyncio.Event()
        programs = [controlplane.when_running(begun), *build(client, informers)]
        task = asyncio.create_task(run_all(informers, programs), name=manager)
        waiting = asyncio.create_task(begun.wait())
        await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            task.result()
        return f"ready {manager}"

    async def stop() -> None:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if transport is not None:
            await transport.close()

    async def failed() -> None:
        assert task is not None
        await task

    run_service(start, stop, failed)
