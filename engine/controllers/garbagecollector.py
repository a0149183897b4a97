"""The garbage collector: what belongs to nobody any more is deleted.

An index over owner uids, in the cache of every kind it is given, is the graph. A deletion asks that index for the
dependents; nothing is ever walked or polled. An owner counts as gone only when the server itself says so.

Background: the owner goes at once, its dependents after it. Foreground: the owner stays, marked, until the last
dependent that blocks it is gone. Orphan: the owner stays until its dependents no longer name it.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engine._object import Object
from engine.api import resource as resources
from engine.api.errors import StatusError
from engine.api.resource import Resource
from engine.client.client import Client
from engine.client.transport import Operation
from engine.controllers import ownership
from engine.controllers.expectations import Expectations
from engine.informers.informer import Change, Informer, Informers
from engine.runtime.controller import Controller, Mapper, Requeue, Result, Source

LOG = logging.getLogger(__name__)

OWNERS = "controllers/owners"
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
MAX_ABSENT_OWNERS = 10_000  # uids that the server said are gone are remembered: uids do not come back

# Everything that may own or be owned. Events are left out: they are many, short-lived, and nobody's dependents.
COLLECTED = (
    resources.NAMESPACES,
    resources.NODES,
    resources.PODS,
    resources.CONFIGMAPS,
    resources.SECRETS,
    resources.SERVICES,
    resources.SERVICEACCOUNTS,
    resources.DEPLOYMENTS,
    resources.REPLICASETS,
    resources.JOBS,
    resources.LEASES,
)

Metadata = Mapping[str, Any]
Reference = Mapping[str, Any]


def owner_uids(obj: Object) -> list[str]:
    """What the index OWNERS holds for an object."""
    return [reference["uid"] for reference in obj.peek()["metadata"].get("ownerReferences") or ()]


def is_waiting(owner: Object) -> bool:
    """Whether it is being deleted in the foreground: it waits for its dependents."""
    return owner.deletion_timestamp is not None and FOREGROUND in owner.finalizers


class GarbageCollector:
    """Collects the objects of the given kinds. Keys are `NAMESPACE/RESOURCE/NAME`."""

    def __init__(self, client: Client, informers: Informers, collected: Sequence[Resource] = COLLECTED) -> None:
        self._client = client
        self._informers = {each.name: informers.get(each, indexes={OWNERS: owner_uids}) for each in collected}
        self._kinds = {(each.group, each.kind): each for each in collected}
        self._expectations = {name: Expectations(each.cache) for name, each in self._informers.items()}
        self._absent: OrderedDict[str, None] = OrderedDict()
        self._unknown: set[tuple[str, str]] = set()
        sources = [Source(each, self._mapper(each.resource)) for each in self._informers.values()]
        self.controller = Controller("garbagecollector", sources, self.reconcile, batch=500)

    async def run(self) -> None:
        await self.controller.run()

    # Which objects to look at.

    def _mapper(self, resource: Resource) -> Mapper:
        """Most changes concern no owner at all and cost a few comparisons here, and no key."""

        def concerned(change: Change) -> Iterable[str]:
            metadata = change.object.peek()["metadata"]
            if change.type == "DELETED":
                return self._after_deletion(metadata)
            if "deletionTimestamp" in metadata:
                return (_key(resource, metadata),) if self._has_work(metadata) else ()
            references = metadata.get("ownerReferences") or []
            before = change.old.peek()["metadata"] if change.old is not None else None
            keys: list[str] = []
            if before is not None:
                old = before.get("ownerReferences") or []
                if before["uid"] != metadata["uid"]:  # a namesake in its place: nobody told of the deletion
                    keys += self._after_deletion(before)
                elif old == references:
                    return ()
                keys += self._waiting_owners(metadata, [each for each in old if each not in references])
            for reference in references:
                owner = self._cached_owner(metadata, reference)
                if owner is None or is_waiting(owner):
                    keys.append(_key(resource, metadata))
                    break
            return keys

        return concerned

    def _has_work(self, metadata: Metadata) -> bool:
        finalizers = metadata.get("finalizers") or ()
        return "deletionTimestamp" in metadata and (FOREGROUND in finalizers or ORPHAN in finalizers)

    def _after_deletion(self, metadata: Metadata) -> Iterable[str]:
        """The dependents of what was deleted, and those of its owners that waited for it."""
        self._remember_absent(metadata["uid"])
        references = metadata.get("ownerReferences") or ()
        return self._dependent_keys(metadata["uid"]) + self._waiting_owners(metadata, references)

    def _waiting_owners(self, metadata: Metadata, references: Iterable[Reference]) -> list[str]:
        """The owners among these that are being deleted and wait for their dependents."""
        keys = []
        for reference in references:
            owner, resource = self._cached_owner(metadata, reference), self._resource_of(reference)
            if owner is not None and resource is not None and self._has_work(owner.peek()["metadata"]):
                keys.append(_key(resource, owner.peek()["metadata"]))
        return keys

    def _dependent_keys(self, uid: str) -> list[str]:
        keys = []
        for informer in self._informers.values():
            name = informer.resource.name
            for key in informer.cache.index_keys(OWNERS, uid):
                namespace, _, own = key.rpartition("/")
                keys.append(f"{namespace}/{name}/{own}")
        return keys

    def _dependents(self, uid: str) -> Iterable[tuple[Resource, Object]]:
        for informer in self._informers.values():
            for obj in informer.cache.by_index(OWNERS, uid):
                yield informer.resource, obj

    # What to do with them.

    async def reconcile(self, keys: Sequence[str]) -> Mapping[str, Result]:
        """Deletes, detaches or lets go each object as its owners and finalizers say; one group of writes for all."""
        results: dict[str, Result] = {}
        planned: list[tuple[str, Operation]] = []
        for key in keys:
            informer, obj = self._find(key)
            if obj is None:
                continue
            try:
                if all(each.settled(key) for each in self._expectations.values()):
                    planned += [(key, each) for each in await self._plan(informer.resource, obj)]
                else:
                    results[key] = Requeue(max(each.expires_in(key) for each in self._expectations.values()))
            except StatusError as error:
                results[key] = error
        if planned:
            answers = await self._client.batch([operation for _, operation in planned])
            for (key, operation), answer in zip(planned, answers, strict=True):
                if isinstance(answer, StatusError):
                    if answer.code != 404:
                        results[key] = answer
                elif operation.verb == "patch":
                    self._expectations[operation.resource.name].wrote(key, answer)
        return results

    def _find(self, key: str) -> tuple[Informer, Object | None]:
        namespace, name, own = key.split("/")
        informer = self._informers[name]
        return informer, informer.cache.get(f"{namespace}/{own}" if namespace else own)

    async def _plan(self, resource: Resource, obj: Object) -> list[Operation]:
        if obj.deletion_timestamp is not None:
            if ORPHAN in obj.finalizers:
                return self._orphan(resource, obj)
            if FOREGROUND in obj.finalizers:
                return self._let_go(resource, obj)
            return []
        return await self._collect(resource, obj)

    def _orphan(self, resource: Resource, owner: Object) -> list[Operation]:
        """Takes the owner off its dependents; when there are none left, lets it go."""
        operations = [
            ownership.releasing(self._client, dependent_resource, dependent, [owner.uid])
            for dependent_resource, dependent in self._dependents(owner.uid)
        ]
        return operations or [self._without_finalizer(resource, owner, ORPHAN)]

    def _let_go(self, resource: Resource, owner: Object) -> list[Operation]:
        """Lets the owner go when no dependent blocks it any more; else sees that they are deleted."""
        blocked = False
        waiting = []
        for dependent_resource, dependent in self._dependents(owner.uid):
            metadata = dependent.peek()["metadata"]
            blocked = blocked or any(
                reference["uid"] == owner.uid and reference.get("blockOwnerDeletion")
                for reference in metadata["ownerReferences"]
            )
            if "deletionTimestamp" not in metadata:
                waiting.append(_key(dependent_resource, metadata))
        self.controller.queue.add_many(waiting)
        return [] if blocked else [self._without_finalizer(resource, owner, FOREGROUND)]

    def _without_finalizer(self, resource: Resource, owner: Object, finalizer: str) -> Operation:
        """Refused when the object changed meanwhile: a list is replaced as a whole."""
        finalizers = [each for each in owner.finalizers if each != finalizer]
        metadata = {"resourceVersion": str(owner.resource_version), "finalizers": finalizers or None}
        return self._client.patching(resource, owner.namespace, owner.name, {"metadata": metadata})

    async def _collect(self, resource: Resource, obj: Object) -> list[Operation]:
        """Deletes an object that has owners and none that lives, or takes the dead ones off it."""
        dangling, waiting, solid = [], [], []
        metadata = obj.peek()["metadata"]
        for reference in metadata.get("ownerReferences") or ():
            owner = await self._owner(metadata, reference)
            if owner is None:
                dangling.append(reference["uid"])
            elif isinstance(owner, Object) and is_waiting(owner):
                waiting.append(reference["uid"])
            else:
                solid.append(reference["uid"])
        if not dangling and not waiting:
            return []
        if solid:
            return [ownership.releasing(self._client, resource, obj, [*dangling, *waiting])]
        if waiting and any(is_waiting(dependent) for _, dependent in self._dependents(obj.uid)):
            return [self._unblocking(resource, obj, waiting)]
        preconditions = {"uid": obj.uid, "resourceVersion": str(obj.resource_version)}
        policy = self._policy(obj, bool(waiting))
        return [
            self._client.deleting(
                resource, obj.namespace, obj.name, preconditions=preconditions, propagationPolicy=policy
            )
        ]

    def _unblocking(self, resource: Resource, obj: Object, owner_uids: Sequence[str]) -> Operation:
        """Where owners wait for each other in a circle, one of them has to stop blocking."""
        references = [
            {**reference, "blockOwnerDeletion": False}
            for reference in obj.peek()["metadata"]["ownerReferences"]
            if reference["uid"] in owner_uids
        ]
        metadata = {"uid": obj.uid, "ownerReferences": references}
        return self._client.patching(resource, obj.namespace, obj.name, {"metadata": metadata}, type="strategic")

    def _policy(self, obj: Object, owner_waits: bool) -> str:
        """How an object's own dependents go: as its finalizers ask; in the foreground when its owner waits for all."""
        if ORPHAN in obj.finalizers:
            return "Orphan"
        if FOREGROUND in obj.finalizers or (owner_waits and any(True for _ in self._dependents(obj.uid))):
            return "Foreground"
        return "Background"

    # Whether an owner lives.

    async def _owner(self, metadata: Metadata, reference: Reference) -> Object | bool | None:
        """The owner; None when it is gone; True when that cannot be known, which is no reason to delete anything."""
        uid = reference["uid"]
        if uid in self._absent:
            return None
        cached = self._cached_owner(metadata, reference)
        if cached is not None:
            return cached
        resource = self._resource_of(reference)
        if resource is None:
            kind = (reference["apiVersion"], reference["kind"])
            if kind not in self._unknown:
                self._unknown.add(kind)
                LOG.warning("owners of kind %s %s are not followed: what they own stays", *kind)
            return True
        try:
            namespace = metadata.get("namespace") if resource.namespaced else None
            live = await self._client.get(resource, namespace, reference["name"])
        except StatusError as error:
            if error.code != 404:
                raise
        else:
            if live.uid == uid:
                return live
        self._remember_absent(uid)
        return None

    def _cached_owner(self, metadata: Metadata, reference: Reference) -> Object | None:
        """The owner that a reference of the object with this metadata names: in the same namespace, or in none."""
        resource = self._resource_of(reference)
        if resource is None:
            return None
        key = f"{metadata.get('namespace', '')}/{reference['name']}" if resource.namespaced else reference["name"]
        owner = self._informers[resource.name].cache.get(key)
        return owner if owner is not None and owner.uid == reference["uid"] else None

    def _resource_of(self, reference: Reference) -> Resource | None:
        return self._kinds.get((reference["apiVersion"].rpartition("/")[0], reference["kind"]))

    def _remember_absent(self, uid: str) -> None:
        self._absent[uid] = None
        self._absent.move_to_end(uid)
        if len(self._absent) > MAX_ABSENT_OWNERS:
            self._absent.popitem(last=False)


def _key(resource: Resource, metadata: Metadata) -> str:
    return f"{metadata.get('namespace', '')}/{resource.name}/{metadata['name']}"
