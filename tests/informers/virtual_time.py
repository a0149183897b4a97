"""An event loop whose clock jumps to the next timer as soon as nothing else can happen: hours pass in no time."""

from __future__ import annotations

import asyncio
import selectors
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
    """Runs a test in virtual time. A test that waits for what never comes fails at once, or after 60 s of real time."""
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(jump=jump)) as runner:
        return runner.run(asyncio.wait_for(main, 24 * 3600 if jump else 60))
