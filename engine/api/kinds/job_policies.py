"""Rules of when the failure or success of some pods decides a whole Job."""

from __future__ import annotations

from typing import Any

from engine.api.errors import Cause
from engine.api.validation import (
    NOT_NEGATIVE,
    duplicate,
    each_invalid,
    invalid,
    not_supported,
    qualified_name,
    required,
    too_many,
)

Values = dict[str, Any]

_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_STATUSES = ("False", "True", "Unknown")
_MOST_RULES = 20
_MOST_CODES = 255


def check_failure_policy(spec: Values, causes: list[Cause]) -> None:
    path, rules = "spec.podFailurePolicy.rules", spec["podFailurePolicy"].get("rules") or []
    if len(rules) > _MOST_RULES:
        causes.append(too_many(path, len(rules), _MOST_RULES))
    pod = (spec.get("template") or {}).get("spec") or {}
    names = {each.get("name") for member in ("containers", "initContainers") for each in pod.get(member) or ()}
    for index, rule in enumerate(rules):
        where, action = f"{path}[{index}]", rule.get("action", "")
        if not action:
            causes.append(required(f"{where}.action", _choices(_ACTIONS)))
        elif action == "FailIndex":
            if spec.get("backoffLimitPerIndex") is None:
                causes.append(invalid(f"{where}.action", action, "requires the backoffLimitPerIndex to be set"))
        elif action not in _ACTIONS:
            causes.append(not_supported(f"{where}.action", action, _ACTIONS))
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes is not None:
            _check_exit_codes(codes, names, f"{where}.onExitCodes", causes)
        if conditions:
            _check_conditions(conditions, f"{where}.onPodConditions", causes)
        if codes is not None and conditions:
            causes.append(_invalid_whole(where, "specifying both OnExitCodes and OnPodConditions is not supported"))
        if codes is None and not conditions:
            causes.append(_invalid_whole(where, "specifying one of OnExitCodes and OnPodConditions is required"))


def _choices(known: tuple[str, ...]) -> str:
    quoted = " ".join(f'"{each}"' for each in known)
    return f"valid values: [{quoted}]"


def _invalid_whole(field: str, why: str) -> Cause:
    """Kubernetes does not print the value."""
    return Cause("FieldValueInvalid", field, f"Invalid value: {why}")


def _check_exit_codes(codes: Values, names: set[str | None], path: str, causes: list[Cause]) -> None:
    operator, values = codes.get("operator", ""), codes.get("values") or []
    if not operator:
        causes.append(required(f"{path}.operator", _choices(_OPERATORS)))
    elif operator not in _OPERATORS:
        causes.append(not_supported(f"{path}.operator", operator, _OPERATORS))
    name = codes.get("containerName")
    if name is not None and name not in names:
        why = "must be one of the container or initContainer names in the pod template"
        causes.append(invalid(f"{path}.containerName", name, why))
    if not values:
        causes.append(invalid(f"{path}.values", values, "at least one value is required"))
    elif len(values) > _MOST_CODES:
        causes.append(too_many(f"{path}.values", len(values), _MOST_CODES))
    for index, code in enumerate(values):
        if operator == "In" and code == 0:
            causes.append(invalid(f"{path}.values[{index}]", code, "must not be 0 for the In operator"))
        if code in values[:index]:
            causes.append(duplicate(f"{path}.values[{index}]", code))
    if values != sorted(values):
        causes.append(invalid(f"{path}.values", values, "must be ordered"))


def _check_conditions(conditions: list[Values], path: str, causes: list[Cause]) -> None:
    if len(conditions) > _MOST_RULES:
        causes.append(too_many(path, len(conditions), _MOST_RULES))
    for index, condition in enumerate(conditions):
        type_, status = condition.get("type", ""), condition.get("status", "")
        causes += each_invalid(f"{path}[{index}].type", type_, qualified_name(type_))
        if status not in _STATUSES:
            causes.append(not_supported(f"{path}[{index}].status", status, _STATUSES))


def check_success_policy(spec: Values, causes: list[Cause]) -> None:
    path, rules = "spec.successPolicy.rules", spec["successPolicy"].get("rules") or []
    completions = spec.get("completions") or 0
    if not rules:
        causes.append(required(path, "at least one rules must be specified when the successPolicy is specified"))
    if len(rules) > _MOST_RULES:
        causes.append(too_many(path, len(rules), _MOST_RULES))
    for index, rule in enumerate(rules):
        where, count, indexes = f"{path}[{index}]", rule.get("succeededCount"), rule.get("succeededIndexes")
        if count is None and indexes is None:
            causes.append(required(where, "at least one of succeededCount or succeededIndexes must be specified"))
        total = None
        if indexes is not None:
            try:
                total = _count_indexes(indexes, completions)
            except ValueError as error:
                why = f"error parsing succeededIndexes: {error}"
                causes.append(invalid(f"{where}.succeededIndexes", indexes, why))
                total = 0
        if count is not None:
            _check_count(count, completions, total, f"{where}.succeededCount", causes)


def _check_count(count: int, completions: int, total: int | None, path: str, causes: list[Cause]) -> None:
    if count < 0:
        causes.append(invalid(path, count, NOT_NEGATIVE))
    if count > completions:
        why = f"must be less than or equal to {completions} (the number of specified completions)"
        causes.append(invalid(path, count, why))
    if total is not None and count > total:
        what = "the number of indexes in the specified succeededIndexes field"
        causes.append(invalid(path, count, f"must be less than or equal to {total} ({what})"))


def _count_indexes(text: str, completions: int) -> int:
    """How many indexes `1,3-5,7` names. ValueError when it is malformed, not ascending or names what is not there."""
    total, last = 0, -1
    for part in text.split(",") if text else ():
        first_text, dash, end_text = part.partition("-")
        if "-" in end_text:
            why = "violates the requirement that an index interval can have at most two parts separated by '-'"
            raise ValueError(f'the fragment "{part}" {why}')
        first = _index(first_text, completions)
        end = _index(end_text, completions) if dash else first
        if dash and first >= end:
            raise ValueError(f"non-increasing order, previous: {first}, current: {end}")
        if last >= first:
            raise ValueError(f"non-increasing order, previous: {last}, current: {first}")
        total, last = total + end - first + 1, end
    return total


def _index(text: str, completions: int) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f'cannot convert string to integer for index: "{text}"')
    if int(text) >= completions:
        raise ValueError(f'too large index: "{text}"')
    return int(text)
