"""The parts alone: each its own process, over HTTPS against any API server."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import click

from engine import controlplane, logs
from engine.cli.exits import Failure
from engine.cli.options import Address, kubeconfig_option, listen_option, log_options, node_options, storage_options
from engine.cli.service import run_service, settings_of
from engine.client.client import Client
from engine.client.kubeconfig import ClusterConfig, ConfigError, load
from engine.controlplane import Part, Server


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

    Prints `ready https://HOST:PORT kubeconfig=PATH`. Writes a kubeconfig for each other part:
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
    _run(kubeconfig, "kube-controller-manager", lambda client, _: controlplane.controllers(client))


@click.command()
@kubeconfig_option
@log_options
def scheduler(kubeconfig: Path, log_level: str, log_format: str) -> None:
    """Run the scheduler."""
    logs.configure(level=log_level, format=log_format)
    _run(kubeconfig, "kube-scheduler", lambda client, _: controlplane.scheduler(client))


@click.command()
@kubeconfig_option
@node_options
@click.option("--node-name", metavar="NAME", help="The one node's name, instead of node-1 … node-N.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("engine-data"),
    show_default=True,
    help="Where the serving certificate and, with the runtime process, the containers' state live.",
)
@click.option(
    "--listen",
    type=Address(),
    default="127.0.0.1:0",
    show_default=True,
    help="Where HTTPS is served to the API server, and so the nodes' address; port 0 takes a free one.",
)
@log_options
def kubelet(
    kubeconfig: Path,
    nodes: int,
    runtime: Any,
    images: Any,
    node_name: str | None,
    data_dir: Path,
    listen: tuple[str, int],
    log_level: str,
    log_format: str,
) -> None:
    """Run one or many nodes."""
    logs.configure(level=log_level, format=log_format)
    if node_name is not None and nodes != 1:
        raise click.UsageError(f"--node-name names one node, but --nodes is {nodes}")
    if _is_any_address(listen[0]):
        raise click.UsageError(f"--listen {listen[0]} is no address at which the API server could reach this kubelet")
    names = [node_name] if node_name else controlplane.node_names(nodes)

    def build(client: Client, config: ClusterConfig) -> Part:
        part, _ = controlplane.kubelet(
            client, names, runtime, data_dir, images=dict(images), listen=listen, client_ca=config.ca
        )
        return part

    _run(kubeconfig, "kubelet", build)


def _is_any_address(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def _run(kubeconfig: Path, manager: str, build: Callable[[Client, ClusterConfig], Part]) -> None:
    """One part against the server of a kubeconfig, until a signal."""
    from engine.client.https import HTTPSTransport

    try:
        config = load(kubeconfig)
    except ConfigError as error:
        raise Failure(str(error)) from error
    opened: list[tuple[Part, HTTPSTransport]] = []

    async def start() -> str:
        transport = HTTPSTransport(config)
        part = build(Client(transport, manager=manager), config)
        opened.append((part, transport))
        await part.start()
        return f"ready {part.name}"

    async def failed() -> None:
        await opened[0][0].failed()

    async def stop() -> None:
        for part, transport in opened:
            await part.stop()
            await transport.close()

    run_service(start, stop, failed)
