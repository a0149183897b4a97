"""The generator of objects: realistic, strict, the same for the same seed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from statistics import mean
from typing import Any

import orjson
import pytest

from engine import Cache, Object
from engine.bench import objects
from engine.bench.objects.values import apportion

COUNT = 600


def parsed(items: Iterator[bytes]) -> list[dict[str, Any]]:
    return [orjson.loads(item) for item in items]


def owners(pods: list[dict[str, Any]]) -> Counter[str]:
    return Counter(pod["metadata"]["ownerReferences"][0]["uid"] for pod in pods)


@pytest.mark.parametrize("per_owner", [120, 10, 1])
def test_as_many_pods_as_asked_for_in_key_order_each_key_once(per_owner: int) -> None:
    keys = [Object(pod).key for pod in objects.pods(COUNT, per_owner=per_owner)]
    assert len(keys) == COUNT
    assert keys == sorted(set(keys))


@pytest.mark.parametrize("per_owner", [120, 10, 1])
def test_owners_are_as_many_as_said_and_of_unequal_sizes(per_owner: int) -> None:
    sizes = owners(parsed(objects.pods(COUNT, per_owner=per_owner)))
    assert len(sizes) == COUNT // per_owner
    assert (len(set(sizes.values())) > 1) is (per_owner > 1)


def test_pods_are_compact_json_of_seven_kilobytes_in_the_order_of_kubernetes_encoder() -> None:
    pods = list(objects.pods(COUNT, per_owner=1))
    assert 6_000 < mean(map(len, pods)) < 8_500
    assert all(orjson.dumps(orjson.loads(pod)) == pod for pod in pods)
    pod = orjson.loads(pods[0])
    assert list(pod) == ["kind", "apiVersion", "metadata", "spec", "status"]
    assert list(pod["metadata"])[:5] == ["name", "generateName", "namespace", "uid", "resourceVersion"]
    assert list(pod["metadata"]["labels"]) == sorted(pod["metadata"]["labels"])


def test_no_slot_is_left_unfilled() -> None:
    for pod in objects.pods(COUNT, per_owner=2):
        assert b"\x7f" not in pod
        assert "\u00a4".encode() not in pod


def test_a_pod_hangs_together() -> None:
    for pod in parsed(objects.pods(COUNT, per_owner=10)):
        about, spec, status = pod["metadata"], pod["spec"], pod["status"]
        owner = about["ownerReferences"][0]
        assert about["name"].startswith(about["generateName"])
        assert about["generateName"] == owner["name"] + "-"
        assert owner["name"].endswith(about["labels"]["pod-template-hash"])
        assert 4 <= len(about["labels"]) <= 9
        assert {entry["manager"] for entry in about["managedFields"]} == {"kube-controller-manager", "kubelet"}
        assert {one["name"] for one in spec["containers"]} == {one["name"] for one in status["containerStatuses"]}
        assert 1 <= len(spec["containers"]) <= 3
        named = about["managedFields"][0]["fieldsV1"]["f:spec"]["f:containers"]
        assert set(named) == {"k:" + json.dumps({"name": one["name"]}).replace(" ", "") for one in spec["containers"]}
        assert about["creationTimestamp"] <= status["startTime"] <= status["conditions"][2]["lastTransitionTime"]
        assert len(status["conditions"]) == 5


def test_a_nodes_address_is_a_function_of_its_name() -> None:
    addresses: dict[str, set[str]] = {}
    for pod in parsed(objects.pods(COUNT, nodes=7)):
        addresses.setdefault(pod["spec"]["nodeName"], set()).add(pod["status"]["hostIP"])
    assert len(addresses) == 7
    assert all(len(of_node) == 1 for of_node in addresses.values())


def test_identities_are_unique() -> None:
    pods = parsed(objects.pods(COUNT, per_owner=120))
    assert len({pod["metadata"]["uid"] for pod in pods}) == COUNT
    ids = [one["containerID"] for pod in pods for one in pod["status"]["containerStatuses"]]
    assert len(set(ids)) == len(ids)


def test_several_namespaces_even_of_few_owners() -> None:
    assert len({pod["metadata"]["namespace"] for pod in parsed(objects.pods(COUNT, per_owner=120))}) == 4


def test_the_same_seed_gives_the_same_pods_in_another_process_too() -> None:
    here = b"".join(objects.pods(50, per_owner=1, seed=3))
    script = (
        "import sys; from engine.bench.objects import pods; "
        "[sys.stdout.buffer.write(pod) for pod in pods(50, per_owner=1, seed=3)]"
    )
    there = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    assert here == there
    assert here != b"".join(objects.pods(50, per_owner=1, seed=4))


def test_shuffled_are_the_same_pods_in_another_order() -> None:
    ordered, shuffled = (list(objects.pods(COUNT, seed=1, order=order)) for order in ("key", "shuffled"))  # type: ignore[arg-type]
    assert ordered != shuffled
    assert ordered == sorted(shuffled, key=lambda pod: Object(pod).key)


def test_none_of_none() -> None:
    assert list(objects.pods(0)) == []


@pytest.mark.parametrize(("count", "per_owner"), [(-1, 1), (10, 0.5)])
def test_what_cannot_be_is_refused(count: int, per_owner: float) -> None:
    with pytest.raises(ValueError, match="at least"):
        list(objects.pods(count, per_owner=per_owner))


@pytest.mark.parametrize(("total", "parts", "spread"), [(1, 1, 0.7), (100, 100, 0.7), (12_345, 17, 0.7), (50, 5, 0.0)])
def test_what_is_apportioned_adds_up(total: int, parts: int, spread: float) -> None:
    sizes = apportion(total, parts, Random(1), spread)
    assert (len(sizes), sum(sizes)) == (parts, total)
    assert min(sizes) >= 1


def test_a_status_change_keeps_the_pod_and_moves_its_version() -> None:
    for number, pod in enumerate(objects.pods(60, per_owner=10)):
        changed = objects.status_changed(pod, number)
        before, after = orjson.loads(pod), orjson.loads(changed)
        assert changed == objects.status_changed(pod, number)
        assert orjson.dumps(after) == changed
        assert before["spec"] == after["spec"]
        assert Object(pod).uid == Object(changed).uid
        assert Object(changed).resource_version > Object(pod).resource_version
        assert before["status"] != after["status"]


def test_readiness_is_lost_and_regained() -> None:
    pod = next(objects.pods(1))
    lost = objects.status_changed(pod, 0)
    regained = objects.status_changed(lost, 3)
    states = [orjson.loads(raw)["status"]["conditions"][2]["status"] for raw in (pod, lost, regained)]
    assert states == ["True", "False", "True"]
    assert b'"f:reason"' in lost
    assert b'"f:reason"' not in regained
    assert not any(one["ready"] for one in orjson.loads(lost)["status"]["containerStatuses"])


def test_one_in_eight_restarts_and_remembers_the_container_before() -> None:
    restarted = 0
    for pod in objects.pods(400):
        status = orjson.loads(objects.status_changed(pod, 1))["status"]
        for one in status["containerStatuses"]:
            restarted += one["restartCount"]
            if one["restartCount"]:
                assert one["lastState"]["terminated"]["containerID"] != one["containerID"]
                assert status["conditions"][2]["status"] == "True"
    assert 25 < restarted < 80


def test_a_blip_moves_only_times() -> None:
    pod = next(objects.pods(1))
    before, after = (orjson.loads(raw)["status"] for raw in (pod, objects.status_changed(pod, 2)))
    assert before["containerStatuses"] == after["containerStatuses"]
    assert before["conditions"][2]["lastTransitionTime"] < after["conditions"][2]["lastTransitionTime"]


def test_a_given_version_is_taken() -> None:
    assert Object(objects.status_changed(next(objects.pods(1)), 0, 77)).resource_version == 77


def test_a_pod_is_pending_without_and_with_a_node_before_it_runs() -> None:
    pod = next(objects.pods(1))
    stored, bound, running = map(orjson.loads, objects.life(pod))
    assert [one["status"]["phase"] for one in (stored, bound, running)] == ["Pending", "Pending", "Running"]
    assert "nodeName" not in stored["spec"]
    assert bound["spec"] == running["spec"]
    versions = [int(one["metadata"]["resourceVersion"]) for one in (stored, bound, running)]
    assert versions == sorted(set(versions))


def test_a_successor_is_another_pod_of_the_same_owner() -> None:
    for number, pod in enumerate(objects.pods(60, per_owner=10)):
        before, after = orjson.loads(pod), orjson.loads(objects.successor(pod, number))
        assert before["metadata"]["ownerReferences"] == after["metadata"]["ownerReferences"]
        assert before["metadata"]["name"] != after["metadata"]["name"]
        assert after["metadata"]["name"].startswith(after["metadata"]["generateName"])
        assert before["metadata"]["uid"] != after["metadata"]["uid"]
        ids = [{one["containerID"] for one in of["status"]["containerStatuses"]} for of in (before, after)]
        assert not ids[0] & ids[1]


def test_a_successor_of_a_troubled_pod_is_ready() -> None:
    for pod in objects.pods(40):
        troubled = objects.status_changed(objects.status_changed(pod, 1), 0)
        status = orjson.loads(objects.successor(troubled, 0))["status"]
        assert [one["status"] for one in status["conditions"]] == ["True"] * 5
        assert all(one["ready"] and not one["restartCount"] for one in status["containerStatuses"])


@pytest.mark.parametrize(
    "generate", [objects.nodes, objects.deployments, objects.custom_resources, objects.unique, objects.unicode_heavy]
)
def test_other_objects_are_strict_json_that_a_cache_takes(generate: Callable[..., Iterator[bytes]]) -> None:
    made = list(generate(40, seed=2))
    assert made == list(generate(40, seed=2))
    cache = Cache()
    cache.replace(made, 1)
    assert len(cache) == 40
    for raw in made:
        assert json.loads(raw) == orjson.loads(raw)
        found = cache.get(Object(raw).key)
        assert found is not None
        assert found.raw == raw


def test_hostile_objects_are_what_they_are_called() -> None:
    shapes = [tuple(orjson.loads(raw)) for raw in objects.unique(20)]
    assert len(set(shapes)) == 20
    assert 6_500 < mean(map(len, objects.unique(20))) < 8_000
    assert len(objects.large()) >= 1 << 20
    assert b"\\ud8" in b"".join(objects.unicode_heavy(4)).lower()
    nested, depth = orjson.loads(objects.deep())["spec"], 1
    while isinstance(nested, dict | list):
        nested, depth = next(iter(nested.values() if isinstance(nested, dict) else nested)), depth + 1
    assert depth == 500
