"""Container logs: their form on disk, rotation, and every option of pods/log."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine._object import Object
from engine.api.errors import StatusError
from engine.kubelet.logs import ContainerLogs
from engine.server.podlogs import LogOptions
from tests.kubelet.harness import Clock, Runner, pod, running, shell, until


async def read(node: Runner, pod: Object, container: str = "main", **options: object) -> str:
    stream = await ContainerLogs(node.directory).open(node.pods[pod.uid], LogOptions(container, **options))  # type: ignore[arg-type]
    return b"".join([chunk async for chunk in stream]).decode()


async def finished(node: Runner, script: str) -> Object:
    job = pod("job", shell(script), restartPolicy="Never")
    node.sync(job)
    await until(lambda: node.phase(job) in ("Succeeded", "Failed"))
    return job


async def test_lines_are_kept_in_the_form_of_the_container_runtime_interface(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        job = await finished(node, "echo out; echo err >&2; printf part")
        text = (node.directory / "pods" / job.uid / "main" / "0" / "log").read_text()
        stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"
        assert sorted(re.sub(stamp, "T", line) for line in text.splitlines()) == [
            "T stderr F err",
            "T stdout F out",
            "T stdout P part",
        ]


async def test_a_log_is_what_the_container_wrote(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        job = await finished(node, "echo one; echo; echo two; printf part")
        assert await read(node, job) == "one\n\ntwo\npart"


async def test_long_lines_are_kept_in_parts_and_read_as_one(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        job = await finished(node, "python3 -c \"print('x' * 100000); print('y')\"")
        assert await read(node, job) == "x" * 100_000 + "\ny\n"
        assert await read(node, job, tail_lines=2) == "x" * 100_000 + "\ny\n"
        assert await read(node, job, tail_lines=1) == "y\n"


async def test_tail_since_limit_and_timestamps(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        job = await finished(node, "echo 1; sleep 0.01; echo 2; sleep 0.01; echo 3")
        assert await read(node, job, tail_lines=2) == "2\n3\n"
        assert await read(node, job, tail_lines=0) == ""
        assert await read(node, job, tail_lines=9) == "1\n2\n3\n"
        assert await read(node, job, limit_bytes=3) == "1\n2"
        stamped = (await read(node, job, timestamps=True)).splitlines()
        assert [line.split(" ")[1] for line in stamped] == ["1", "2", "3"]
        assert await read(node, job, since_time=stamped[1].split(" ")[0]) == "2\n3\n"
        assert await read(node, job, since_seconds=3600) == "1\n2\n3\n"
        future = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        assert await read(node, job, since_time=future) == ""


async def test_rotation_keeps_so_many_files_of_so_many_bytes(tmp_path: Path) -> None:
    async with running(tmp_path, log_bytes=4000, log_files=3) as node:
        job = await finished(node, "i=0; while [ $i -lt 400 ]; do echo line-$i; i=$((i+1)); done")
        directory = node.directory / "pods" / job.uid / "main" / "0"
        logs = sorted(path.name for path in directory.glob("log*"))
        assert logs == ["log", "log.1", "log.2"]
        assert all((directory / name).stat().st_size <= 4000 for name in logs)
        lines = (await read(node, job)).split()
        assert lines[-1] == "line-399"
        assert lines == [f"line-{n}" for n in range(400 - len(lines), 400)]
        assert len(lines) > 150
        assert (await read(node, job, tail_lines=150)).split() == lines[-150:]


async def test_follow_goes_across_rotations_and_ends_with_the_container(tmp_path: Path) -> None:
    script = "i=0; while [ $i -lt 150 ]; do echo line-$i; i=$((i+1)); sleep 0.001; done"
    async with running(tmp_path, log_bytes=2000, log_files=5) as node:
        job = pod("job", shell(script), restartPolicy="Never")
        node.sync(job)
        await until(lambda: node.log(job))
        text = await asyncio.wait_for(read(node, job, follow=True), 10)
        lines = text.split()
        assert lines == [f"line-{n}" for n in range(150 - len(lines), 150)]
        assert len(lines) > 50


async def test_follow_hands_out_lines_as_they_come(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with running(tmp_path) as node:
        job = pod("job", shell(f"echo 1; while ! test -e {gate}; do sleep 0.02; done; echo 2"), restartPolicy="Never")
        node.sync(job)
        await until(lambda: node.log(job))
        options = LogOptions("main", follow=True)
        stream: AsyncIterator[bytes] = await ContainerLogs(node.directory).open(node.pods[job.uid], options)
        assert await anext(stream) == b"1\n"
        gate.touch()
        assert await asyncio.wait_for(anext(stream), 5) == b"2\n"
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(anext(stream), 5)


async def test_previous_is_the_attempt_before(tmp_path: Path) -> None:
    clock, count = Clock(), tmp_path / "count"
    async with running(tmp_path, clock=clock) as node:
        web = pod("web", shell(f"echo x >> {count}; wc -l < {count}; exit 1"))
        node.sync(web)
        await until(lambda: "waiting" in node.container(web)["state"])
        assert await read(node, web) == "2\n"
        assert await read(node, web, previous=True) == "1\n"


async def test_refusals_have_kubernetes_words(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        web = pod("web", shell("sleep 60"), {"name": "side", "image": "none"})
        node.sync(web)
        await until(lambda: node.log(web) == [] and "running" in node.container(web)["state"])
        with pytest.raises(StatusError) as refusal:
            await read(node, web, previous=True)
        assert refusal.value.code == 400
        assert refusal.value.message == 'previous terminated container "main" in pod "web" not found'
        with pytest.raises(StatusError) as refusal:
            await read(node, web, container="side")
        assert refusal.value.message == 'container "side" in pod "web" is waiting to start: ImageNotMapped'
