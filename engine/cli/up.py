"""`engine up`: the whole control plane in one process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path

import click

from engine import logs
from engine.cli.options import listen_option, log_options, node_options, storage_options
from engine.controlplane import ControlPlane, Settings

STOP_SECONDS = 10.0  # from SIGTERM to the exit


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
def up(kubeconfig: Path | None, log_level: str, log_format: str, **options: object) -> None:
    """Run API server, store, controllers, scheduler and nodes in this process.

    Prints one line when the first request would succeed: `ready https://HOST:PORT kubeconfig=PATH`. Logs to standard
    error. SIGTERM and SIGINT stop it within 10 s; nothing is lost, and pods start again with the next `engine up`.
    """
    logs.configure(level=log_level, format=log_format)
    settings = Settings.of(kubeconfig=kubeconfig, **options)
    run_until_stopped(ControlPlane(settings))


def run_until_stopped(plane: ControlPlane) -> None:
    """Starts it, says that it is ready, and stops it on the first signal."""
    import uvloop

    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_serve(plane))


async def _serve(plane: ControlPlane) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        await plane.start()
        click.echo(f"ready {plane.url} kubeconfig={plane.kubeconfig}")
        failed = asyncio.ensure_future(plane.failed())
        told = asyncio.ensure_future(stopped.wait())
        await asyncio.wait({failed, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if failed.done():
            failed.result()
        failed.cancel()
    finally:
        async with asyncio.timeout(STOP_SECONDS):
            await plane.stop()
