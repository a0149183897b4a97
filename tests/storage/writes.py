"""Pods to write, and commits of one write."""

from __future__ import annotations

from typing import Any

from engine._object import Object
from engine.api.resource import CONFIGMAPS, NODES, PODS, Resource
from engine.storage.store import EMPTY, Conflict, Store, Write

RESOURCES: dict[Resource, dict[str, Any]] = {PODS: {"node": "spec.nodeName"}, NODES: {}, CONFIGMAPS: {}}


def pod(name: str, *, node: str = "", namespace: str = "default", **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "labels": labels}
    return {"kind": "Pod", "apiVersion": "v1", "spec": {"nodeName": node}, "metadata": metadata}


def create(name: str, **fields: str) -> Write:
    return Write(PODS, f"default/{name}", pod(name, **fields), EMPTY)


def update(name: str, current: Object, **fields: str) -> Write:
    return Write(PODS, f"default/{name}", pod(name, **fields), current.resource_version)


def delete(name: str, current: Object) -> Write:
    return Write(PODS, f"default/{name}", current.to_dict(), current.resource_version, delete=True)


async def stored(store: Store, write: Write) -> Object:
    """Commits one write that must succeed."""
    answer = (await store.commit([write]))[0]
    assert isinstance(answer, Object), answer
    return answer


async def refused(store: Store, write: Write) -> Conflict:
    answer = (await store.commit([write]))[0]
    assert isinstance(answer, Conflict), answer
    return answer
