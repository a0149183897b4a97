"""The Deployment controller: a ReplicaSet for each template, sized as the strategy says, and a status of it all.

A reconcile is one step: from what the caches show it follows what to write now, and what that brings about comes back
as a change. `rollout.py` has the sizes, `revisions.py` the ReplicaSets and their numbers, `progress.py` the status.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engine import logs
from engine._object import Object
from engine.api.errors import StatusError
from engine.api.resource import DEPLOYMENTS, PODS, REPLICASETS
from engine.client.client import Client
from engine.client.transport import Operation
from engine.controllers import conditions, ownership, progress, replicas, revisions, rollout
from engine.controllers.expectations import Expectations
from engine.controllers.ownership import CONTROLLER, by_controller, owner_key
from engine.controllers.replicas import REPLICAS, replica_states
from engine.controllers.revisions import ReplicaSet
from engine.controllers.rollout import Strategy
from engine.informers.informer import Change, Informers
from engine.runtime.controller import Controller, Requeue, Result, Source, own_key
from engine.runtime.events import EventRecorder

Answer = Object | StatusError


@dataclass(slots=True)
class _Write:
    """One write of a step, what to do with its answer, and what to tell people of it."""

    operation: Operation
    told: str = ""  # the message of the ScalingReplicaSet event
    creates: bool = False
    of_set: bool = True  # a write to a ReplicaSet: the next step waits until the cache shows it


@dataclass(slots=True)
class _Work:
    """One key of a reconcile."""

    key: str
    deployment: Object
    strategy: Strategy
    new: ReplicaSet | None = None
    old: list[ReplicaSet] = field(default_factory=list)
    rolling: bool = True
    collisions: int = 0
    outcome: conditions.Condition | None = None
    error: Exception | None = None
    requeue_seconds: float | None = None

    @property
    def spec(self) -> Mapping[str, Any]:
        return self.deployment.peek()["spec"]  # type: ignore[no-any-return]

    @property
    def sets(self) -> list[ReplicaSet]:
        return [*self.old, self.new] if self.new is not None else self.old

    @property
    def result(self) -> Result:
        if self.error is not None:
            return self.error
        return Requeue(self.requeue_seconds) if self.requeue_seconds is not None else None


class DeploymentController:
    """Keeps every Deployment's ReplicaSets as its spec says. `now` is wall-clock time in seconds."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        recorder: EventRecorder,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._now = now
        self._deployments = informers.get(DEPLOYMENTS)
        self._sets = informers.get(REPLICASETS, indexes={CONTROLLER: by_controller})
        self._pods = informers.get(PODS, indexes={REPLICAS: replica_states})
        self._expectations = Expectations(self._sets.cache)
        sources = [
            Source(self._deployments, self._deployment_changed),
            Source(self._sets, self._set_changed),
            Source(self._pods, self._pod_changed),
        ]
        self.controller = Controller("deployment", sources, self.reconcile)

    async def run(self) -> None:
        await self.controller.run()

    def _deployment_changed(self, change: Change) -> Iterable[str]:
        if change.type == "DELETED":
            self._expectations.forget(change.object.uid)
            return ()
        return own_key(change)

    def _set_changed(self, change: Change) -> Iterable[str]:
        metadata = change.object.peek()["metadata"]
        keys = {owner_key(metadata, DEPLOYMENTS)}
        if change.old is not None:
            keys.add(owner_key(change.old.peek()["metadata"], DEPLOYMENTS))
        if change.type != "DELETED" and ownership.controller_reference(metadata) is None:
            keys.update(self._selecting(metadata))
        return [key for key in keys if key is not None]

    def _selecting(self, metadata: Mapping[str, Any]) -> list[str]:
        """The Deployments that might adopt a ReplicaSet."""
        labels = metadata.get("labels")
        if not labels:
            return []
        candidates = self._deployments.cache.list(metadata["namespace"])
        return [each.key for each in candidates if ownership.selects(each.peek()["spec"]["selector"], labels)]

    def _pod_changed(self, change: Change) -> Iterable[str]:
        """A Deployment that recreates goes on when the last old pod has ended; no other needs to know of pods."""
        if change.type != "DELETED" and replicas.is_active(change.object):
            return ()
        key = owner_key(change.object.peek()["metadata"], REPLICASETS)
        rs = self._sets.cache.get(key) if key else None
        owner = owner_key(rs.peek()["metadata"], DEPLOYMENTS) if rs is not None else None
        deployment = self._deployments.cache.get(owner) if owner else None
        if owner is None or deployment is None or not Strategy.of(deployment.peek()["spec"]).recreate:
            return ()
        return (owner,)

    async def reconcile(self, keys: Sequence[str]) -> Mapping[str, Result]:
        """Takes each key one step towards its spec and brings its status up to date: two groups of writes for all."""
        found = zip(keys, self._deployments.cache.get_many(keys), strict=True)
        works = [_Work(key, each, Strategy.of(each.peek()["spec"])) for key, each in found if each is not None]
        await self._claim(works)
        planned = []
        for work in works:
            self._look(work)
            if work.error is None and work.deployment.deletion_timestamp is None:
                planned += [(work, write) for write in self._plan(work)]
        await self._write(planned)
        await self._write_statuses(works)
        return {work.key: work.result for work in works}

    # Which ReplicaSets.

    async def _claim(self, works: Sequence[_Work]) -> None:
        """Adopts and releases ReplicaSets as the selectors say."""
        claims: list[tuple[_Work, Operation]] = []
        for work in works:
            if work.deployment.deletion_timestamp is not None:
                continue
            selector, uid = work.spec["selector"], work.deployment.uid
            claims += [
                (work, ownership.releasing(self._client, REPLICASETS, rs, [uid]))
                for rs in self._sets.cache.by_index(CONTROLLER, uid)
                if not ownership.selects(selector, ownership.labels_of(rs))
            ]
            orphans = [
                rs
                for rs in self._sets.cache.by_index(CONTROLLER, ownership.orphans_of(work.deployment.namespace))
                if rs.deletion_timestamp is None and ownership.selects(selector, ownership.labels_of(rs))
            ]
            try:
                if not orphans or not await ownership.may_adopt(self._client, DEPLOYMENTS, work.deployment):
                    continue
            except StatusError as error:
                work.error = error
                continue
            for rs in orphans:
                adopting = ownership.adopting(self._client, REPLICASETS, rs, work.deployment, DEPLOYMENTS)
                claims.append((work, adopting))
        if not claims:
            return
        answers = await self._client.batch([operation for _, operation in claims])
        for (work, _), answer in zip(claims, answers, strict=True):
            if isinstance(answer, Object):
                self._expectations.wrote(work.deployment.uid, answer)
            elif not ownership.is_gone(answer):
                work.error = work.error or answer

    def _look(self, work: _Work) -> None:
        """Reads the Deployment's ReplicaSets from the cache."""
        selector = work.spec["selector"]
        owned = self._sets.cache.by_index(CONTROLLER, work.deployment.uid)
        sets = [ReplicaSet.of(rs) for rs in owned if ownership.selects(selector, ownership.labels_of(rs))]
        work.new = revisions.current(work.deployment, sets)
        work.old = sorted((rs for rs in sets if rs is not work.new), key=lambda rs: rs.age_order)
        work.collisions = (work.deployment.peek().get("status") or {}).get("collisionCount", 0)

    # What to write.

    def _plan(self, work: _Work) -> list[_Write]:
        """The writes of this step: none while the cache does not show the last step's."""
        uid = work.deployment.uid
        if not self._expectations.settled(uid):
            work.requeue_seconds = self._expectations.expires_in(uid)
            return []
        paused = bool(work.spec.get("paused"))
        writes = self._number(work)
        if paused or rollout.is_scaling(work.strategy, work.sets):
            work.rolling = False
            status_replicas = (work.deployment.peek().get("status") or {}).get("replicas", 0)
            sizes = rollout.scaled_sizes(work.strategy, work.new, work.old, status_replicas)
            writes += self._resize(work, sizes)
        else:
            writes += self._recreate(work) if work.strategy.recreate else self._roll(work)
        return writes + (self._forget(work) if paused or not any(write.told for write in writes) else [])

    def _number(self, work: _Work) -> list[_Write]:
        """Gives the current ReplicaSet its revision and the Deployment's annotations, and the Deployment its number."""
        if work.new is None:
            return []
        writes = []
        revision = revisions.next_revision(work.old)
        lacking = revisions.inherited_annotations(work.deployment, work.new, revision)
        patch: dict[str, Any] = {"metadata": {"annotations": lacking}} if lacking else {}
        min_ready_seconds = work.spec.get("minReadySeconds", 0)
        if work.new.object.peek()["spec"].get("minReadySeconds", 0) != min_ready_seconds:
            patch["spec"] = {"minReadySeconds": min_ready_seconds}
        if patch:
            writes.append(_Write(self._patching(work.new, patch)))
        number = str(max(revision, work.new.revision))
        if work.deployment.annotations.get(revisions.REVISION) != number:
            annotations = {revisions.REVISION: number}
            annotating = {"metadata": {"uid": work.deployment.uid, "annotations": annotations}}
            namespace, name = work.deployment.namespace, work.deployment.name
            numbering = self._client.patching(DEPLOYMENTS, namespace, name, annotating, subresource="status")
            writes.append(_Write(numbering, of_set=False))  # with the status, which is no new generation
        status = work.deployment.peek().get("status") or {}
        if conditions.find(status, progress.PROGRESSING) is None:
            message = f'Found new replica set "{work.new.name}"'
            work.outcome = self._progressing("True", "FoundNewReplicaSet", message)
        return writes

    def _roll(self, work: _Work) -> list[_Write]:
        """A rolling update's step: first the new ReplicaSet as far as there is room, then the old ones."""
        size = rollout.new_size(work.strategy, work.new, work.old)
        if work.new is None:
            return self._create(work, size)
        if size != work.new.replicas:
            return self._resize(work, {work.new.name: size})
        return self._resize(work, rollout.old_sizes(work.strategy, work.new, work.old))

    def _recreate(self, work: _Work) -> list[_Write]:
        """First all old pods away, their last process included, then the new ones."""
        shrinking = {rs.name: 0 for rs in work.old if rs.replicas > 0}
        if shrinking:
            return self._resize(work, shrinking)
        cache = self._pods.cache
        for rs in work.old:
            if replicas.count(cache, rs.object.uid) or replicas.count(cache, rs.object.uid, "terminating"):
                return []
        if work.new is None:
            return self._create(work, work.strategy.replicas)
        return self._resize(work, {work.new.name: work.strategy.replicas})

    def _create(self, work: _Work, size: int) -> list[_Write]:
        revision = revisions.next_revision(work.old)
        annotations = revisions.inherited_annotations(work.deployment, None, revision)
        annotations |= revisions.sizing_annotations(work.strategy.replicas, work.strategy.max_surge)
        body = revisions.new_replica_set(work.deployment, size, annotations)
        name = body["metadata"]["name"]
        told = f"Scaled up replica set {name} from 0 to {size}"
        creation = self._client.creating(REPLICASETS, work.deployment.namespace, body)
        return [_Write(creation, told, creates=True)]

    def _resize(self, work: _Work, sizes: Mapping[str, int]) -> list[_Write]:
        """Writes sizes that differ, and what the ReplicaSets remember of the Deployment's size."""
        wanted = revisions.sizing_annotations(work.strategy.replicas, work.strategy.max_surge)
        writes = []
        for rs in work.sets:
            size = sizes.get(rs.name)
            if size is None:
                continue
            lacking = {key: value for key, value in wanted.items() if rs.object.annotations.get(key) != value}
            if size == rs.replicas and (work.rolling or not lacking):
                continue
            patch = {"metadata": {"annotations": lacking}, "spec": {"replicas": size}}
            direction = "up" if size > rs.replicas else "down"
            told = f"Scaled {direction} replica set {rs.name} from {rs.replicas} to {size}"
            writes.append(_Write(self._patching(rs, patch), told if size != rs.replicas else ""))
        return writes

    def _forget(self, work: _Work) -> list[_Write]:
        """Deletes old revisions beyond the history limit once nothing else is going on."""
        facts = self._facts(work)
        if not work.spec.get("paused") and not progress.is_complete(facts, progress.counts(facts)):
            return []
        return [
            _Write(
                self._client.deleting(REPLICASETS, rs.object.namespace, rs.name, preconditions={"uid": rs.object.uid})
            )
            for rs in revisions.forgotten(work.deployment, work.old)
        ]

    def _patching(self, rs: ReplicaSet, patch: Mapping[str, Any]) -> Operation:
        metadata = {"uid": rs.object.uid, **patch.get("metadata", {})}
        return self._client.patching(REPLICASETS, rs.object.namespace, rs.name, {**patch, "metadata": metadata})

    # Answers.

    async def _write(self, planned: Sequence[tuple[_Work, _Write]]) -> None:
        if not planned:
            return
        answers = await self._client.batch([write.operation for _, write in planned])
        told = []
        for (work, write), answer in zip(planned, answers, strict=True):
            if isinstance(answer, StatusError):
                await self._after_refusal(work, write, answer)
                continue
            if write.operation.verb == "delete":
                continue
            if write.of_set:
                self._expectations.wrote(work.deployment.uid, answer)
                self._take(work, write, answer)
            if write.told:
                told.append((work, answer))
                self._recorder.record(work.deployment, "Normal", "ScalingReplicaSet", write.told)
        if told:
            work, answer = told[0]
            saw, wrote = f"deployment {work.key}", f"replicaset {answer.key}"
            logs.step(2, "deployment", saw=saw, through="deployments informer", wrote=wrote, count=len(told))

    def _take(self, work: _Work, write: _Write, answer: Object) -> None:
        """Puts what was written in the place of what the cache showed, for the status."""
        written = ReplicaSet.of(answer)
        if write.creates:
            work.new = written
            message = f'Created new replica set "{written.name}"'
            work.outcome = self._progressing("True", "NewReplicaSetCreated", message)
        elif work.new is not None and work.new.name == written.name:
            work.new = written
        else:
            work.old = [written if rs.name == written.name else rs for rs in work.old]

    async def _after_refusal(self, work: _Work, write: _Write, error: StatusError) -> None:
        if not write.creates:
            if not ownership.is_gone(error):
                work.error = work.error or error
            return
        work.error = error
        name = write.operation.body["metadata"]["name"]  # type: ignore[call-overload,index]
        if error.reason == "AlreadyExists":
            await self._after_collision(work, name)
            return
        message = f'Failed to create new replica set "{name}": {error.message}'
        work.outcome = self._progressing("False", "ReplicaSetCreateError", message)
        self._recorder.record(work.deployment, "Warning", "ReplicaSetCreateError", message)

    async def _after_collision(self, work: _Work, name: str) -> None:
        """The name is taken. By our own ReplicaSet, which the cache will show: all is well. By another: the next
        attempt hashes with a higher collision count, which the status carries."""
        existing = await self._client.get(REPLICASETS, work.deployment.namespace, name)
        document = existing.peek()
        reference = ownership.controller_reference(document["metadata"])
        if (
            reference is not None
            and reference["uid"] == work.deployment.uid
            and revisions.same_template(document["spec"]["template"], work.spec["template"])
        ):
            self._expectations.wrote(work.deployment.uid, existing)
            return
        work.collisions += 1

    def _progressing(self, status: str, reason: str, message: str) -> conditions.Condition:
        return progress.condition(progress.PROGRESSING, status, reason, message, self._now())

    # Status.

    def _facts(self, work: _Work) -> progress.Facts:
        return progress.Facts(
            deployment=work.deployment,
            strategy=work.strategy,
            new=work.new,
            old=work.old,
            now=self._now(),
            rolling=work.rolling,
            outcome=work.outcome,
            collisions=work.collisions,
        )

    async def _write_statuses(self, works: Sequence[_Work]) -> None:
        operations, writing = [], []
        for work in works:
            facts = self._facts(work)
            if work.deployment.deletion_timestamp is not None:
                facts = replace(facts, rolling=False)
            status = progress.next_status(facts)
            deadline = progress.seconds_to_deadline(facts, status)
            if deadline is not None and work.requeue_seconds is None:
                work.requeue_seconds = deadline
            current = facts.status
            if all(current.get(name) == value for name, value in status.items()):
                continue
            patch = {"metadata": {"uid": work.deployment.uid}, "status": status}
            namespace, name = work.deployment.namespace, work.deployment.name
            operations.append(self._client.patching(DEPLOYMENTS, namespace, name, patch, subresource="status"))
            writing.append(work)
        if not operations:
            return
        for work, answer in zip(writing, await self._client.batch(operations), strict=True):
            if isinstance(answer, StatusError) and not ownership.is_gone(answer):
                work.error = work.error or answer
