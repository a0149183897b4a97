"""Containers survive the control plane, are adopted by the next, and never start twice."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine._object import Object
from engine.kubelet.attempt import MARKER, Attempt, Launch, settle
from tests.kubelet.harness import pod, running, shell, until

FOREVER = "while :; do sleep 60; done"
ROOT = Path(__file__).parents[2]


async def host(directory: Path, pods: Sequence[Object]) -> asyncio.subprocess.Process:
    """A process that runs these pods."""
    manifest = directory / "pods.json"
    manifest.write_text(json.dumps([pod.to_dict() for pod in pods]))
    words = [sys.executable, "-m", "tests.kubelet.host", str(directory), str(manifest)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE, env=env, cwd=ROOT)
    assert process.stdout
    assert await process.stdout.readline() == b"up\n"
    return process


async def kill(process: asyncio.subprocess.Process) -> None:
    process.kill()
    await process.wait()


def living(uid: str) -> list[int]:
    """The processes that carry the pod's marker."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                marks = [
                    e for e in (entry / "environ").read_bytes().split(b"\0") if e.startswith(f"{MARKER}=".encode())
                ]
                if any(f"/{uid}/".encode() in mark for mark in marks):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


async def test_a_container_survives_sigkill_of_the_control_plane_and_is_adopted(tmp_path: Path) -> None:
    web = pod("web", shell(f"echo started; {FOREVER}"))
    log = tmp_path / "data" / "pods" / web.uid / "main" / "0" / "log"
    first = await host(tmp_path, [web])
    await until(lambda: log.exists() and "started" in log.read_text())
    await kill(first)
    before = living(web.uid)
    assert before
    async with running(tmp_path) as node:
        node.sync(web)
        await until(lambda: node.phase(web) == "Running")
        assert living(web.uid) == before
        assert node.container(web)["restartCount"] == 0
        assert node.log(web) == ["started"]
        os.kill(node.pid(web), signal.SIGKILL)  # its end is seen although it is nobody's child here
        await until(lambda: node.container(web)["restartCount"] == 1)


async def test_an_end_that_nobody_saw_is_on_record(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job = pod("job", shell(f"while ! test -e {gate}; do sleep 0.02; done; exit 4"), restartPolicy="Never")
    state = tmp_path / "data" / "pods" / job.uid / "main" / "0" / "state"
    first = await host(tmp_path, [job])
    await until(lambda: state.exists() and "pid=" in state.read_text())
    await kill(first)
    gate.touch()
    await until((state.parent / "exit").exists)
    async with running(tmp_path) as node:
        node.sync(job)
        await until(lambda: node.phase(job) == "Failed")
        assert node.container(job)["state"]["terminated"]["exitCode"] == 4


async def test_an_adopted_pod_keeps_its_address(tmp_path: Path) -> None:
    web = pod("web", shell(FOREVER))
    state = tmp_path / "data" / "pods" / web.uid / "pod.state"
    first = await host(tmp_path, [web])
    await until(state.exists)
    await kill(first)
    address = state.read_text().split("address=")[1].split()[0]
    async with running(tmp_path) as node:
        node.sync(web)
        await until(lambda: node.phase(web) == "Running")
        assert node.status(web)["podIP"] == address


async def test_a_copy_of_the_data_directory_leaves_the_containers_of_the_original_alone(tmp_path: Path) -> None:
    web = pod("web", shell(FOREVER))
    async with running(tmp_path / "original") as node:
        node.sync(web)
        await until(lambda: node.phase(web) == "Running")
        pid = node.pid(web)
        shutil.copytree(tmp_path / "original" / "data", tmp_path / "copy" / "data")
        async with running(tmp_path / "copy") as copied:
            copied.sync(web)
            await until(lambda: copied.phase(web) == "Running" and copied.container(web)["restartCount"] == 1)
            assert copied.pid(web, attempt=1) != pid
        assert node.container(web)["restartCount"] == 0
        assert pid in living(web.uid)


async def test_a_container_starts_exactly_once_across_kills_at_any_moment(tmp_path: Path) -> None:
    """Every start writes a line; a restart of the container after an attempt that ended would, too: none ends."""
    pods = [pod(f"web-{n}", shell(f"echo run >> {tmp_path}/runs-{n}; {FOREVER}")) for n in range(4)]
    random.seed(4)
    for _ in range(6):
        process = await host(tmp_path, pods)
        await asyncio.sleep(random.uniform(0.0, 0.15))  # the moment of the kill, not a wait for anything
        await kill(process)
    async with running(tmp_path) as node:
        node.sync(*pods)
        await until(lambda: all(node.phase(pod) == "Running" for pod in pods))
        await until(lambda: all((tmp_path / f"runs-{n}").exists() for n in range(4)))
        assert [(tmp_path / f"runs-{n}").read_text() for n in range(4)] == ["run\n"] * 4
        assert [node.container(pod)["restartCount"] for pod in pods] == [0] * 4


async def test_a_container_whose_shim_was_killed_is_ended_before_the_next_attempt(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        web = pod("web", shell(f"echo $$$$; {FOREVER}"))
        node.sync(web)
        await until(lambda: node.log(web))
        (orphan,) = node.log(web)
        state = (node.directory / "pods" / web.uid / "main" / "0" / "state").read_text()
        os.kill(int(state.split("\nshim=")[1].split()[0]), signal.SIGKILL)
        await until(lambda: node.container(web)["restartCount"] == 1)
        assert int(orphan) not in living(web.uid)
        assert node.container(web)["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown"


async def test_pods_that_the_api_does_not_know_are_ended(tmp_path: Path) -> None:
    web = pod("web", shell(FOREVER))
    first = await host(tmp_path, [web])
    await until(lambda: living(web.uid))
    await kill(first)
    async with running(tmp_path) as node:
        node.runtime.retain(frozenset())
        await until(lambda: not living(web.uid))
        await until(lambda: not list((node.directory / "pods").iterdir()))


async def test_a_stopped_control_plane_ends_its_containers_and_the_next_starts_them_again(tmp_path: Path) -> None:
    web = pod("web", shell("trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done"), restartPolicy="Never")
    async with running(tmp_path) as node:
        node.sync(web)
        await until(lambda: node.log(web) == ["up"])
        web = node.pods[web.uid]
        await node.runtime.stop()
        assert not living(web.uid)
        assert node.phase(web) == "Running"
    async with running(tmp_path) as node:
        node.sync(web)
        await until(lambda: node.log(web, attempt=1) == ["up"])
        await until(lambda: node.container(web)["restartCount"] == 1)


async def test_what_is_no_pod_in_the_directory_is_left_alone(tmp_path: Path) -> None:
    pods = tmp_path / "data" / "pods"
    pods.mkdir(parents=True)
    (pods / "notes.txt").write_text("mine")
    await kill(await host(tmp_path, []))
    assert (pods / "notes.txt").read_text() == "mine"


async def test_a_directory_serves_one_kubelet(tmp_path: Path) -> None:
    first = await host(tmp_path, [])
    try:
        with pytest.raises(OSError, match="in use by another kubelet"):
            async with running(tmp_path):
                pass
    finally:
        await kill(first)
    async with running(tmp_path):
        pass


def test_an_attempt_that_never_began_is_settled_and_cannot_begin_later(tmp_path: Path) -> None:
    launch = Launch(["/bin/true"], {}, "/", 0)
    attempt = Attempt.create(tmp_path / "uid" / "main", 0, launch)
    assert settle([attempt]) == []
    ended = attempt.ended()
    assert ended
    assert ended.reason == "NeverStarted"
    shim = ROOT / "engine" / "kubelet" / "shim.py"
    told, telling = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, telling, 3)]
    words = [sys.executable, "-I", "-S", str(shim), str(attempt.directory)]
    pid = os.posix_spawn(sys.executable, words, {}, file_actions=actions)
    os.close(telling)
    assert os.read(told, 100).startswith(b"refused")
    os.close(told)
    os.waitpid(pid, 0)
    assert not (attempt.directory / "state").exists()


async def test_an_attempt_that_was_not_even_written_is_passed_over(tmp_path: Path) -> None:
    web = pod("web", shell(f"echo up; {FOREVER}"))
    (tmp_path / "data" / "pods" / web.uid / "main" / "0").mkdir(parents=True)
    async with running(tmp_path) as node:
        node.sync(web)
        await until(lambda: node.log(web, attempt=1) == ["up"])
        await until(lambda: node.container(web)["restartCount"] == 0)


def test_an_attempt_is_made_once(tmp_path: Path) -> None:
    launch = Launch(["/bin/true"], {}, "/", 0)
    Attempt.create(tmp_path / "uid" / "main", 0, launch)
    with pytest.raises(FileExistsError):
        Attempt.create(tmp_path / "uid" / "main", 0, launch)
