"""The kubelet against a real API server in the same process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.api.resource import LEASES, NODES, PODS
from engine.kubelet.process import ProcessRuntime
from engine.kubelet.runtime import Report
from engine.kubelet.shape import NodeShape
from engine.kubelet.simulated import Delay, SimulatedRuntime
from tests.kubelet.cluster import Cluster, cluster
from tests.kubelet.harness import Clock, until


async def test_a_node_is_registered_with_what_it_can_give(tmp_path: Path) -> None:
    shape = NodeShape(cpu="2", memory="4Gi", pods="20", labels={"zone": "a"})
    async with cluster(tmp_path) as server, server.kubelet(SimulatedRuntime(), shape=shape):
        node = (await server.others.get(NODES, None, "node-1")).to_dict()
        assert node["metadata"]["labels"]["kubernetes.io/hostname"] == "node-1"
        assert node["metadata"]["labels"]["kubernetes.io/os"] == "linux"
        assert node["metadata"]["labels"]["zone"] == "a"
        assert node["status"]["capacity"]["cpu"] == node["status"]["allocatable"]["cpu"] == "2"
        assert {c["type"]: c["status"] for c in node["status"]["conditions"]} == {
            "MemoryPressure": "False",
            "DiskPressure": "False",
            "PIDPressure": "False",
            "Ready": "True",
        }
        assert [a["type"] for a in node["status"]["addresses"]] == ["InternalIP", "Hostname"]
        assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("simulated://")


async def test_a_node_has_a_lease_that_it_owns_and_renews(tmp_path: Path) -> None:
    async with cluster(tmp_path) as server, server.kubelet(SimulatedRuntime()) as kubelet:
        node = await server.others.get(NODES, None, "node-1")
        lease = (await server.others.get(LEASES, "kube-node-lease", "node-1")).to_dict()
        assert lease["spec"]["holderIdentity"] == "node-1"
        assert lease["spec"]["leaseDurationSeconds"] == 40
        assert lease["metadata"]["ownerReferences"][0]["uid"] == node.uid
        await kubelet._nodes.beat(["node-1"])
        again = (await server.others.get(LEASES, "kube-node-lease", "node-1")).to_dict()
        assert again["spec"]["renewTime"] > lease["spec"]["renewTime"]
        assert again["spec"]["holderIdentity"] == "node-1"


async def test_a_node_that_others_call_not_ready_says_that_it_is(tmp_path: Path) -> None:
    async with cluster(tmp_path) as server, server.kubelet(SimulatedRuntime()) as kubelet:
        await kubelet._nodes.beat(["node-1"])
        unknown = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}
        patch = {"status": {"conditions": [unknown]}}
        await server.others.patch(NODES, None, "node-1", patch, type="strategic", subresource="status")
        await kubelet._nodes.beat([])
        node = (await server.others.get(NODES, None, "node-1")).to_dict()
        ready = next(c for c in node["status"]["conditions"] if c["type"] == "Ready")
        assert (ready["status"], ready["reason"]) == ("True", "KubeletReady")


async def test_a_deleted_node_is_not_registered_again(tmp_path: Path) -> None:
    async with cluster(tmp_path) as server, server.kubelet(SimulatedRuntime()) as kubelet:
        await kubelet._nodes.beat(["node-1"])
        await server.others.delete(NODES, None, "node-1")
        server.transport.batches.clear()
        await kubelet._nodes.beat(["node-1"])
        assert not server.transport.batches


async def test_heartbeats_that_failed_are_made_up(tmp_path: Path) -> None:
    async with cluster(tmp_path) as server, server.kubelet(SimulatedRuntime()) as kubelet:
        server.transport.fail = 1
        with pytest.raises(OSError, match="refused"):
            await kubelet._nodes.beat(["node-1"])
        server.transport.batches.clear()
        await kubelet._nodes.beat([])
        assert len(server.transport.writes(LEASES)) == 1


async def test_the_status_is_posted_every_five_minutes(tmp_path: Path) -> None:
    async with cluster(tmp_path) as server, server.kubelet(SimulatedRuntime()) as kubelet:
        clock = Clock()
        kubelet._nodes._clock = clock
        kubelet._nodes._status_due["node-1"] = clock.now + 300
        server.transport.batches.clear()
        for _ in range(61):
            await kubelet._nodes.beat(["node-1"])
            clock.now += 10
        assert len(server.transport.writes(NODES)) == 2
        assert len(server.transport.writes(LEASES)) == 61


async def test_a_thousand_pods_on_a_hundred_nodes_run_with_one_write_each(tmp_path: Path) -> None:
    nodes = [f"node-{n}" for n in range(100)]
    async with cluster(tmp_path) as server, server.kubelet(SimulatedRuntime(), nodes):
        await server.create_pods(*[f"pod-{n}" for n in range(1000)], node=nodes)
        await until(lambda: set(server.phases().values()) == {"Running"})
        assert len(server.transport.writes(PODS)) == 1000
        statuses = [server.status(f"pod-{n}") for n in (0, 999)]
        assert len({status["podIP"] for status in statuses}) == 2
        assert all(c["status"] == "True" for status in statuses for c in status["conditions"])
        (container,) = statuses[0]["containerStatuses"]
        assert {"name", "ready", "started", "image", "imageID", "restartCount", "containerID", "state"} <= set(
            container
        )
        assert statuses[0]["qosClass"] == "BestEffort"


async def test_settled_pods_cost_no_write(tmp_path: Path) -> None:
    async with cluster(tmp_path) as server, server.kubelet(SimulatedRuntime()) as kubelet:
        await server.create_pods("a", "b")
        await until(lambda: set(server.phases().values()) == {"Running"})
        server.transport.batches.clear()
        await server.others.patch(PODS, "default", "a", {"metadata": {"labels": {"x": "y"}}})
        await server.create_pods("c")
        await until(lambda: server.phases()["c"] == "Running")
        await kubelet._writer.drained()
        assert [op.name for op in server.transport.writes(PODS)] == ["c"]


async def test_a_deleted_simulated_pod_is_gone_at_once(tmp_path: Path) -> None:
    async with cluster(tmp_path) as server, server.kubelet(SimulatedRuntime()):
        await server.create_pods("a", "b")
        await until(lambda: set(server.phases().values()) == {"Running"})
        await server.others.delete(PODS, "default", "a", gracePeriodSeconds=30)
        await until(lambda: set(server.phases()) == {"b"})


async def test_start_and_finish_take_the_time_that_was_asked_for(tmp_path: Path) -> None:
    clock = Clock()
    runtime = SimulatedRuntime(start=Delay(seconds=5), finish=Delay(seconds=60), clock=clock)
    async with cluster(tmp_path) as server, server.kubelet(runtime):
        await server.create_pods("job", restartPolicy="Never")
        await server.create_pods("web")
        await until(lambda: len(runtime._due) == 2)
        clock.now += 4.9
        runtime.wake()
        await asyncio.sleep(0)
        assert set(server.phases().values()) == {"Pending"}
        clock.now += 0.1
        runtime.wake()
        await until(lambda: set(server.phases().values()) == {"Running"})
        clock.now += 60
        runtime.wake()
        await until(lambda: server.phases() == {"job": "Succeeded", "web": "Running"})


@pytest.mark.parametrize("distribution", ["uniform", "exponential", "lognormal"])
def test_delays_are_drawn_with_a_seed(distribution: str) -> None:
    delay = Delay(distribution, 2.0, 0.5)  # type: ignore[arg-type]
    draws = [delay.sampler(7)() for _ in range(2)]
    assert draws[0] == draws[1]
    sample = delay.sampler(7)
    drawn = [sample() for _ in range(2000)]
    assert min(drawn) >= 0
    assert 1.7 < sorted(drawn)[1000] * (1 / 0.693 if distribution == "exponential" else 1) < 2.3


async def test_simulated_pods_go_on_in_the_next_life(tmp_path: Path) -> None:
    async with cluster(tmp_path) as server:
        async with server.kubelet(SimulatedRuntime()):
            await server.create_pods("a")
            await until(lambda: server.phases() == {"a": "Running"})
        address = server.status("a")["podIP"]
        server.transport.batches.clear()
        async with server.kubelet(SimulatedRuntime()) as kubelet:
            await server.create_pods("b")
            await until(lambda: server.phases() == {"a": "Running", "b": "Running"})
            await kubelet._writer.drained()
        assert [op.name for op in server.transport.writes(PODS)] == ["b"]
        assert server.status("a")["podIP"] == address != server.status("b")["podIP"]


async def test_a_pod_that_does_not_fit_the_node_fails(tmp_path: Path) -> None:
    shape = NodeShape(cpu="1")
    wants = {"resources": {"requests": {"cpu": "600m"}}}
    async with cluster(tmp_path) as server, server.kubelet(SimulatedRuntime(), shape=shape):
        await server.create_pods("a", "b", container=wants)
        await until(lambda: server.phases() == {"a": "Running", "b": "Failed"})
        status = server.status("b")
        assert status["reason"] == "OutOfcpu"
        words = "Node didn't have enough resource: cpu, requested: 600, used: 600, capacity: 1000"
        assert status["message"] == f"Pod was rejected: {words}"
        await server.others.delete(PODS, "default", "a")
        await server.others.delete(PODS, "default", "b")
        await until(lambda: not server.pods())
        await server.create_pods("c", container=wants)
        await until(lambda: server.phases() == {"c": "Running"})


async def test_a_status_that_others_changed_is_written_again(tmp_path: Path) -> None:
    async with cluster(tmp_path) as server, server.kubelet(SimulatedRuntime()):
        await server.create_pods("a")
        await until(lambda: server.phases() == {"a": "Running"})
        patch = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
        await server.others.patch(PODS, "default", "a", patch, type="strategic", subresource="status")
        await until(lambda: {c["type"]: c["status"] for c in server.status("a")["conditions"]}["Ready"] == "True")


async def test_writes_wait_for_a_server_that_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.kubelet.writer.RETRY_SECONDS", 0.01)
    async with cluster(tmp_path) as server, server.kubelet(SimulatedRuntime()):
        server.transport.fail = 3
        await server.create_pods("a")
        await until(lambda: server.phases() == {"a": "Running"})


async def test_an_address_that_changed_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    async with cluster(tmp_path) as server, server.kubelet(SimulatedRuntime()) as kubelet:
        (pod,) = await server.create_pods("a")
        await until(lambda: server.phases() == {"a": "Running"})
        status = {**server.status("a"), "podIP": "10.9.9.9", "podIPs": [{"ip": "10.9.9.9"}]}
        kubelet._writer.put([Report(pod.key, pod.uid, status)])
        await kubelet._writer.drained()
        assert server.status("a")["podIPs"] == [{"ip": "10.9.9.9"}]


async def test_a_refused_status_holds_no_other_up(tmp_path: Path) -> None:
    async with cluster(tmp_path) as server, server.kubelet(SimulatedRuntime()) as kubelet:
        (pod,) = await server.create_pods("a")
        await until(lambda: server.phases() == {"a": "Running"})
        kubelet._writer.put([Report(pod.key, pod.uid, {"phase": 7})])
        await server.create_pods("b")
        await until(lambda: server.phases() == {"a": "Running", "b": "Running"})
        await kubelet._writer.drained()
        assert kubelet._writer.refused == 1


async def test_a_pod_that_took_the_name_of_another_is_a_pod_of_its_own(tmp_path: Path) -> None:
    async with cluster(tmp_path) as server, server.kubelet(SimulatedRuntime()):
        (first,) = await server.create_pods("a")
        await until(lambda: server.phases() == {"a": "Running"})
        await server.others.delete(PODS, "default", "a", gracePeriodSeconds=0)
        (second,) = await server.create_pods("a")
        await until(lambda: server.phases() == {"a": "Running"})
        assert first.uid != second.uid


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def processes(server: Cluster, directory: Path) -> ProcessRuntime:
    return ProcessRuntime(server.client, directory / "data", registry=directory / "addresses")


async def test_a_real_process_runs_and_ends_with_its_pod(tmp_path: Path) -> None:
    async with cluster(tmp_path) as server:
        runtime = processes(server, tmp_path)
        async with server.kubelet(runtime):
            (pod,) = await server.create_pods("web")
            await until(lambda: server.phases() == {"web": "Running"})
            state = (tmp_path / "data" / "pods" / pod.uid / "main" / "0" / "state").read_text()
            pid = int(state.split("\npid=")[1].split()[0])
            assert exists(pid)
            assert len(server.transport.writes(PODS)) == 1
            await server.others.delete(PODS, "default", "web")
            await until(lambda: not server.pods())
            assert not exists(pid)
            (deletion,) = server.transport.writes(PODS, "delete")
            assert deletion.body == {"gracePeriodSeconds": 0, "preconditions": {"uid": pod.uid}}
            await until(lambda: not list((tmp_path / "data" / "pods").iterdir()))


async def test_a_pod_deleted_by_force_is_killed(tmp_path: Path) -> None:
    async with cluster(tmp_path) as server, server.kubelet(processes(server, tmp_path)):
        await server.create_pods("web")
        await until(lambda: server.phases() == {"web": "Running"})
        await server.others.delete(PODS, "default", "web", gracePeriodSeconds=0)
        await until(lambda: not list((tmp_path / "data" / "pods").iterdir()))


async def test_a_settled_process_pod_costs_no_write(tmp_path: Path) -> None:
    async with cluster(tmp_path) as server, server.kubelet(processes(server, tmp_path)) as kubelet:
        await server.create_pods("web")
        await until(lambda: server.phases() == {"web": "Running"})
        server.transport.batches.clear()
        await server.others.patch(PODS, "default", "web", {"metadata": {"labels": {"x": "y"}}})
        await server.create_pods("other")
        await until(lambda: server.phases()["other"] == "Running")
        await kubelet._writer.drained()
        assert [op.name for op in server.transport.writes(PODS)] == ["other"]
