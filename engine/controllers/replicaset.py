"""The ReplicaSet controller: as many pods as the spec says, and a status that counts them.

Reads pods from the informer's indexes only; writes in batches over all keys of a reconcile. Level-triggered: whatever
was lost, the next reconcile computes the same difference from the cache.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine import logs
from engine._object import Object
from engine.api.errors import StatusError
from engine.api.resource import PODS, REPLICASETS
from engine.api.timestamps import rfc3339
from engine.client.client import Client
from engine.client.transport import Operation
from engine.controllers import conditions, ownership, replicas
from engine.controllers.expectations import Expectations
from engine.controllers.ownership import CONTROLLER, by_controller, owner_key
from engine.controllers.replicas import REPLICAS, replica_states
from engine.informers.informer import Change, Informers
from engine.runtime.controller import Controller, Requeue, Result, Source
from engine.runtime.events import EventRecorder

BURST = 512  # creates and deletes of one key in one reconcile, so that a big one leaves room for the others
FIRST_ROUND = 64  # creates before the first answer is looked at; doubles while all succeed, also in the next reconcile
EVENTS_PER_RECONCILE = 10  # one key's pods that get an Event each; the story of five thousand is the same as of ten
STATUS_SECONDS = 0.1  # between two status writes of one key while its pods change quickly


@dataclass(slots=True)
class _Work:
    """One key of a reconcile."""

    key: str
    owner: Object
    create: int = 0
    round: int = FIRST_ROUND
    delete: Sequence[Object] = ()
    created: list[Object] = field(default_factory=list)
    deleted: list[Object] = field(default_factory=list)
    failure: tuple[str, StatusError] | None = None  # reason of the ReplicaFailure condition, and why
    error: StatusError | None = None
    requeue_seconds: float | None = None

    @property
    def uid(self) -> str:
        return self.owner.uid

    @property
    def document(self) -> dict[str, Any]:
        return self.owner.peek()

    @property
    def result(self) -> Result:
        error = self.failure[1] if self.failure else self.error
        if error is not None and not _namespace_terminating(error):
            return error
        return Requeue(self.requeue_seconds) if self.requeue_seconds is not None else None

    def again_in(self, seconds: float) -> None:
        self.requeue_seconds = seconds if self.requeue_seconds is None else min(self.requeue_seconds, seconds)


class ReplicaSetController:
    """Keeps every ReplicaSet's pods at `spec.replicas`. `now` is wall-clock time in seconds, `clock` is monotonic."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        recorder: EventRecorder,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._now = now
        self._clock = clock
        self._sets = informers.get(REPLICASETS, indexes={CONTROLLER: by_controller})
        self._pods = informers.get(PODS, indexes={REPLICAS: replica_states})
        self._expectations = Expectations(self._pods.cache, clock=clock)
        self._unchecked: dict[
            str, set[str]
        ] = {}  # ReplicaSet key → pods whose labels nobody compared since they changed
        self._status_written: dict[str, float] = {}  # uid → when
        self._rounds: dict[str, int] = {}  # uid → how many creates at once succeeded last
        sources = [Source(self._sets, self._set_changed), Source(self._pods, self._pod_changed)]
        self.controller = Controller("replicaset", sources, self.reconcile)

    async def run(self) -> None:
        await self.controller.run()

    def _set_changed(self, change: Change) -> Iterable[str]:
        if change.type == "DELETED":
            self._expectations.forget(change.object.uid)
            self._status_written.pop(change.object.uid, None)
            self._rounds.pop(change.object.uid, None)
            self._unchecked.pop(change.key, None)
            return ()
        if change.type == "ADDED":
            owned = self._pods.cache.index_keys(REPLICAS, change.object.uid)
            if owned:
                self._unchecked.setdefault(change.key, set()).update(owned)
        return (change.key,)

    def _pod_changed(self, change: Change) -> Iterable[str]:
        metadata = change.object.peek()["metadata"]
        key = owner_key(metadata, REPLICASETS)
        old = change.old.peek()["metadata"] if change.old is not None else None
        if change.type == "DELETED":
            return (key,) if key else ()
        if (
            old is not None
            and old.get("labels") == metadata.get("labels")
            and old.get("ownerReferences") == metadata.get("ownerReferences")
        ):
            return (key,) if key else ()
        keys = [key] if key else []
        if key:
            self._unchecked.setdefault(key, set()).add(change.key)
        elif ownership.controller_reference(metadata) is None:
            keys += self._selecting(metadata)
        previous = owner_key(old, REPLICASETS) if old is not None else None
        return [*keys, previous] if previous and previous != key else keys

    def _selecting(self, metadata: Mapping[str, Any]) -> list[str]:
        """The ReplicaSets that might adopt a pod."""
        labels = metadata.get("labels")
        if not labels:
            return []
        candidates = self._sets.cache.list(metadata["namespace"])
        return [rs.key for rs in candidates if ownership.selects(rs.peek()["spec"]["selector"], labels)]

    async def reconcile(self, keys: Sequence[str]) -> Mapping[str, Result]:
        """Brings each key's pods one step (at most BURST pods) nearer to its spec, and its status up to date."""
        works = []
        for key, owner in zip(keys, self._sets.cache.get_many(keys), strict=True):
            if owner is None:
                self._unchecked.pop(key, None)
            else:
                works.append(_Work(key, owner))
        await self._claim(works)
        for work in works:
            if work.error is None:
                self._plan(work)
        await self._write_pods([work for work in works if work.create or work.delete])
        await self._write_statuses(works)
        self._tell(works)
        return {work.key: work.result for work in works}

    # Adoption and release.

    async def _claim(self, works: Sequence[_Work]) -> None:
        operations: list[Operation] = []
        claims: list[tuple[_Work, Object]] = []
        for work in works:
            releases = self._to_release(work)
            adoptions = self._to_adopt(work)
            try:
                if adoptions and not await ownership.may_adopt(self._client, REPLICASETS, work.owner):
                    adoptions = []
            except StatusError as error:
                work.error, adoptions = error, []
            operations += [ownership.releasing(self._client, PODS, pod, [work.uid]) for pod in releases]
            operations += [ownership.adopting(self._client, PODS, pod, work.owner, REPLICASETS) for pod in adoptions]
            claims += [(work, pod) for pod in (*releases, *adoptions)]
        if not operations:
            return
        for (work, pod), result in zip(claims, await self._client.batch(operations), strict=True):
            if isinstance(result, Object):
                self._expectations.wrote(work.uid, result)
            elif not ownership.is_gone(result):
                work.error = result
                self._unchecked.setdefault(work.key, set()).add(pod.key)

    def _to_release(self, work: _Work) -> list[Object]:
        unchecked = self._unchecked.pop(work.key, None)
        if not unchecked or work.owner.deletion_timestamp is not None:
            return []
        selector = work.document["spec"]["selector"]
        released = []
        for pod in self._pods.cache.get_many(unchecked):
            if pod is None or not replicas.is_active(pod):
                continue
            metadata = pod.peek()["metadata"]
            reference = ownership.controller_reference(metadata)
            if reference and reference["uid"] == work.uid and not ownership.selects(selector, metadata.get("labels")):
                released.append(pod)
        return released

    def _to_adopt(self, work: _Work) -> list[Object]:
        if work.owner.deletion_timestamp is not None:
            return []
        selector = work.document["spec"]["selector"]
        orphans = self._pods.cache.by_index(REPLICAS, ownership.orphans_of(work.owner.namespace))
        return [pod for pod in orphans if ownership.selects(selector, ownership.labels_of(pod))]

    # Pods.

    def _plan(self, work: _Work) -> None:
        """How many pods to create, or which to delete: nothing while the cache does not show the last writes."""
        if work.owner.deletion_timestamp is not None:
            return
        if not self._expectations.settled(work.uid):
            work.again_in(self._expectations.expires_in(work.uid))
            return
        surplus = replicas.count(self._pods.cache, work.uid) - int(work.document["spec"].get("replicas", 1))
        if surplus < 0:
            work.create = min(-surplus, BURST)
            work.round = self._rounds.get(work.uid, FIRST_ROUND)
        elif surplus > 0:
            pods = replicas.active(self._pods.cache, work.uid)
            chosen = min(surplus, BURST)
            work.delete = replicas.first_to_delete(pods, chosen, self._related(work.owner), self._now())

    def _related(self, owner: Object) -> Iterable[Object]:
        """The active pods of every ReplicaSet that has the same controller as this one."""
        reference = ownership.controller_reference(owner.peek()["metadata"])
        sets = self._sets.cache.by_index(CONTROLLER, reference["uid"]) if reference else [owner]
        for rs in sets:
            yield from replicas.active(self._pods.cache, rs.uid)

    async def _write_pods(self, works: Sequence[_Work]) -> None:
        """Deletes at once, creates in growing rounds: a quota or a refused template costs 64 requests, not 5,000."""
        templates = {work.key: self._creation(work) for work in works if work.create}
        deletions = [(work, pod) for work in works for pod in work.delete]
        while deletions or templates:
            operations = [
                self._client.deleting(PODS, pod.namespace, pod.name, preconditions={"uid": pod.uid})
                for _, pod in deletions
            ]
            creating = [work for work in works if work.key in templates]
            for work in creating:
                operations += [templates[work.key]] * min(work.round, work.create)
            results = await self._client.batch(operations)
            for (work, pod), result in zip(deletions, results, strict=False):
                self._after_delete(work, pod, result)
            start = len(deletions)
            for work in creating:
                end = start + min(work.round, work.create)
                self._after_creates(work, results[start:end])
                start = end
                if not work.create:
                    del templates[work.key]
            deletions = []

    def _after_delete(self, work: _Work, pod: Object, result: Object | StatusError) -> None:
        if isinstance(result, Object):
            self._expectations.deleted(work.uid, pod)
            work.deleted.append(pod)
        elif not ownership.is_gone(result):
            work.failure = ("FailedDelete", result)

    def _after_creates(self, work: _Work, results: Sequence[Object | StatusError]) -> None:
        for result in results:
            if isinstance(result, Object):
                work.created.append(result)
                self._expectations.wrote(work.uid, result)
            else:
                work.failure = ("FailedCreate", result)
        work.create = 0 if work.failure else work.create - len(results)
        work.round = FIRST_ROUND if work.failure else min(2 * work.round, BURST)
        self._rounds[work.uid] = work.round

    def _creation(self, work: _Work) -> Operation:
        """The same request for every pod of the set: the server gives each its name."""
        template = work.document["spec"]["template"]
        given = template.get("metadata") or {}
        metadata: dict[str, Any] = {"generateName": f"{work.owner.name}-", "namespace": work.owner.namespace}
        metadata.update({part: given[part] for part in ("labels", "annotations", "finalizers") if given.get(part)})
        metadata["ownerReferences"] = [ownership.reference_to(work.owner, REPLICASETS)]
        pod = Object({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
        return self._client.creating(PODS, work.owner.namespace, pod)

    # Status.

    async def _write_statuses(self, works: Sequence[_Work]) -> None:
        operations, writing = [], []
        for work in works:
            status = self._status(work)
            current = work.document.get("status") or {}
            if all(current.get(name) == value for name, value in status.items()):
                continue
            wait = self._status_written.get(work.uid, 0.0) + STATUS_SECONDS - self._clock()
            observed = current.get("observedGeneration") == status["observedGeneration"]
            if observed and work.failure is None and wait > 0:
                work.again_in(wait)
                continue
            patch = {"metadata": {"uid": work.uid}, "status": status}
            operations.append(
                self._client.patching(REPLICASETS, work.owner.namespace, work.owner.name, patch, subresource="status")
            )
            writing.append(work)
        if not operations:
            return
        for work, result in zip(writing, await self._client.batch(operations), strict=True):
            self._status_written[work.uid] = self._clock()
            if isinstance(result, StatusError) and not ownership.is_gone(result):
                work.error = work.error or result

    def _status(self, work: _Work) -> dict[str, Any]:
        """The status as a merge patch: what is zero or empty is null, as it is absent in the object."""
        spec, cache, uid = work.document["spec"], self._pods.cache, work.uid
        active = replicas.count(cache, uid)
        ready = replicas.count(cache, uid, "ready")
        available = ready
        min_ready_seconds = int(spec.get("minReadySeconds", 0))
        if min_ready_seconds and ready:
            pods = cache.by_index(REPLICAS, f"{uid}/ready")
            available, next_seconds = replicas.count_available(pods, min_ready_seconds, self._now())
            if next_seconds is not None:
                work.again_in(next_seconds)
        return {
            "replicas": active,
            "fullyLabeledReplicas": self._fully_labeled(work, active) or None,
            "readyReplicas": ready or None,
            "availableReplicas": available or None,
            "terminatingReplicas": replicas.count(cache, uid, "terminating"),
            "observedGeneration": work.owner.generation,
            "conditions": self._conditions(work) or None,
        }

    def _fully_labeled(self, work: _Work, active: int) -> int:
        """The pods that have all labels of the template. What the selector matches has them all when they are the
        selector's own, as in every Deployment that adds none; only else the pods are looked at."""
        wanted = ((work.document["spec"]["template"].get("metadata") or {}).get("labels") or {}).items()
        if wanted <= (work.document["spec"]["selector"].get("matchLabels") or {}).items():
            return active
        pods = replicas.active(self._pods.cache, work.uid)
        return sum(wanted <= ownership.labels_of(pod).items() for pod in pods)

    def _conditions(self, work: _Work) -> list[conditions.Condition]:
        current = (work.document.get("status") or {}).get("conditions") or []
        if work.failure is None:
            return conditions.without(current, "ReplicaFailure")
        reason, error = work.failure
        failed = {"type": "ReplicaFailure", "status": "True", "reason": reason, "message": error.message}
        return conditions.replaced(current, {**failed, "lastTransitionTime": rfc3339(self._now())})

    # What people see.

    def _tell(self, works: Sequence[_Work]) -> None:
        for work in works:
            for pod in work.created[:EVENTS_PER_RECONCILE]:
                self._recorder.record(work.owner, "Normal", "SuccessfulCreate", f"Created pod: {pod.name}")
            for pod in work.deleted[:EVENTS_PER_RECONCILE]:
                self._recorder.record(work.owner, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.name}")
            if work.failure and not _namespace_terminating(work.failure[1]):
                reason, error = work.failure
                doing = "creating" if reason == "FailedCreate" else "deleting"
                self._recorder.record(work.owner, "Warning", reason, f"Error {doing}: {error.message}")
        created = [work for work in works if work.created]
        if created:
            logs.step(
                2,
                "replicaset",
                saw=f"replicaset {created[0].key}",
                through="replicasets informer",
                wrote=f"pod {created[0].created[0].key}",
                count=sum(len(work.created) for work in created),
            )


def _namespace_terminating(error: StatusError) -> bool:
    """Creates in a namespace that is going away are refused for good: no use to try again."""
    return any(cause.reason == "NamespaceTerminating" for cause in error.causes)
