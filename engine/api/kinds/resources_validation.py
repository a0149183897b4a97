"""Rules of amounts: what a container requests and may use, what a node has."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from engine.api.errors import Cause
from engine.api.quantity import canonical, compare, parse
from engine.api.validation import NOT_NEGATIVE, forbidden, invalid, qualified_name, required

Values = dict[str, Any]

_CONTAINER = frozenset(("cpu", "memory", "ephemeral-storage"))
_STANDARD = _CONTAINER | {
    "storage", "requests.cpu", "requests.memory", "requests.storage", "requests.ephemeral-storage", "limits.cpu",
    "limits.memory", "limits.ephemeral-storage", "pods", "resourcequotas", "services", "replicationcontrollers",
    "secrets", "configmaps", "persistentvolumeclaims", "services.nodeports", "services.loadbalancers",
}  # fmt: skip
_COUNTED = frozenset(
    (
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    )
)
_HUGE_PAGES = "hugepages-"
_NATIVE_DOMAIN = "kubernetes.io/"
_REQUESTS = "requests."


compared = lru_cache(8192)(compare)  # pods of one template ask for the same amounts


def check_resources(resources: Values, path: str, causes: list[Cause]) -> None:
    """What a container's `resources` may say."""
    limits, requests = resources.get("limits"), resources.get("requests")
    if limits:
        for name, amount in limits.items():
            _check_named(name, amount, path, "limits", causes)
    if requests:
        for name, amount in requests.items():
            _check_named(name, amount, path, "requests", causes)
            limit = limits.get(name) if limits else None
            if limit is None:
                if name not in _CONTAINER and not _may_overcommit(name):
                    causes.append(required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
            elif limit != amount:
                _check_within(name, amount, limit, f"{path}.requests", causes)
    if (limits or requests) and not _has_basic(limits) and not _has_basic(requests):
        named = [*(limits or ()), *(requests or ())]
        if any(name.startswith(_HUGE_PAGES) for name in named):
            causes.append(forbidden(path, "HugePages require cpu or memory"))


def _has_basic(amounts: Values | None) -> bool:
    return amounts is not None and ("cpu" in amounts or "memory" in amounts)


def _check_named(name: str, amount: Any, path: str, member: str, causes: list[Cause]) -> None:
    if name not in _CONTAINER:
        causes += [invalid(f"{path}.{member}[{name}]", name, message) for message in _name_messages(name)]
        check_amount(name, amount, f"{path}.{member}[{name}]", causes)
    elif type(amount) is not str or amount[:1] == "-":
        check_amount(name, amount, f"{path}.{member}[{name}]", causes)


def _name_messages(name: str) -> list[str]:
    messages = list(qualified_name(name))
    if "/" not in name:
        if not messages and name not in _STANDARD and not name.startswith(_HUGE_PAGES):
            messages.append("must be a standard resource type or fully qualified")
        if name not in _CONTAINER and not name.startswith(_HUGE_PAGES):
            messages.append("must be a standard resource for containers")
    elif _NATIVE_DOMAIN not in name and not _is_extended(name):
        messages.append("doesn't follow extended resource name standard")
    return messages


def _is_extended(name: str) -> bool:
    """Of a domain outside Kubernetes."""
    native = "/" not in name or _NATIVE_DOMAIN in name
    return not native and not name.startswith(_REQUESTS) and not qualified_name(_REQUESTS + name)


def _may_overcommit(name: str) -> bool:
    return ("/" not in name or _NATIVE_DOMAIN in name) and not name.startswith(_HUGE_PAGES)


def check_amount(name: str, amount: Any, path: str, causes: list[Cause]) -> None:
    """An amount is not negative, and of what is counted there are whole ones."""
    value = parse(amount)
    if value < 0:
        causes.append(invalid(path, canonical(amount), NOT_NEGATIVE))
    if value.denominator != 1 and (name in _COUNTED or _is_extended(name)):
        causes.append(invalid(path, canonical(amount), "must be an integer"))


def _check_within(name: str, amount: Any, limit: Any, path: str, causes: list[Cause]) -> None:
    order = compared(amount, limit)
    if order and name not in _CONTAINER and not _may_overcommit(name):
        causes.append(invalid(path, canonical(amount), f"must be equal to {name} limit of {canonical(limit)}"))
    elif order > 0:
        why = f"must be less than or equal to {name} limit of {canonical(limit)}"
        causes.append(invalid(path, canonical(amount), why))
