"""Runs the parts of one program together: informers first, then whatever reads them; stopped in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from engine.informers.informer import Informers


async def run_all(informers: Informers, programs: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Starts the informers, then each program's `run`, until cancelled or until one of them ends.

    Then the programs are stopped one by one in reverse order, each given the time it needs to finish what it has in
    hand, and the informers last. The first failure is raised again.
    """
    tasks: list[asyncio.Task[None]] = []
    try:
        await informers.start()
        tasks = [asyncio.ensure_future(_run(program)) for program in programs]
        if tasks:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        failures = [task.exception() for task in tasks if task.done() and not task.cancelled()]
        for task in reversed(tasks):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await informers.stop()
    for failure in failures:
        if failure is not None:
            raise failure


async def _run(program: Callable[[], Awaitable[None]]) -> None:
    await program()
