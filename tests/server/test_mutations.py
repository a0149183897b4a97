"""Whatever is sent is answered with an object or a Status, and no stored object changes under its readers."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from engine._object import Object
from engine.api.kinds import KindTable
from engine.api.resource import DEPLOYMENTS as DEPLOYMENT_RESOURCE
from engine.api.resource import PODS as POD_RESOURCE
from engine.server.apiserver import APIServer
from engine.server.request import ADMIN, Request
from engine.storage import open_store
from tests.server.objects import CONFIGMAPS, DEPLOYMENTS, JSON_PATCH, MERGE, PODS, STRATEGIC, configmap, deployment, pod

REQUESTS = 400
ODD_VALUES: list[Any] = [
    None, True, False, 0, -1, 2**31, 2**70, 1.5, "", "x", "a/b", "é\0", "1Gi", "50%", "2026-01-01T00:00:00Z", "x" * 300,
    [], [None], ["x"], [{}], {}, {"a": None}, {"": ""}, [[]],
]  # fmt: skip
ODD_NAMES = [
    "name",
    "labels",
    "selector",
    "status",
    "op",
    "",
    "é",
    "$patch",
    "$retainKeys",
    "$setElementOrder/containers",
]
PATCHES = [MERGE, STRATEGIC, JSON_PATCH, "application/apply-patch+yaml"]
STATUS = {
    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "podIPs": [{"ip": "1.2.3.4"}]}
}
OPERATIONS = [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}, {"op": "remove", "path": "/spec"}]
SEEDS: list[tuple[str, str, Any]] = [
    ("POST", CONFIGMAPS, configmap("x", {"a": "1"}, labels={"a": "b"}, finalizers=["example.com/x"])),
    ("POST", PODS, pod("x", tolerations=[{"key": "a"}], volumes=[{"name": "v", "emptyDir": {}}])),
    ("POST", DEPLOYMENTS, deployment("x")),
    ("PUT", f"{DEPLOYMENTS}/x", deployment("x")),
    ("PUT", f"{PODS}/x", pod("x")),
    ("PUT", f"{PODS}/x/status", {**pod("x"), **STATUS}),
    ("PATCH", f"{DEPLOYMENTS}/x", deployment("x")),
    ("PATCH", f"{DEPLOYMENTS}/x", OPERATIONS),
    ("PATCH", f"{DEPLOYMENTS}/x/scale", {"spec": {"replicas": 2}}),
    ("PATCH", f"{PODS}/x", pod("x")),
    ("PATCH", f"{PODS}/x/status", STATUS),
    ("DELETE", f"{CONFIGMAPS}/x", {"propagationPolicy": "Foreground", "preconditions": {"uid": "x"}}),
    ("POST", f"{PODS}/x/binding", {"metadata": {"name": "x"}, "target": {"kind": "Node", "name": "n"}}),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


def mutated(body: Any, chance: random.Random) -> Any:
    body = copy.deepcopy(body)
    for _ in range(chance.choice((1, 1, 2, 3))):
        found = list(places(body))
        if not found:
            return body
        *parents, last = chance.choice(found)
        at = body
        for step in parents:
            at = at[step]
        change = chance.random()
        if change < 0.15:
            del at[last]
        elif change < 0.3 and isinstance(at, dict):
            at[chance.choice(ODD_NAMES)] = copy.deepcopy(chance.choice(ODD_VALUES))
        else:
            at[last] = copy.deepcopy(chance.choice(ODD_VALUES))
    return body


@pytest.mark.parametrize("seed", range(4))
async def test_odd_bodies_are_answered_and_change_nothing_that_is_stored(seed: int) -> None:
    chance = random.Random(seed)
    kinds = KindTable.builtin()
    store = open_store("memory", {kind.resource: kind.indexes for kind in kinds})
    await store.start()
    api = APIServer(store, kinds, future_seconds=0)
    await api.start()
    for path, body in ((CONFIGMAPS, configmap("x")), (PODS, pod("x")), (DEPLOYMENTS, deployment("x"))):
        assert (await api.handle(Request("POST", path, body=json.dumps(body).encode(), user=ADMIN))).status == 201
    held: dict[Object, Any] = {}  # what a reader has in hand: the object and its parsed form
    for _ in range(REQUESTS):
        method, path, body = chance.choice(SEEDS)
        content_type = chance.choice(PATCHES) if method == "PATCH" else "application/json"
        query = chance.choice([[], [("fieldValidation", "Strict")], [("fieldManager", "m"), ("force", "true")]])
        sent = json.dumps(mutated(body, chance)).encode()
        answer = await api.handle(Request(method, path, query, {"content-type": content_type}, sent, ADMIN))
        assert isinstance(answer.body, bytes)
        told = json.loads(answer.body)
        assert told.get("reason") != "InternalError", (method, path, content_type, sent, told["message"])
        for resource in (POD_RESOURCE, DEPLOYMENT_RESOURCE):
            held.update((found, found.peek()) for found in store.table(resource).cache.list() if found not in held)
    assert len(held) > 5
    for found, parsed in held.items():
        assert parsed == orjson.loads(found.raw)
