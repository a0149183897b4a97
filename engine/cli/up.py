"""`engine up`: the whole control plane in one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from engine import logs
from engine.cli.options import listen_option, log_options, node_options, storage_options
from engine.cli.service import run_service, settings_of
from engine.controlplane import ControlPlane


@click.command()
@storage_options
@listen_option
@node_options
@click.option(
    "--kubeconfig",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the administrator's kubeconfig.  [default: DATA_DIR/kubeconfig]",
)
@log_options
def up(kubeconfig: Path | None, log_level: str, log_format: str, **options: Any) -> None:
    """Run API server, store, controllers, scheduler and nodes in this process.

    Prints one line when the first request would succeed: `ready https://HOST:PORT kubeconfig=PATH`. Logs to standard
    error. SIGTERM and SIGINT stop it within 10 s; nothing is lost, and pods start again with the next `engine up`.
    """
    logs.configure(level=log_level, format=log_format)
    plane = ControlPlane(settings_of(kubeconfig=kubeconfig, **options))

    async def start() -> str:
        await plane.start()
        return f"ready {plane.url} kubeconfig={plane.kubeconfig}"

    run_service(start, plane.stop, plane.failed)
