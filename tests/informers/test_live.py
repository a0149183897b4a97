"""Informers on the real server: over HTTPS and in process they tell the same story."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from engine.api.resource import CONFIGMAPS
from engine.client.client import Client
from engine.client.https import HTTPSTransport
from engine.client.kubeconfig import load
from engine.informers.informer import Change, Informer, Informers, Subscription
from engine.server.http import HTTPServer
from tests.client.live import Live, config_map, live
from tests.informers.test_subscription import replayed


async def churn(client: Client, steps: int, seed: int) -> None:
    """Creates, changes and deletes config maps at random, in batches."""
    rng = random.Random(seed)
    alive: set[str] = set()
    for _ in range(steps):
        operations = []
        for name in {f"c{rng.randrange(40)}" for _ in range(8)}:
            if name not in alive:
                operations.append(client.creating(CONFIGMAPS, "default", config_map(name, n=str(rng.random()))))
                alive.add(name)
            elif rng.random() < 0.3:
                operations.append(client.deleting(CONFIGMAPS, "default", name))
                alive.discard(name)
            else:
                operations.append(client.patching(CONFIGMAPS, "default", name, {"data": {"n": str(rng.random())}}))
        await client.batch(operations)
        await asyncio.sleep(0)


async def followed(subscription: Subscription, seen: dict[str, int], version: int, informer: Informer) -> None:
    """Reads until the consumer is where the server is."""
    async with asyncio.timeout(20):
        while informer.cache.resource_version < version:
            replayed(subscription.next_batch(), seen)
            await subscription.wait()
    while changes := subscription.next_batch():
        replayed(changes, seen)


def newest(server: Live) -> dict[str, int]:
    return {obj.key: obj.resource_version for obj in server.api.store.table(CONFIGMAPS).cache.list()}


@pytest.mark.parametrize("side", ["remote", "local"])
async def test_a_consumer_follows_the_server_through_churn(tmp_path: Path, side: str) -> None:
    async with live(tmp_path) as server:
        informers = Informers(server.remote if side == "remote" else server.local)
        informer = informers.get(CONFIGMAPS)
        await churn(server.local, 5, seed=0)
        await informers.start()
        subscription, seen = informer.subscribe(), dict[str, int]()
        await churn(server.local, 60, seed=1)
        await server.local.create(CONFIGMAPS, "default", config_map("last"))
        await followed(subscription, seen, server.api.store.revision, informer)
        assert seen == newest(server) == {obj.key: obj.resource_version for obj in informer.cache.list()}
        await informers.stop()


async def test_an_informer_comes_back_when_the_server_does(tmp_path: Path) -> None:
    async with live(tmp_path) as server:
        informers = Informers(server.remote)
        informer = informers.get(CONFIGMAPS)
        await informers.start()
        subscription, seen = informer.subscribe(), dict[str, int]()
        await churn(server.local, 10, seed=1)
        address = load(server.kubeconfig).server.rpartition("//")[2]
        host, _, port = address.partition(":")
        for round in range(2):
            await server.front.stop()
            await churn(server.local, 10, seed=2 + round)
            context = server.front._context
            server.front = HTTPServer(server.api, context)
            await server.front.start(host, int(port))
            if round:
                server.api.store.table(CONFIGMAPS).log.expire()  # history is gone: a relist has to find the deletions
        await server.local.create(CONFIGMAPS, "default", config_map("last"))
        await followed(subscription, seen, server.api.store.revision, informer)
        assert seen == newest(server)
        await informers.stop()


async def test_selectors_show_the_same_part_over_https_and_in_process(tmp_path: Path) -> None:
    async with live(tmp_path) as server:

        def labelled(name: str, app: str) -> dict[str, object]:
            return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": app}}}

        await server.local.batch(
            [server.local.creating(CONFIGMAPS, "default", labelled(f"c{n}", f"a{n % 2}")) for n in range(6)]
        )
        found: list[list[tuple[str, str, int]]] = []
        for client in (server.remote, server.local):
            informers = Informers(client)
            informer = informers.get(CONFIGMAPS, namespace="default", label_selector="app=a1")
            await informers.start()
            subscription = informer.subscribe()
            told: list[Change] = subscription.next_batch()
            move = {"metadata": {"labels": {"app": "a0"}}}
            gone = await client.patch(CONFIGMAPS, "default", "c1", move)
            async with asyncio.timeout(10):
                while told[-1].type != "DELETED":
                    await subscription.wait()
                    told += subscription.next_batch()
            assert told[-1].object.resource_version == gone.resource_version
            assert informer.cache.keys() == ["default/c3", "default/c5"]
            found.append([(change.type, change.object.name, len(change.object.raw)) for change in told])
            await informers.stop()
            await client.patch(CONFIGMAPS, "default", "c1", {"metadata": {"labels": {"app": "a1"}}})
        assert [entry[:2] for entry in found[0]] == [entry[:2] for entry in found[1]]


async def test_a_second_transport_shares_nothing_with_the_first(tmp_path: Path) -> None:
    async with live(tmp_path) as server:
        other = HTTPSTransport(load(server.kubeconfig))
        informers = [Informers(server.remote), Informers(Client(other))]
        caches = [each.get(CONFIGMAPS).cache for each in informers]
        for each in informers:
            await each.start()
        assert caches[0] is not caches[1]
        for each in informers:
            await each.stop()
        await other.close()
