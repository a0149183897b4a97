"""Runs a part until a signal: start, say ready, wait, stop within 10 s."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click

from engine.cli.exits import Failure
from engine.controlplane import Settings, calm_collector
from engine.storage.endpoints import address_of

STOP_SECONDS = 9.5  # from the signal to the exit, with a little to spare before 10


def settings_of(
    *, etcd_endpoints: str = "", storage: Any = "sqlite", kubeconfig: Path | None, **options: Any
) -> Settings:
    """The options as settings. UsageError when they contradict each other."""
    endpoints = [endpoint.strip() for endpoint in etcd_endpoints.split(",") if endpoint.strip()]
    if storage == "etcd" and not endpoints:
        raise click.UsageError("--storage etcd needs --etcd-endpoints, such as http://127.0.0.1:2379")
    for endpoint in endpoints:
        try:
            address_of(endpoint)
        except ValueError as error:
            raise click.UsageError(f"--etcd-endpoints: {error}") from None
    if endpoints and storage != "etcd":
        raise click.UsageError(f"--etcd-endpoints goes with --storage etcd, not with {storage}")
    images = dict(options.pop("images", ()))
    return Settings(storage=storage, etcd_endpoints=endpoints, kubeconfig=kubeconfig, images=images, **options)


def run_service(
    start: Callable[[], Awaitable[str]],
    stop: Callable[[], Awaitable[None]],
    failed: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Starts, prints what `start` returns, and stops on SIGTERM or SIGINT, or when `failed` returns or raises."""
    import uvloop

    calm_collector()
    uvloop.run(_serve(start, stop, failed))


async def _serve(
    start: Callable[[], Awaitable[str]],
    stop: Callable[[], Awaitable[None]],
    failed: Callable[[], Awaitable[None]] | None,
) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    waiting: list[asyncio.Future[Any]] = [asyncio.ensure_future(told.wait())]
    try:
        starting = asyncio.ensure_future(start())
        await asyncio.wait({starting, *waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            return
        click.echo(starting.result())
        if failed is not None:
            waiting.append(asyncio.ensure_future(failed()))
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not told.is_set():
            for task in done:
                task.result()
            raise Failure("a part ended by itself")
    finally:
        for task in waiting:
            task.cancel()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await stop()
        except TimeoutError as error:
            raise Failure(f"not stopped within {STOP_SECONDS:.0f} s; what was acknowledged is durable") from error
