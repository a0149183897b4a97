"""Pods as a ReplicaSet sees them: which count, which are ready and available, and which go first.

The index REPLICAS keeps the counts: a pod stands in it under its controller's uid, and once more when it is ready, so
that counting five thousand pods is reading two lengths and not five thousand objects.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from engine._cache import Cache
from engine._object import Object
from engine.api.timestamps import epoch_seconds
from engine.controllers import conditions
from engine.controllers.ownership import controller_reference, orphans_of

REPLICAS = "controllers/replicas"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_FINISHED = frozenset(("Succeeded", "Failed"))
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def replica_states(pod: Object) -> tuple[str, ...]:
    """What the index REPLICAS holds for a pod: `UID` of its controller when it is active, `UID/ready` too when it is
    ready, `UID/terminating` when it is being deleted; `orphan/NAMESPACE` when it is active and has no controller."""
    document = pod.peek()
    metadata = document["metadata"]
    status = document.get("status") or {}
    if status.get("phase") in _FINISHED:
        return ()
    reference = controller_reference(metadata)
    terminating = "deletionTimestamp" in metadata
    if reference is None:
        return () if terminating else (orphans_of(metadata.get("namespace", "")),)
    uid: str = reference["uid"]
    if terminating:
        return (f"{uid}/terminating",)
    return (uid, f"{uid}/ready") if conditions.is_true(status, "Ready") else (uid,)


def active(cache: Cache, uid: str) -> list[Object]:
    """The pods that count as replicas of this controller: neither finished nor being deleted."""
    return cache.by_index(REPLICAS, uid)


def count(cache: Cache, uid: str, state: str = "") -> int:
    """How many pods of this controller are active, `ready` or `terminating`."""
    return cache.index_size(REPLICAS, f"{uid}/{state}" if state else uid)


def is_active(pod: Object) -> bool:
    document = pod.peek()
    phase = (document.get("status") or {}).get("phase")
    return phase not in _FINISHED and "deletionTimestamp" not in document["metadata"]


def count_available(ready: Iterable[Object], min_ready_seconds: int, now: float) -> tuple[int, float | None]:
    """How many of the ready pods have been so for `min_ready_seconds`, and in how many seconds the next one will be."""
    available, next_seconds = 0, math.inf
    for pod in ready:
        left = ready_since(pod.peek()) + min_ready_seconds - now
        if left <= 0:
            available += 1
        else:
            next_seconds = min(next_seconds, left)
    return available, None if next_seconds == math.inf else next_seconds


def ready_since(pod: Mapping[str, Any]) -> float:
    """When the pod's Ready condition last changed; 0.0 without one."""
    condition = conditions.find(pod.get("status") or {}, "Ready")
    return epoch_seconds(condition.get("lastTransitionTime")) if condition else 0.0


def first_to_delete(pods: Sequence[Object], count: int, related: Iterable[Object], now: float) -> list[Object]:
    """The `count` pods that a smaller ReplicaSet loses least by. `related` are the active pods of all ReplicaSets of
    the same owner: of two equal pods the one goes that shares its node with more of them."""
    if count >= len(pods):
        return list(pods)
    crowding = Counter(pod.peek()["spec"].get("nodeName", "") for pod in related)
    return sorted(pods, key=deletion_order(crowding, now))[:count]


def deletion_order(crowding: Mapping[str, int], now: float) -> Callable[[Object], tuple[Any, ...]]:
    """Kubernetes' order: unassigned, pending, not ready, cheap by annotation, crowded, lately ready, often restarted,
    young. Times are compared by powers of two, so that a rollout of an hour ago does not make all of one node go first;
    the uid breaks ties, which is as good as random and the same each time."""

    def order(pod: Object) -> tuple[Any, ...]:
        document = pod.peek()
        metadata, spec, status = document["metadata"], document["spec"], document.get("status") or {}
        ready = conditions.is_true(status, "Ready")
        node = spec.get("nodeName", "")
        return (
            bool(node),
            _PHASES.get(status.get("phase", "Pending"), 0),
            ready,
            _deletion_cost(metadata.get("annotations") or {}),
            -crowding.get(node, 0),
            _magnitude(now - ready_since(document)) if ready else 0,
            -max((c.get("restartCount", 0) for c in status.get("containerStatuses") or ()), default=0),
            _magnitude(now - epoch_seconds(metadata.get("creationTimestamp"))),
            metadata.get("uid", ""),
        )

    return order


def _deletion_cost(annotations: Mapping[str, str]) -> int:
    try:
        return int(annotations.get(DELETION_COST, "0"))
    except ValueError:
        return 0  # the API refuses such a value on a pod's way in; what is stored anyway counts as unset


def _magnitude(seconds: float) -> int:
    return int(math.log2(seconds)) if seconds >= 1 else -1
