"""Running the parts of a program together."""

from __future__ import annotations

import asyncio

import pytest

from engine.client.client import Client
from engine.informers.informer import Informers
from engine.runtime.component import run_all
from tests.informers.scripted import FOREVER, RESOURCE, ScriptedTransport, bookmark, until
from tests.informers.virtual_time import run


class Program:
    def __init__(self, name: str, story: list[str], *, fails_after: float | None = None) -> None:
        self.name, self.story, self.fails_after = name, story, fails_after

    async def run(self) -> None:
        self.story.append(f"{self.name} starts")
        try:
            if self.fails_after is None:
                await asyncio.get_running_loop().create_future()
            await asyncio.sleep(self.fails_after or 0)
            raise RuntimeError(f"{self.name} failed")
        except asyncio.CancelledError:
            await asyncio.sleep(1)
            self.story.append(f"{self.name} stops")
            raise


def test_programs_start_after_the_informers_and_stop_in_reverse() -> None:
    async def main() -> None:
        transport = ScriptedTransport([FOREVER])
        informers = Informers(Client(transport))
        informer = informers.get(RESOURCE)
        story: list[str] = []
        task = asyncio.create_task(run_all(informers, [Program("a", story).run, Program("b", story).run]))
        await asyncio.sleep(5)
        assert story == []
        transport.live.put_nowait([bookmark(5, end=True)])
        await until(lambda: len(story) == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert story == ["a starts", "b starts", "b stops", "a stops"]
        assert informer.stopped

    run(main())


def test_the_first_failure_stops_all_and_is_raised() -> None:
    async def main() -> None:
        story: list[str] = []
        programs = [Program("a", story).run, Program("b", story, fails_after=3).run, Program("c", story).run]
        with pytest.raises(RuntimeError, match="b failed"):
            await run_all(Informers(Client(ScriptedTransport())), programs)
        assert story == ["a starts", "b starts", "c starts", "c stops", "a stops"]

    run(main())
