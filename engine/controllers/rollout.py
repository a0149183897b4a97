"""How large each ReplicaSet of a Deployment shall be: surge, unavailability, proportions. Pure arithmetic.

Two promises of a rolling update: there are never more pods than replicas + maxSurge, and never fewer available ones
than replicas - maxUnavailable because of it. Both are kept on what a ReplicaSet shall have and on what it reports, so
that a status that lags makes a rollout wait and not overshoot.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.controllers.revisions import ReplicaSet


@dataclass(frozen=True, slots=True)
class Strategy:
    """A Deployment's size and what a rollout may do to it, in pods."""

    replicas: int
    recreate: bool = False
    max_surge: int = 0
    max_unavailable: int = 0

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Strategy:
        """From a Deployment's spec. Percentages: surge is rounded up, unavailable down; were both 0, one pod may be
        unavailable, or nothing would ever move."""
        replicas = int(spec.get("replicas", 1))
        strategy = spec.get("strategy") or {}
        if strategy.get("type") == "Recreate":
            return cls(replicas, recreate=True)
        limits = strategy.get("rollingUpdate") or {}
        surge = _pods(limits.get("maxSurge", "25%"), replicas, math.ceil)
        unavailable = _pods(limits.get("maxUnavailable", "25%"), replicas, math.floor)
        if not surge and not unavailable:
            unavailable = 1
        return cls(replicas, False, surge, min(unavailable, replicas))

    @property
    def min_available(self) -> int:
        return self.replicas - self.max_unavailable


def _pods(value: int | str, replicas: int, rounded: Any) -> int:
    """`3` or `"25%"` of the replicas."""
    if isinstance(value, str) and value.endswith("%"):
        return int(rounded(int(value[:-1]) * replicas / 100))
    return int(value)


def new_size(strategy: Strategy, new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> int:
    """What the current ReplicaSet shall have in this step of a rolling update; None: it is yet to be created."""
    has = new.replicas if new is not None else 0
    if has >= strategy.replicas:
        return strategy.replicas
    sets = [*old, new] if new is not None else old
    pods = sum(max(rs.replicas, rs.observed_replicas) for rs in sets)
    room = strategy.replicas + strategy.max_surge - pods
    return has + max(0, min(room, strategy.replicas - has))


def old_sizes(strategy: Strategy, new: ReplicaSet, old: Sequence[ReplicaSet]) -> dict[str, int]:
    """The old ReplicaSets that shrink in this step, by name, with their new sizes: pods that are not available first,
    then available ones of the oldest, as far as enough stay available."""
    new_available = min(new.replicas, new.available)
    total = sum(rs.replicas for rs in old) + new.replicas
    removable = total - strategy.min_available - (new.replicas - new_available)
    sizes = {rs.name: rs.replicas for rs in old}
    if removable <= 0:
        return {}
    oldest_first = sorted(old, key=lambda rs: rs.age_order)
    for rs in oldest_first:
        unavailable = min(removable, max(0, sizes[rs.name] - rs.available))
        sizes[rs.name] -= unavailable
        removable -= unavailable
    available = new_available + sum(min(sizes[rs.name], rs.available) for rs in old)
    removable = min(removable, available - strategy.min_available)
    for rs in oldest_first:
        fewer = max(0, min(removable, sizes[rs.name]))
        sizes[rs.name] -= fewer
        removable -= fewer
    return {rs.name: sizes[rs.name] for rs in old if sizes[rs.name] != rs.replicas}


def is_scaling(strategy: Strategy, sets: Sequence[ReplicaSet]) -> bool:
    """Whether the Deployment was scaled since its ReplicaSets were: that is settled before a rollout goes on."""
    return any(rs.replicas > 0 and rs.desired is not None and rs.desired != strategy.replicas for rs in sets)


def scaled_sizes(
    strategy: Strategy, new: ReplicaSet | None, old: Sequence[ReplicaSet], status_replicas: int
) -> dict[str, int]:
    """The sizes of all ReplicaSets that a change of `spec.replicas` concerns, outside of a rollout's own steps: in the
    middle of a rollout each keeps its share of the pods. `status_replicas` stands in for a share nobody wrote down."""
    sets = [*old, new] if new is not None else list(old)
    active = [rs for rs in sets if rs.replicas > 0]
    if len(active) <= 1:
        only = active[0] if active else new or max(old, key=lambda rs: rs.age_order, default=None)
        return {only.name: strategy.replicas} if only is not None else {}
    if (
        new is not None
        and new.replicas == strategy.replicas
        and new.desired == strategy.replicas
        and new.available == strategy.replicas
    ):
        return {rs.name: 0 for rs in old if rs.replicas > 0}
    if strategy.recreate:
        return {}
    return _proportional(strategy, active, status_replicas)


def _proportional(strategy: Strategy, active: Sequence[ReplicaSet], status_replicas: int) -> dict[str, int]:
    allowed = strategy.replicas + strategy.max_surge if strategy.replicas else 0
    adding = allowed - sum(rs.replicas for rs in active)
    # The largest gains or loses first; of two equals the newer gains and the older loses.
    newest_first = sorted(active, key=lambda rs: rs.age_order, reverse=adding > 0)
    ordered = sorted(newest_first, key=lambda rs: -rs.replicas)
    sizes, added = {}, 0
    for rs in ordered:
        left = adding - added
        share = _share(strategy, rs, status_replicas) if left else 0
        share = min(share, left) if adding > 0 else max(share, left)
        sizes[rs.name] = rs.replicas + share
        added += share
    for rs in ordered:  # what rounding left over: the largest bears it as far as it can, then the next
        taken = max(adding - added, -sizes[rs.name])
        sizes[rs.name] += taken
        added += taken
    return sizes


def _share(strategy: Strategy, rs: ReplicaSet, status_replicas: int) -> int:
    """By how much this ReplicaSet grows to keep its fraction of the pods; rounded half away from zero."""
    if not strategy.replicas:
        return -rs.replicas
    before = rs.max or status_replicas
    if not before:
        return 0
    return math.floor(rs.replicas * (strategy.replicas + strategy.max_surge) / before + 0.5) - rs.replicas
