"""The controller loop: what reaches reconcile, when, and what becomes of its answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from engine._workqueue import WorkQueue
from engine.client.client import Client
from engine.informers.informer import Change, Informer
from engine.runtime.controller import Controller, Reconcile, Requeue, Result, Source, controller_of, own_key
from tests.informers.scripted import FOREVER, RESOURCE, ScriptedTransport, added, bookmark, pod, until
from tests.informers.test_subscription import LendingTransport
from tests.informers.virtual_time import run


@asynccontextmanager
async def controlling(
    transport: ScriptedTransport, reconcile: Reconcile, *, batch: int = 100
) -> AsyncGenerator[Controller, None]:
    queue = WorkQueue(clock=asyncio.get_running_loop().time)
    sources = [Source(Informer(Client(transport), RESOURCE), own_key)]
    controller = Controller("test", sources, reconcile, batch=batch, queue=queue)
    task = asyncio.create_task(controller.run())
    try:
        yield controller
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Recorder:
    """A reconcile that remembers its calls; `answers` are given once each."""

    def __init__(self, seconds: float = 0.0, **answers: list[Result]) -> None:
        self.seconds = seconds
        self.calls: list[list[str]] = []
        self.times: list[float] = []
        self.answers = {f"default/{name}": results for name, results in answers.items()}

    async def __call__(self, keys: Sequence[str]) -> Mapping[str, Result]:
        self.calls.append(list(keys))
        self.times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.seconds)
        return {key: self.answers[key].pop(0) for key in keys if self.answers.get(key)}

    def times_of(self, key: str) -> list[float]:
        return [at for at, keys in zip(self.times, self.calls, strict=True) if key in keys]


def test_every_key_of_the_initial_content_is_reconciled_in_batches() -> None:
    async def main() -> None:
        transport, reconcile = LendingTransport(), Recorder()
        transport.cache.apply_batch([("ADDED", pod(f"p{number}", number + 1)) for number in range(25)])
        async with controlling(transport, reconcile, batch=10):
            await until(lambda: len(reconcile.calls) == 3)
            assert [len(keys) for keys in reconcile.calls] == [10, 10, 5]
            assert len({key for keys in reconcile.calls for key in keys}) == 25

    run(main())


def test_nothing_is_reconciled_before_every_source_is_synced_and_drained() -> None:
    async def main() -> None:
        ready, late = LendingTransport(), ScriptedTransport([[added(pod("b", 1))], FOREVER])
        ready.cache.apply("ADDED", pod("a", 1))
        second = Informer(Client(late), RESOURCE)
        feeding = asyncio.create_task(second.run())
        reconcile = Recorder()
        sources = [Source(Informer(Client(ready), RESOURCE), own_key), Source(second, own_key)]
        task = asyncio.create_task(Controller("test", sources, reconcile).run())
        await asyncio.sleep(5)
        assert not reconcile.calls
        late.live.put_nowait([bookmark(5, end=True)])
        await until(lambda: bool(reconcile.calls))
        assert sorted(reconcile.calls[0]) == ["default/a", "default/b"]
        feeding.cancel()
        task.cancel()

    run(main())


def test_changes_overtake_the_initial_content() -> None:
    async def main() -> None:
        transport, reconcile = LendingTransport(), Recorder(seconds=1)
        transport.cache.apply_batch([("ADDED", pod(f"p{number}", number + 1)) for number in range(30)])
        async with controlling(transport, reconcile, batch=10):
            await until(lambda: bool(reconcile.calls))
            transport.cache.apply("ADDED", pod("new", 50))
            await until(lambda: len(reconcile.calls) == 4)
            assert "default/new" in reconcile.calls[1]

    run(main())


def test_many_changes_of_a_key_during_its_reconcile_are_one_more() -> None:
    async def main() -> None:
        transport = LendingTransport()
        calls: list[str] = []
        busy: set[str] = set()
        release = asyncio.Event()

        async def reconcile(keys: Sequence[str]) -> Mapping[str, Result]:
            assert not busy.intersection(keys)  # never two reconciles of a key
            busy.update(keys)
            calls.extend(keys)
            await release.wait()
            busy.difference_update(keys)
            return {}

        async with controlling(transport, reconcile):
            transport.cache.apply("ADDED", pod("a", 1))
            await until(lambda: calls == ["default/a"])
            for version in range(2, 50):
                transport.cache.apply("MODIFIED", pod("a", version))
                await asyncio.sleep(0.001)
            release.set()
            await until(lambda: len(calls) == 2)
            await asyncio.sleep(10)
            assert calls == ["default/a"] * 2

    run(main())


def test_an_exception_in_the_answer_is_retried_with_backoff_until_it_succeeds() -> None:
    async def main() -> None:
        transport = LendingTransport()
        reconcile = Recorder(a=[ValueError("no")] * 10)
        async with controlling(transport, reconcile) as controller:
            transport.cache.apply_batch([("ADDED", pod("a", 1)), ("ADDED", pod("b", 2))])
            await until(lambda: len(reconcile.times_of("default/a")) == 11)
            assert len(reconcile.times_of("default/b")) == 1
            times = reconcile.times_of("default/a")
            gaps = [b - a for a, b in pairwise(times)]
            assert gaps == pytest.approx([0.005 * 2**number for number in range(10)], abs=0.011)
            await until(lambda: controller.queue.failures("default/a") == 0)

    run(main())


def test_a_failure_is_logged_once_with_its_key_and_reason(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        transport, reconcile = LendingTransport(), Recorder(a=[ValueError("the reason")])
        async with controlling(transport, reconcile):
            transport.cache.apply("ADDED", pod("a", 1))
            await until(lambda: len(reconcile.calls) == 2)

    with caplog.at_level(logging.INFO):
        run(main())
    (message,) = [record.getMessage() for record in caplog.records]
    assert "default/a" in message
    assert "the reason" in message


def test_requeue_comes_again_after_its_time_and_forgets_failures() -> None:
    async def main() -> None:
        transport, reconcile = LendingTransport(), Recorder(a=[ValueError("no"), Requeue(60.0)])
        async with controlling(transport, reconcile) as controller:
            transport.cache.apply("ADDED", pod("a", 1))
            await until(lambda: len(reconcile.calls) == 3)
            assert reconcile.times[2] - reconcile.times[1] == pytest.approx(60, abs=0.01)
            assert controller.queue.failures("default/a") == 0

    run(main())


def test_one_bad_key_does_not_hold_up_the_batch_it_came_in() -> None:
    async def main() -> None:
        transport = LendingTransport()
        succeeded: list[str] = []

        async def reconcile(keys: Sequence[str]) -> Mapping[str, Result]:
            if "default/bad" in keys:
                raise RuntimeError("bad key")
            succeeded.extend(keys)
            return {}

        async with controlling(transport, reconcile):
            transport.cache.apply_batch([("ADDED", pod(name, 1)) for name in ("a", "bad", "c")])
            await until(lambda: len(succeeded) == 2)
            assert sorted(succeeded) == ["default/a", "default/c"]
            transport.cache.apply("MODIFIED", pod("a", 5))
            await until(lambda: len(succeeded) == 3)

    run(main())


def test_cancelling_finishes_the_batch_in_progress() -> None:
    async def main() -> None:
        transport = LendingTransport()
        transport.cache.apply("ADDED", pod("a", 1))
        events: list[str] = []

        async def reconcile(keys: Sequence[str]) -> Mapping[str, Result]:
            events.append("started")
            await asyncio.sleep(5)
            events.append("finished")
            return {}

        async with controlling(transport, reconcile) as controller:
            await until(lambda: bool(events))
        assert events == ["started", "finished"]
        assert controller.queue.take(10) == []

    run(main())


def test_a_mapper_that_fails_on_one_object_loses_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        transport, reconcile = LendingTransport(), Recorder()

        def keys(change: Change) -> list[str]:
            if change.object.name == "bad":
                raise KeyError("spec")
            return [change.key]

        controller = Controller("test", [Source(Informer(Client(transport), RESOURCE), keys)], reconcile)
        task = asyncio.create_task(controller.run())
        transport.cache.apply_batch([("ADDED", pod(name, 1)) for name in ("a", "bad", "c")])
        await until(lambda: bool(reconcile.calls))
        assert sorted(reconcile.calls[0]) == ["default/a", "default/c"]
        task.cancel()

    run(main())
    assert "default/bad" in caplog.text


def test_a_source_that_fails_is_read_again(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        transport, reconcile = LendingTransport(), Recorder()
        informer = Informer(Client(transport), RESOURCE)
        subscription = informer.subscribe()
        read, failures = subscription.next_batch, [OSError("broken")]

        def next_batch(max_changes: int = 1000) -> list[Change]:
            if failures:
                raise failures.pop()
            return read(max_changes)

        monkeypatch.setattr(subscription, "next_batch", next_batch, raising=False)
        monkeypatch.setattr(informer, "subscribe", lambda: subscription)
        transport.cache.apply("ADDED", pod("a", 1))
        task = asyncio.create_task(Controller("test", [Source(informer, own_key)], reconcile).run())
        await until(lambda: bool(reconcile.calls))
        task.cancel()

    run(main())
    assert "reading pods failed" in caplog.text


def owned(name: str, *owners: tuple[str, str, bool]) -> Change:
    references = [{"kind": kind, "name": owner, "uid": owner, "controller": leads} for kind, owner, leads in owners]
    document = pod(name, 1).to_dict()
    document["metadata"]["ownerReferences"] = references
    return Change("ADDED", f"default/{name}", type(pod(name, 1))(document))


def test_controller_of_maps_to_the_controlling_owner_of_old_and_new() -> None:
    keys = controller_of("ReplicaSet")
    one = owned("p", ("ReplicaSet", "rs", True), ("Job", "j", False))
    two = owned("p", ("ReplicaSet", "other", True))
    assert list(keys(one)) == ["default/rs"]
    assert list(keys(two._replace(old=one.object))) == ["default/other", "default/rs"]
    assert list(keys(one._replace(old=one.object))) == ["default/rs"]
    assert list(keys(owned("p", ("ReplicaSet", "rs", False)))) == []
    assert list(keys(owned("p", ("Job", "j", True)))) == []
