"""Rules that the controllers of pods share: selector, template, counters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.api.errors import Cause
from engine.api.kinds import label_selector
from engine.api.kinds.podspec_validation import validate_template
from engine.api.validation import IS_IMMUTABLE, NOT_NEGATIVE, forbidden, invalid, not_supported, required, same

Values = dict[str, Any]


def not_negative(values: Values, path: str, members: Sequence[str]) -> list[Cause]:
    return [
        invalid(f"{path}.{member}", value, NOT_NEGATIVE)
        for member in members
        if (value := values.get(member)) is not None and value < 0
    ]


def validate_selector_and_template(spec: Values) -> list[Cause]:
    """The rules of Deployments and ReplicaSets: the selector is there and selects the pods of a template that restarts
    its containers for ever.
    """
    causes: list[Cause] = []
    selector = spec.get("selector")
    if selector is None:
        causes.append(required("spec.selector"))
    else:
        causes += label_selector.faults(selector, "spec.selector")
        shown = label_selector.ordered(selector)
        if causes:
            return [*causes, invalid("spec.selector", shown, "invalid label selector")]
        if label_selector.is_empty(selector):
            causes.append(invalid("spec.selector", shown, "empty selector is invalid for deployment"))
    template = spec.get("template") or {}
    found = (template.get("metadata") or {}).get("labels") or {}
    if not label_selector.matches(selector, found):
        shown_labels = dict(sorted(found.items())) or None
        why = "`selector` does not match template `labels`"
        causes.append(invalid("spec.template.metadata.labels", shown_labels, why))
    causes += validate_template(template, "spec.template")
    pod = template.get("spec") or {}
    if (policy := pod.get("restartPolicy", "")) != "Always":
        causes.append(not_supported("spec.template.spec.restartPolicy", policy, ("Always",)))
    if pod.get("activeDeadlineSeconds") is not None:
        why = "activeDeadlineSeconds in ReplicaSet is not Supported"
        causes.append(forbidden("spec.template.spec.activeDeadlineSeconds", why))
    return causes


def immutable_selector(new: Values, old: Values) -> list[Cause]:
    if same(new["spec"].get("selector"), old["spec"].get("selector")):
        return []
    return [invalid("spec.selector", label_selector.ordered(new["spec"].get("selector") or {}), IS_IMMUTABLE)]


def counters_within(status: Values, counted: Sequence[str]) -> list[Cause]:
    """Parts are not more than the whole, and what is available is ready."""
    whole = status.get("replicas") or 0
    causes = [
        invalid(f"status.{member}", value, "cannot be greater than status.replicas")
        for member in counted
        if (value := status.get(member) or 0) > whole
    ]
    available = status.get("availableReplicas") or 0
    if available > (status.get("readyReplicas") or 0):
        causes.append(invalid("status.availableReplicas", available, "cannot be greater than readyReplicas"))
    return causes
