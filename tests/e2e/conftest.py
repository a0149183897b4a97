"""Real processes, real kubectl: a control plane as its users start it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

BIN = Path(sys.executable).parent
DEADLINE_SECONDS = 60.0


def until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS) -> Any:
    """The first true value of `condition`, asked again until then; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.05)


class Cluster:
    """An `engine up` in its own process on one data directory, which may be killed and started again."""

    command = "up"

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"
        self.arguments = arguments
        self.log = folder / "engine.log"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> Cluster:
        command = [
            str(BIN / "engine"),
            self.command,
            "--data-dir",
            str(self.folder / "data"),
            "--listen",
            "127.0.0.1:0",
        ]
        command += ["--kubeconfig", str(self.kubeconfig), *self.arguments]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line.startswith("ready https://"), f"not ready: {line!r}\n{self.log.read_text()[-4000:]}"
        return self

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def kill(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        assert self.process
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)

    def kubectl(
        self, *words: str, check: bool = True, stdin: str | None = None, timeout: float = 90
    ) -> subprocess.CompletedProcess[str]:
        command = [str(BIN / "kubectl"), "--kubeconfig", str(self.kubeconfig), *words]
        environment = {**os.environ, "HOME": str(self.folder)}  # its discovery cache lives there
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, input=stdin, timeout=timeout, env=environment
        )
        if check and done.returncode:
            said = f"{done.stdout}\n{done.stderr}\n{self.log.read_text()[-3000:]}"
            pytest.fail(f"kubectl {' '.join(words)}: exit {done.returncode}\n{said}")
        return done

    def json(self, *words: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.kubectl(*words, "--output=json").stdout)
        return value

    def pods(self, selector: str = "") -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.json("get", "pods", *([f"--selector={selector}"] if selector else []))[
            "items"
        ]
        return items


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    """Starts control planes; afterwards stops what still runs, and no log may hold a traceback."""
    started: list[Cluster] = []

    def start(*arguments: str) -> Cluster:
        made = Cluster(tmp_path, *arguments)
        started.append(made)
        return made.start()

    yield start
    for made in started:
        if made.process and made.process.poll() is None:
            made.stop()
        assert "Traceback" not in made.log.read_text()
