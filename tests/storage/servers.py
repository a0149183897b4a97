"""A real etcd to test against, and waiting for conditions."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

DEADLINE_SECONDS = 10.0


class Etcd:
    """An etcd server of our own, on free ports."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._client, self._peer = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return self._client

    def start(self) -> None:
        command = ["etcd", "--data-dir", str(self.data_dir), "--log-level", "error"]
        command += ["--listen-client-urls", self._client, "--advertise-client-urls", self._client]
        command += ["--listen-peer-urls", self._peer, "--initial-advertise-peer-urls", self._peer]
        command += ["--initial-cluster", f"default={self._peer}", "--initial-election-tick-advance=true"]
        command += ["--heartbeat-interval", "20", "--election-timeout", "200"]
        with open(str(self.data_dir) + ".out", "ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        wait_until(self._healthy)

    def _healthy(self) -> bool:
        try:
            with urlopen(f"{self._client}/health", timeout=1) as answer:
                return b'"true"' in answer.read()
        except (OSError, URLError):
            return False

    def wipe(self) -> None:
        """Deletes every key."""
        self._post("/v3/kv/deleterange", {"key": "AA==", "range_end": "AA=="})

    def put(self, key: str, value: bytes) -> None:
        self._post("/v3/kv/put", {"key": b64encode(key.encode()).decode(), "value": b64encode(value).decode()})

    def get(self, key: str) -> bytes:
        (found,) = self._post("/v3/kv/range", {"key": b64encode(key.encode()).decode()})["kvs"]
        return b64decode(found["value"])

    def compact(self, revision: int) -> None:
        self._post("/v3/kv/compaction", {"revision": revision, "physical": True})

    def metric(self, name: str) -> float:
        with urlopen(f"{self._client}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return float(next(line for line in lines if line.startswith(name + " ")).split()[1])

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        with urlopen(self._client + path, data=json.dumps(body).encode(), timeout=5) as answer:
            return json.load(answer)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], seconds: float = DEADLINE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{condition} did not come true within {seconds} s"
        time.sleep(0.02)


async def eventually(condition: Callable[[], bool], seconds: float = DEADLINE_SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
