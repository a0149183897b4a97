"""An event loop whose clock jumps to the next timer as soon as nothing else can happen: hours pass in no time."""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`jump=False`: the clock is the real one until `skip` moves it (for tests with real sockets)."""

    def __init__(self, *, jump: bool = True) -> None:
        self.offset = 0.0
        self._jump = jump
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.offset if self._jump else super().time() + self.offset

    def skip(self, seconds: float) -> None:
        self.offset += seconds
        self.call_soon(lambda: None)

    def idle(self, seconds: float | None) -> float | None:
        """The loop would wait so long: how long it really does."""
        if not self._jump or not seconds:
            return seconds
        self.offset += seconds
        return 0


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        return super().select(self._loop.idle(timeout))


def run(main: Coroutine[Any, Any, T], *, jump: bool = True) -> T:
    """Runs a test in virtual time. One that waits for what never comes fails after a virtual day or 30 real seconds."""
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(jump=jump)) as runner:
        loop = runner.get_loop()
        task = loop.create_task(main)
        deadline = threading.Timer(30, lambda: loop.call_soon_threadsafe(task.cancel, "the test took too long"))
        deadline.start()
        try:
            return loop.run_until_complete(asyncio.wait_for(task, 24 * 3600))
        finally:
            deadline.cancel()
