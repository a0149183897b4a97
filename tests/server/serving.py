"""A whole API server on a memory store behind real HTTPS, and a client that says exactly what a test wants to say."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from engine.api.kinds import KindTable
from engine.server.apiserver import APIServer
from engine.server.authentication import Authenticator
from engine.server.certificates import Certificates
from engine.server.http import HTTPServer
from engine.server.request import ADMIN
from engine.storage import open_store
from engine.storage.store import Store


@dataclass(frozen=True)
class Answer:
    """What came back; `warnings` are the Warning headers as they stood."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str]
    warnings: list[str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.body.splitlines()]


class Serving:
    """A server and its HTTPS address."""

    def __init__(self, api: APIServer, front: HTTPServer, certificates: Certificates, url: str) -> None:
        self.api = api
        self.front = front
        self.certificates = certificates
        self.url = url
        self.context = ssl.create_default_context(cafile=str(certificates.authority))
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self.context), auto_decompress=True)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; `body` is bytes, text, or becomes JSON. `token` None is the administrator's, "" is nobody's."""
        sent = {"Accept": accept, "User-Agent": "", **(headers or {})}
        data: bytes | None = None
        if body is not None:
            data = (
                body
                if isinstance(body, bytes)
                else body.encode()
                if isinstance(body, str)
                else json.dumps(body).encode()
            )
            sent.setdefault("Content-Type", content_type)
        token = self.certificates.token if token is None else token
        if token:
            sent["Authorization"] = f"Bearer {token}"
        url = URL(self.url + path, encoded=True)
        async with self.session.request(
            method, url, data=data, headers=sent, skip_auto_headers=["Content-Type"]
        ) as got:
            content = await got.read()
            kind = got.headers.get("Content-Type", "")
            return Answer(got.status, kind, content, got.headers, got.headers.getall("Warning", []))


@asynccontextmanager
async def serving(directory: Path, **options: Any) -> AsyncIterator[Serving]:
    """Runs one until the block ends. `options` go to the APIServer."""
    kinds = KindTable.builtin()
    store: Store = open_store("memory", {kind.resource: kind.indexes for kind in kinds})
    await store.start()
    certificates = Certificates.open(directory)
    api = APIServer(store, kinds, authenticator=Authenticator({certificates.token: ADMIN}), **options)
    await api.start()
    front = HTTPServer(api, certificates.server_context())
    host, port = await front.start("127.0.0.1", 0)
    api.reached_at(f"{host}:{port}")
    served = Serving(api, front, certificates, f"https://{host}:{port}")
    try:
        yield served
    finally:
        await served.session.close()
        await front.stop()
        await store.close()
