"""Who controls what: controller references, the index over them, adoption and release.

An object belongs to the one owner reference that says `controller: true`. A controller adopts an object that has none
and that its selector matches, and releases one that its selector no longer matches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine._object import Object
from engine.api.errors import StatusError
from engine.api.resource import Resource
from engine.client.client import Client
from engine.client.transport import Operation

CONTROLLER = "controllers/controller"  # the index: uid of the controller, or "orphan/NAMESPACE"

Metadata = Mapping[str, Any]


def controller_reference(metadata: Metadata) -> dict[str, Any] | None:
    """The owner reference that controls the object with this metadata."""
    for reference in metadata.get("ownerReferences") or ():
        if reference.get("controller"):
            return reference  # type: ignore[no-any-return]
    return None


def by_controller(obj: Object) -> tuple[str, ...]:
    """What the index CONTROLLER holds for an object."""
    reference = controller_reference(obj.peek()["metadata"])
    return (reference["uid"],) if reference else (orphans_of(obj.namespace),)


def orphans_of(namespace: str) -> str:
    """The index value under which a namespace's objects without a controller are found."""
    return f"orphan/{namespace}"


def reference_to(owner: Object, resource: Resource) -> dict[str, Any]:
    """The owner reference that makes `owner` the controller."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def labels_of(obj: Object) -> Mapping[str, str]:
    return obj.peek()["metadata"].get("labels") or {}


def owner_key(metadata: Metadata, resource: Resource) -> str | None:
    """The key of the controller when it is of this resource (of any version of its group)."""
    reference = controller_reference(metadata)
    if reference is None or reference["kind"] != resource.kind:
        return None
    if reference["apiVersion"].rpartition("/")[0] != resource.group:
        return None
    return f"{metadata['namespace']}/{reference['name']}" if "namespace" in metadata else str(reference["name"])


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str] | None) -> bool:
    """Whether a LabelSelector (matchLabels, matchExpressions) matches. One that is missing matches nothing."""
    if selector is None:
        return False
    labels = labels or {}
    wanted = selector.get("matchLabels")
    if wanted and not wanted.items() <= labels.items():
        return False
    return all(_holds(expression, labels) for expression in selector.get("matchExpressions") or ())


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator = expression["key"], expression["operator"]
    if operator == "In":
        return labels.get(key) in expression["values"]
    if operator == "NotIn":
        return labels.get(key) not in expression["values"]
    return bool((key in labels) == (operator == "Exists"))


def adopting(client: Client, resource: Resource, orphan: Object, owner: Object, owner_resource: Resource) -> Operation:
    """The write that makes `owner` the controller of `orphan`, refused when a namesake took the orphan's place."""
    metadata = {"uid": orphan.uid, "ownerReferences": [reference_to(owner, owner_resource)]}
    return client.patching(resource, orphan.namespace, orphan.name, {"metadata": metadata}, type="strategic")


def releasing(client: Client, resource: Resource, owned: Object, owner_uids: Sequence[str]) -> Operation:
    """The write that takes these owners off `owned`, refused when a namesake took its place."""
    removed = [{"$patch": "delete", "uid": uid} for uid in owner_uids]
    metadata = {"uid": owned.uid, "ownerReferences": removed}
    return client.patching(resource, owned.namespace, owned.name, {"metadata": metadata}, type="strategic")


async def may_adopt(client: Client, resource: Resource, owner: Object) -> bool:
    """Whether `owner` still lives, by the server's own word: a cache that lags must not adopt for a dead owner."""
    try:
        live = await client.get(resource, owner.namespace, owner.name)
    except StatusError as error:
        if error.code == 404:
            return False
        raise
    return live.uid == owner.uid and live.deletion_timestamp is None


def is_gone(result: Object | StatusError) -> bool:
    """Whether a write was refused because its object is no longer there (or a namesake is)."""
    return isinstance(result, StatusError) and (
        result.code == 404 or (result.code == 409 and result.reason == "Conflict")
    )
