"""Stores to test: each kind for real, etcd included."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from engine.storage import open_store
from engine.storage.store import Store
from tests.storage.servers import Etcd
from tests.storage.writes import RESOURCES


@pytest.fixture(scope="session")
def etcd_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """One server for the tests that do not stop it."""
    server = new_etcd(tmp_path_factory.mktemp("etcd") / "shared")
    yield server
    server.kill()


@pytest.fixture
def own_etcd(tmp_path: Path) -> Iterator[Etcd]:
    server = new_etcd(tmp_path / "etcd")
    yield server
    server.kill()


def new_etcd(data_dir: Path) -> Etcd:
    if shutil.which("etcd") is None:
        pytest.skip("no `etcd` on PATH: the etcd store is tested against the real server only (Debian: etcd-server)")
    server = Etcd(data_dir)
    server.start()
    return server


Opener = Callable[[], Awaitable[Store]]


@pytest_asyncio.fixture(params=["memory", "sqlite", "etcd"])
async def opener(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opener]:
    """Opens a started store; every call after the first opens the same data again."""
    opened: list[Store] = []
    endpoints = []
    if request.param == "etcd":
        server: Etcd = request.getfixturevalue("etcd_server")
        server.wipe()
        endpoints = [server.endpoint]

    async def open_again() -> Store:
        store = open_store(request.param, RESOURCES, data_dir=tmp_path / "data", endpoints=endpoints)
        await store.start()
        opened.append(store)
        return store

    yield open_again
    for store in opened:
        await store.close()


@pytest_asyncio.fixture
async def store(opener: Opener) -> Store:
    return await opener()
