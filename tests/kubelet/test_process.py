"""The process runtime with real processes."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path

from tests.kubelet.harness import Clock, Objects, deleted, pod, running, shell, until

FOREVER = "while :; do sleep 60; done"


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_a_container_is_a_running_process_with_its_status(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        web = pod("web", shell(f"echo hello; {FOREVER}"))
        node.sync(web)
        await until(lambda: node.phase(web) == "Running")
        os.kill(node.pid(web), 0)
        status = node.status(web)
        assert status["podIP"].startswith("127.")
        assert status["podIPs"] == [{"ip": status["podIP"]}]
        assert status["hostIP"] == "127.0.0.1"
        assert {c["type"]: c["status"] for c in status["conditions"]} == {
            "PodReadyToStartContainers": "True",
            "Initialized": "True",
            "Ready": "True",
            "ContainersReady": "True",
        }
        (container,) = status["containerStatuses"]
        assert container["ready"]
        assert container["started"]
        assert container["restartCount"] == 0
        assert "startedAt" in container["state"]["running"]
        assert container["containerID"].startswith("process://")
        assert [reason for _, reason, _ in node.events.events] == ["Created", "Started"]
        await until(lambda: node.log(web) == ["hello"])


async def test_a_pod_is_told_of_in_one_report_when_it_runs(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        web = pod("web", shell(FOREVER), shell(FOREVER, "side"))
        node.sync(web)
        await until(lambda: node.phase(web) == "Running")
        assert len(node.reports[web.uid]) == 1


async def test_containers_that_end_well_make_a_pod_succeed(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        job = pod("job", shell("exit 0"), restartPolicy="Never")
        node.sync(job)
        await until(lambda: node.phase(job) == "Succeeded")
        terminated = node.container(job)["state"]["terminated"]
        assert (terminated["exitCode"], terminated["reason"]) == (0, "Completed")
        assert terminated["startedAt"] <= terminated["finishedAt"]
        assert {c["reason"] for c in node.status(job)["conditions"] if c["type"] == "Ready"} == {"PodCompleted"}


async def test_never_restarting_pods_fail_with_the_exit_code(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        job = pod("job", shell("exit 7"), restartPolicy="Never")
        node.sync(job)
        await until(lambda: node.phase(job) == "Failed")
        terminated = node.container(job)["state"]["terminated"]
        assert (terminated["exitCode"], terminated["reason"]) == (7, "Error")


async def test_a_signal_is_an_exit_code_above_128(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        job = pod("job", shell("kill -KILL $$$$"), restartPolicy="Never")
        node.sync(job)
        await until(lambda: node.phase(job) == "Failed")
        assert node.container(job)["state"]["terminated"]["exitCode"] == 137


async def test_on_failure_restarts_only_failures(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    async with running(tmp_path) as node:
        job = pod("job", shell(f"test -e {flag} || {{ touch {flag}; exit 1; }}"), restartPolicy="OnFailure")
        node.sync(job)
        await until(lambda: node.phase(job) == "Succeeded")
        assert node.container(job)["restartCount"] == 1
        assert node.container(job)["lastState"]["terminated"]["exitCode"] == 1


async def test_crash_loops_back_off_from_ten_seconds_doubling_to_five_minutes(tmp_path: Path) -> None:
    clock = Clock()
    async with running(tmp_path, clock=clock) as node:
        web = pod("web", shell("exit 1"))
        node.sync(web)

        def waits(restarts: int) -> bool:
            return node.container(web)["restartCount"] == restarts and "waiting" in node.container(web)["state"]

        expected = [("10s", 10), ("20s", 20), ("40s", 40), ("1m20s", 80), ("2m40s", 160), ("5m0s", 300), ("5m0s", 300)]
        for restarts, (delay, seconds) in enumerate(expected, start=1):
            await until(partial(waits, restarts), f"back-off {delay}")
            waiting = node.container(web)["state"]["waiting"]
            assert waiting["reason"] == "CrashLoopBackOff"
            whole = f"container=main pod=web_default({web.uid})"
            assert waiting["message"] == f"back-off {delay} restarting failed {whole}"
            assert node.container(web)["lastState"]["terminated"]["exitCode"] == 1
            assert node.phase(web) == "Running"
            clock.now += seconds - 1
            node.runtime.wake()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert waits(restarts)
            clock.now += 1
            node.runtime.wake()
        assert ("Warning", "BackOff") in {event[:2] for event in node.events.events}


async def test_back_off_is_forgotten_after_ten_good_minutes(tmp_path: Path) -> None:
    clock, gate = Clock(), tmp_path / "gate"
    async with running(tmp_path, clock=clock) as node:
        web = pod("web", shell(f"while test -e {gate}; do sleep 0.02; done; exit 1"))
        node.sync(web)
        await until(lambda: "waiting" in node.container(web)["state"])
        gate.touch()
        clock.now += 10
        node.runtime.wake()
        await until(lambda: node.container(web)["restartCount"] == 2 and "running" in node.container(web)["state"])
        clock.now += 601
        gate.unlink()
        await until(lambda: "10s" in node.container(web)["state"].get("waiting", {}).get("message", ""))
        assert node.container(web)["restartCount"] == 3


async def test_init_containers_run_in_order_before_the_others(tmp_path: Path) -> None:
    out = tmp_path / "order"
    init = [shell(f"echo {n} >> {out}; sleep 0.05", f"init-{n}") for n in (1, 2)]
    async with running(tmp_path) as node:
        web = pod("web", shell(f"echo main >> {out}; {FOREVER}"), initContainers=init)
        node.sync(web)
        await until(lambda: node.phase(web) == "Running")
        await until(lambda: out.read_text() == "1\n2\nmain\n")
        states = [status["state"]["terminated"]["reason"] for status in node.status(web)["initContainerStatuses"]]
        assert states == ["Completed", "Completed"]
        assert all(status["ready"] for status in node.status(web)["initContainerStatuses"])


async def test_a_failed_init_container_fails_a_pod_that_never_restarts(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        web = pod("web", shell(FOREVER), initContainers=[shell("exit 3", "init")], restartPolicy="Never")
        node.sync(web)
        await until(lambda: node.phase(web) == "Failed")
        initialized = next(c for c in node.status(web)["conditions"] if c["type"] == "Initialized")
        assert initialized["message"] == "containers with incomplete status: [init]"
        assert node.container(web)["state"] == {"waiting": {"reason": "PodInitializing"}}


async def test_sidecars_start_before_and_end_after_the_containers(tmp_path: Path) -> None:
    sidecar = shell(FOREVER, "proxy", restartPolicy="Always")
    async with running(tmp_path) as node:
        job = pod("job", shell("exit 0"), initContainers=[sidecar], restartPolicy="Never")
        node.sync(job)
        await until(lambda: node.phase(job) == "Succeeded")
        assert not node.runtime._owners
        assert [status["ready"] for status in node.status(job)["initContainerStatuses"]] == [False]


async def test_a_sidecar_that_takes_its_time_is_waited_for_without_looking(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    script = f"trap 'touch {gate}.asked' TERM; while ! test -e {gate}; do sleep 0.02; done"
    async with running(tmp_path) as node:
        sidecar = shell(script, "proxy", restartPolicy="Always")
        job = pod("job", shell("exit 0"), initContainers=[sidecar], restartPolicy="Never")
        node.sync(job)
        await until(Path(f"{gate}.asked").exists)
        await until(lambda: node.phase(job) == "Running")
        assert not node.runtime._timers
        assert not node.runtime._dirty
        gate.touch()
        await until(lambda: node.phase(job) == "Succeeded")


async def test_deletion_is_sigterm_then_gone(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        web = pod("web", shell("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done"))
        node.sync(web)
        await until(lambda: node.log(web) == ["up"])
        node.sync(deleted(node.pods[web.uid], 30))
        await until(lambda: node.gone(web))
        assert node.log(web) == ["up", "bye"]
        assert node.phase(web) == "Succeeded"
        assert ("Normal", "Killing", "Stopping container main") in node.events.events


async def test_a_process_that_ignores_sigterm_is_killed_after_the_grace_period(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        web = pod("web", shell("trap 'echo no' TERM; echo up; while :; do sleep 0.05; done"))
        node.sync(web)
        await until(lambda: node.log(web) == ["up"])
        node.sync(deleted(node.pods[web.uid], 1))
        await until(lambda: node.gone(web))
        assert node.container(web)["state"]["terminated"]["exitCode"] == 137
        assert node.log(web) == ["up", "no"]


async def test_a_second_deletion_shortens_the_grace_period(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        web = pod("web", shell("trap 'echo no' TERM; echo up; while :; do sleep 0.05; done"))
        node.sync(web)
        await until(lambda: node.log(web) == ["up"])
        node.sync(deleted(node.pods[web.uid], 600))
        await until(lambda: node.log(web) == ["up", "no"])
        node.sync(deleted(node.pods[web.uid], 1))
        await until(lambda: node.gone(web))


async def test_descendants_end_with_the_container_even_in_sessions_of_their_own(tmp_path: Path) -> None:
    script = "setsid sleep 600 & echo $!; sleep 600 & echo $!; exit 0"
    async with running(tmp_path) as node:
        job = pod("job", shell(script), restartPolicy="Never")
        node.sync(job)
        await until(lambda: node.phase(job) == "Succeeded")
        pids = [int(line) for line in node.log(job)]
        assert len(pids) == 2
        assert not [pid for pid in pids if exists(pid)]


async def test_a_pod_removed_from_the_api_ends_and_leaves_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        web = pod("web", shell(FOREVER))
        node.sync(web)
        await until(lambda: node.phase(web) == "Running")
        pid = node.pid(web)
        node.runtime.remove([web.uid])
        await until(lambda: not exists(pid))
        await until(lambda: not list((node.directory / "pods").iterdir()))
        assert not (tmp_path / "addresses").exists()


async def test_two_replicas_bind_the_same_port_on_addresses_of_their_own(tmp_path: Path) -> None:
    serve = (
        "import os, socket; s = socket.create_server((os.environ['IP'], 18080)); print('up', flush=True); s.accept()"
    )
    env = [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    container = {"name": "main", "image": "none", "command": ["python3", "-c", serve], "env": env}
    async with running(tmp_path) as node:
        pods = [pod(f"web-{n}", container) for n in range(2)]
        node.sync(*pods)
        await until(lambda: all(node.log(p) == ["up"] for p in pods))
        assert len({node.status(p)["podIP"] for p in pods}) == 2


async def test_without_command_or_image_mapping_the_pod_waits_and_says_what_to_do(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        web = pod("web", {"name": "main", "image": "nginx:1.27", "args": ["-g"]})
        node.sync(web)
        await until(lambda: "waiting" in node.container(web)["state"])
        waiting = node.container(web)["state"]["waiting"]
        assert waiting["reason"] == "ImageNotMapped"
        assert "nginx:1.27" in waiting["message"]
        assert "give spec.containers[].command" in waiting["message"]
        assert node.phase(web) == "Pending"


async def test_an_image_can_be_mapped_to_a_command(tmp_path: Path) -> None:
    async with running(tmp_path, images={"nginx:1.27": ["/bin/echo", "mapped"]}) as node:
        web = pod("web", {"name": "main", "image": "nginx:1.27", "args": ["here"]}, restartPolicy="Never")
        node.sync(web)
        await until(lambda: node.phase(web) == "Succeeded")
        assert node.log(web) == ["mapped here"]


async def test_a_command_that_cannot_be_executed_is_a_start_error(tmp_path: Path) -> None:
    container = {"name": "main", "image": "none", "command": ["no-such-program"]}
    async with running(tmp_path) as node:
        web = pod("web", container, restartPolicy="Never")
        node.sync(web)
        await until(lambda: node.phase(web) == "Failed")
        terminated = node.container(web)["state"]["terminated"]
        assert terminated["exitCode"] == 128
        assert terminated["reason"] == "StartError"
        assert terminated["message"] == 'exec: "no-such-program": executable file not found in $PATH'


async def test_a_pod_waits_for_a_missing_config_map_and_starts_when_it_is_there(tmp_path: Path) -> None:
    clock, objects = Clock(), Objects()
    env = [{"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}}]
    async with running(tmp_path, objects, clock=clock) as node:
        web = pod("web", shell("echo $COLOUR", env=env), restartPolicy="Never")
        node.sync(web)
        await until(lambda: "waiting" in node.container(web)["state"])
        waiting = node.container(web)["state"]["waiting"]
        assert waiting == {"reason": "CreateContainerConfigError", "message": 'configmap "settings" not found'}
        objects.put("ConfigMap", "settings", {"colour": "blue"})
        clock.now += 10
        node.runtime.wake()
        await until(lambda: node.phase(web) == "Succeeded")
        assert node.log(web) == ["blue"]


async def test_an_overdue_pod_fails_with_deadline_exceeded(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        job = pod("job", shell(FOREVER), activeDeadlineSeconds=1, terminationGracePeriodSeconds=1)
        node.sync(job)
        await until(lambda: node.phase(job) == "Failed")
        assert node.status(job)["reason"] == "DeadlineExceeded"


async def test_the_working_directory_is_the_pods_own_unless_it_names_one(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        own = pod("own", shell("pwd"), restartPolicy="Never")
        named = pod("named", shell("pwd", workingDir="/"), restartPolicy="Never")
        missing = pod("missing", shell("pwd", workingDir="/no/such"), restartPolicy="Never")
        node.sync(own, named, missing)
        await until(lambda: {node.phase(own), node.phase(named)} == {"Succeeded"})
        await until(lambda: node.phase(missing) == "Failed")
        assert node.log(own) == [str(node.directory / "pods" / own.uid / "pod.work")]
        assert node.log(named) == ["/"]
        assert "/no/such" in node.container(missing)["state"]["terminated"]["message"]
