"""A Deployment's status: its counts, and the conditions that `kubectl rollout status` and `wait` read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine._object import Object
from engine.api.timestamps import epoch_seconds, rfc3339
from engine.controllers import conditions
from engine.controllers.conditions import Condition
from engine.controllers.revisions import ReplicaSet
from engine.controllers.rollout import Strategy

NO_DEADLINE = 2**31 - 1
AVAILABLE, PROGRESSING, REPLICA_FAILURE = "Available", "Progressing", "ReplicaFailure"
COMPLETE, TIMED_OUT, PAUSED = "NewReplicaSetAvailable", "ProgressDeadlineExceeded", "DeploymentPaused"


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a Deployment's status follows from. `rolling` is false while it is paused or being scaled, when nobody
    expects a rollout to make progress; `outcome` is the Progressing condition that this reconcile brought about."""

    deployment: Object
    strategy: Strategy
    new: ReplicaSet | None
    old: Sequence[ReplicaSet]
    now: float
    rolling: bool = True
    outcome: Condition | None = None
    collisions: int = 0

    @property
    def sets(self) -> list[ReplicaSet]:
        return [*self.old, self.new] if self.new is not None else list(self.old)

    @property
    def deadline_seconds(self) -> int | None:
        seconds = self.deployment.peek()["spec"].get("progressDeadlineSeconds")
        return None if seconds in (None, NO_DEADLINE) else int(seconds)

    @property
    def status(self) -> Mapping[str, Any]:
        return self.deployment.peek().get("status") or {}


def condition(type: str, status: str, reason: str, message: str, now: float) -> Condition:
    moment = rfc3339(now)
    times = {"lastUpdateTime": moment, "lastTransitionTime": moment}
    return {"type": type, "status": status, "reason": reason, "message": message, **times}


def next_status(facts: Facts) -> dict[str, Any]:
    """The status as a merge patch: what is zero or empty is null, as it is absent in the object."""
    counted = counts(facts)
    known = [dict(each) for each in facts.status.get("conditions") or ()]
    known = conditions.replaced(known, _availability(facts, counted))
    known = _progress(facts, counted, known)
    if facts.rolling:
        failure = _replica_failure(facts)
        if failure is None:
            known = conditions.without(known, REPLICA_FAILURE)
        else:
            known = conditions.replaced(known, failure)
    patch = {name: value or None for name, value in counted.items()}
    patch["observedGeneration"] = facts.deployment.generation
    patch["terminatingReplicas"] = sum(rs.terminating for rs in facts.sets)
    patch["collisionCount"] = facts.collisions or None
    patch["conditions"] = known or None  # type: ignore[assignment]
    return patch


def seconds_to_deadline(facts: Facts, status: Mapping[str, Any]) -> float | None:
    """When to look again, should nothing happen: just after the progress deadline. None: there is no need."""
    deadline, progressing = facts.deadline_seconds, conditions.find(status, PROGRESSING)
    if not facts.rolling or deadline is None or progressing is None:
        return None
    if progressing["reason"] in (TIMED_OUT, COMPLETE):
        return None
    return max(0.0, epoch_seconds(progressing.get("lastUpdateTime")) + deadline - facts.now) + 1.0


def counts(facts: Facts) -> dict[str, int]:
    """The pods of a Deployment, as its ReplicaSets report them."""
    sets = facts.sets
    available = sum(rs.available for rs in sets)
    return {
        "replicas": sum(rs.observed_replicas for rs in sets),
        "updatedReplicas": facts.new.observed_replicas if facts.new is not None else 0,
        "readyReplicas": sum(rs.ready for rs in sets),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(rs.replicas for rs in sets) - available),
    }


def is_complete(facts: Facts, counted: Mapping[str, Any]) -> bool:
    """All pods are of the current template and available, and no other is left."""
    replicas = facts.strategy.replicas
    return bool(
        (counted["updatedReplicas"] or 0) == replicas
        and (counted["replicas"] or 0) == replicas
        and (counted["availableReplicas"] or 0) == replicas
    )


def _availability(facts: Facts, counted: Mapping[str, int]) -> Condition:
    if counted["availableReplicas"] >= facts.strategy.min_available:
        reason, message = "MinimumReplicasAvailable", "Deployment has minimum availability."
        return condition(AVAILABLE, "True", reason, message, facts.now)
    reason, message = "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
    return condition(AVAILABLE, "False", reason, message, facts.now)


def _progress(facts: Facts, counted: Mapping[str, int], known: list[Condition]) -> list[Condition]:
    if facts.deadline_seconds is None:
        return conditions.without(known, PROGRESSING) if facts.rolling else known
    if facts.outcome is not None:
        known = conditions.replaced(known, facts.outcome)
    known = _pause(facts, known)
    if not facts.rolling:
        return known
    present = conditions.find(facts.status, PROGRESSING)
    settled = (
        present is not None and present["reason"] == COMPLETE and counted["replicas"] == counted["updatedReplicas"]
    )
    if settled:
        return known
    subject = f'ReplicaSet "{facts.new.name}"' if facts.new else f'Deployment "{facts.deployment.name}"'
    if is_complete(facts, counted):
        done = condition(PROGRESSING, "True", COMPLETE, f"{subject} has successfully progressed.", facts.now)
        return conditions.replaced(known, done)
    if _advanced(facts.status, counted):
        moving = condition(PROGRESSING, "True", "ReplicaSetUpdated", f"{subject} is progressing.", facts.now)
        if present is not None and present["status"] == "True" and "lastTransitionTime" in present:
            moving["lastTransitionTime"] = present["lastTransitionTime"]
        return [
            *conditions.without(known, PROGRESSING),
            moving,
        ]  # even of the same reason: the deadline counted from here
    if _timed_out(facts, known):
        late = condition(PROGRESSING, "False", TIMED_OUT, f"{subject} has timed out progressing.", facts.now)
        return conditions.replaced(known, late)
    return known


def _pause(facts: Facts, known: list[Condition]) -> list[Condition]:
    present = conditions.find({"conditions": known}, PROGRESSING)
    if present is not None and present["reason"] == TIMED_OUT:
        return known
    paused = bool(facts.deployment.peek()["spec"].get("paused"))
    was_paused = present is not None and present["reason"] == PAUSED
    if paused and not was_paused:
        return conditions.replaced(known, condition(PROGRESSING, "Unknown", PAUSED, "Deployment is paused", facts.now))
    if was_paused and not paused:
        resumed = condition(PROGRESSING, "Unknown", "DeploymentResumed", "Deployment is resumed", facts.now)
        return conditions.replaced(known, resumed)
    return known


def _advanced(before: Mapping[str, Any], counted: Mapping[str, int]) -> bool:
    """Whether anything moved in the right direction since the status that is stored."""
    updated, replicas = before.get("updatedReplicas", 0), before.get("replicas", 0)
    return bool(
        counted["updatedReplicas"] > updated
        or counted["replicas"] - counted["updatedReplicas"] < replicas - updated
        or counted["readyReplicas"] > before.get("readyReplicas", 0)
        or counted["availableReplicas"] > before.get("availableReplicas", 0)
    )


def _timed_out(facts: Facts, known: Sequence[Condition]) -> bool:
    progressing, deadline = conditions.find({"conditions": known}, PROGRESSING), facts.deadline_seconds
    if progressing is None or deadline is None or progressing["reason"] == COMPLETE:
        return False
    if progressing["reason"] == TIMED_OUT:
        return True
    return epoch_seconds(progressing.get("lastUpdateTime")) + deadline < facts.now


def _replica_failure(facts: Facts) -> Condition | None:
    """The failure that a ReplicaSet reports, the current one's first."""
    for rs in reversed(facts.sets):
        failure = conditions.find(rs.object.peek().get("status") or {}, REPLICA_FAILURE)
        if failure is not None:
            message = failure.get("message", "")
            return condition(REPLICA_FAILURE, failure["status"], failure.get("reason", ""), message, facts.now)
    return None
