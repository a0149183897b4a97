"""Status conditions: one entry per type, with the moment its status last changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Condition = dict[str, Any]


def find(status: Mapping[str, Any], type: str) -> Condition | None:
    """The condition of this type in a status."""
    for condition in status.get("conditions") or ():
        if condition.get("type") == type:
            return condition  # type: ignore[no-any-return]
    return None


def is_true(status: Mapping[str, Any], type: str) -> bool:
    for condition in status.get("conditions") or ():
        if condition.get("type") == type:
            return bool(condition.get("status") == "True")
    return False


def without(conditions: Sequence[Condition], type: str) -> list[Condition]:
    return [condition for condition in conditions if condition["type"] != type]


def replaced(conditions: Sequence[Condition], condition: Condition) -> list[Condition]:
    """The list with `condition` in it. One of the same status and reason is left as it is, times included, so that a
    condition which only repeats itself is no write; one of the same status keeps its time of transition."""
    current = next((c for c in conditions if c["type"] == condition["type"]), None)
    if current is None:
        return [*conditions, condition]
    if current["status"] == condition["status"] and current.get("reason") == condition.get("reason"):
        return list(conditions)
    if current["status"] == condition["status"] and "lastTransitionTime" in current:
        condition = {**condition, "lastTransitionTime": current["lastTransitionTime"]}
    return [*without(conditions, condition["type"]), condition]
