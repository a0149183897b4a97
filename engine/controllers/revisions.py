"""A Deployment's revisions: its ReplicaSets, which one is current, how they are named, numbered and forgotten.

The newest ReplicaSet is the one whose template equals the Deployment's. `kubectl rollout history` and `undo` read the
revision annotation, so going back to an old template gives its ReplicaSet the next number instead of a copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from engine._object import Object
from engine.api.resource import DEPLOYMENTS, REPLICASETS
from engine.controllers.ownership import reference_to

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
MAX_HISTORY_CHARS = 2000
_SAFE_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # no vowels, no digits that look like letters: no words by accident
_NOT_INHERITED = frozenset(
    (
        "kubectl.kubernetes.io/last-applied-configuration",
        "deprecated.deployment.rollback.to",
        REVISION,
        REVISION_HISTORY,
        DESIRED_REPLICAS,
        MAX_REPLICAS,
    )
)


@dataclass(slots=True)
class ReplicaSet:
    """One of a Deployment's ReplicaSets: what it shall have (`replicas`) and what its status says that it has."""

    object: Object
    name: str
    replicas: int
    observed_replicas: int = 0
    ready: int = 0
    available: int = 0
    terminating: int = 0
    desired: int | None = (
        None  # annotations: the Deployment's replicas, and those plus surge, when this was last scaled
    )
    max: int | None = None
    revision: int = 0

    @classmethod
    def of(cls, obj: Object) -> ReplicaSet:
        document = obj.peek()
        status = document.get("status") or {}
        annotations = document["metadata"].get("annotations") or {}
        return cls(
            object=obj,
            name=obj.name,
            replicas=int(document["spec"].get("replicas", 1)),
            observed_replicas=status.get("replicas", 0),
            ready=status.get("readyReplicas", 0),
            available=status.get("availableReplicas", 0),
            terminating=status.get("terminatingReplicas", 0),
            desired=_number(annotations.get(DESIRED_REPLICAS)),
            max=_number(annotations.get(MAX_REPLICAS)),
            revision=_number(annotations.get(REVISION)) or 0,
        )

    @property
    def age_order(self) -> tuple[str, str]:
        """Sorts the oldest first."""
        return self.object.peek()["metadata"].get("creationTimestamp") or "", self.name

    @property
    def observed_generation(self) -> int:
        return int((self.object.peek().get("status") or {}).get("observedGeneration", 0))


def _number(text: str | None) -> int | None:
    """An annotation's number; None when it is missing or somebody wrote something else into it."""
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def template_hash(template: Mapping[str, Any], collisions: int = 0) -> str:
    """The value of the pod-template-hash label: 32 bits of FNV-1a over the template in canonical form and the number of
    collisions so far, in an alphabet that is safe in names. The same on every machine and in every process."""
    data = orjson.dumps(template, option=orjson.OPT_SORT_KEYS) + (b"%d" % collisions if collisions else b"")
    value = 2166136261
    for byte in data:
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return "".join(_SAFE_ALPHABET[ord(digit) % len(_SAFE_ALPHABET)] for digit in str(value))


def same_template(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Whether two pod templates are equal but for the hash label."""
    if left.get("spec") != right.get("spec"):
        return False
    return _unhashed(left.get("metadata") or {}) == _unhashed(right.get("metadata") or {})


def _unhashed(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a template without the hash label, and without what is empty."""
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH_LABEL}
    return {key: value for key, value in {**metadata, "labels": labels}.items() if value}


def current(deployment: Object, sets: Sequence[ReplicaSet]) -> ReplicaSet | None:
    """The ReplicaSet of the Deployment's template: the oldest, should there be several."""
    template = deployment.peek()["spec"]["template"]
    equal = [rs for rs in sets if same_template(rs.object.peek()["spec"]["template"], template)]
    return min(equal, key=lambda rs: rs.age_order, default=None)


def next_revision(old: Sequence[ReplicaSet]) -> int:
    return max((rs.revision for rs in old), default=0) + 1


def inherited_annotations(deployment: Object, rs: ReplicaSet | None, revision: int) -> dict[str, str]:
    """The annotations that the current ReplicaSet (None: one to be created) lacks: the Deployment's own, and its
    revision; the numbers that it had before are kept as history."""
    wanted = {key: value for key, value in deployment.annotations.items() if key not in _NOT_INHERITED}
    has: Mapping[str, str] = rs.object.annotations if rs is not None else {}
    lacking = {key: value for key, value in wanted.items() if has.get(key) != value}
    if rs is None or rs.revision < revision:
        lacking[REVISION] = str(revision)
        if rs is not None and rs.revision:
            earlier = has.get(REVISION_HISTORY, "")
            lacking[REVISION_HISTORY] = _shortened(f"{earlier},{rs.revision}" if earlier else str(rs.revision))
    return lacking


def _shortened(history: str) -> str:
    while len(history) > MAX_HISTORY_CHARS:
        history = history.partition(",")[2]
    return history


def sizing_annotations(replicas: int, surge: int) -> dict[str, str]:
    """What a ReplicaSet remembers of its Deployment's size: later scaling in mid-rollout shall be proportional."""
    return {DESIRED_REPLICAS: str(replicas), MAX_REPLICAS: str(replicas + surge)}


def new_replica_set(deployment: Object, replicas: int, annotations: Mapping[str, str]) -> dict[str, Any]:
    """The ReplicaSet of the Deployment's template, as it is created."""
    document = deployment.to_dict()
    spec, template = document["spec"], document["spec"]["template"]
    digest = template_hash(template, (document.get("status") or {}).get("collisionCount", 0))
    metadata = template.setdefault("metadata", {})
    labels = metadata["labels"] = {**(metadata.get("labels") or {}), HASH_LABEL: digest}
    selector = dict(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}
    body = {"replicas": replicas, "selector": selector, "template": template}
    if spec.get("minReadySeconds"):
        body["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "apiVersion": REPLICASETS.api_version,
        "kind": REPLICASETS.kind,
        "metadata": {
            "name": f"{deployment.name}-{digest}",
            "namespace": deployment.namespace,
            "labels": dict(labels),
            "annotations": dict(annotations),
            "ownerReferences": [reference_to(deployment, DEPLOYMENTS)],
        },
        "spec": body,
    }


def forgotten(deployment: Object, old: Sequence[ReplicaSet]) -> list[ReplicaSet]:
    """The old ReplicaSets beyond revisionHistoryLimit, the lowest revisions first; one that still has pods stays."""
    limit = deployment.peek()["spec"].get("revisionHistoryLimit")
    alive = [rs for rs in old if rs.object.deletion_timestamp is None]
    if limit is None or len(alive) <= limit:
        return []
    surplus = sorted(alive, key=lambda rs: (rs.revision, rs.age_order))[: len(alive) - limit]
    return [
        rs
        for rs in surplus
        if not rs.replicas and not rs.observed_replicas and rs.object.generation <= rs.observed_generation
    ]
