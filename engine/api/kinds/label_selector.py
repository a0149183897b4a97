"""A `LabelSelector` in a document: its faults, what it selects, how it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.api.errors import Cause
from engine.api.selectors import label_selector
from engine.api.validation import each_invalid, forbidden, invalid, label_value, labels, qualified_name, required

Values = dict[str, Any]


def faults(selector: Values, path: str) -> list[Cause]:
    causes: list[Cause] = []
    if matched := selector.get("matchLabels"):
        causes += labels(matched, f"{path}.matchLabels")
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        causes += _expression_faults(expression, f"{path}.matchExpressions[{index}]")
    return causes


def _expression_faults(expression: Values, path: str) -> list[Cause]:
    causes: list[Cause] = []
    operator, values = expression.get("operator", ""), expression.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            causes.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            causes.append(
                forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
            )
    else:
        causes.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    key = expression.get("key", "")
    causes += each_invalid(f"{path}.key", key, qualified_name(key))
    for index, value in enumerate(values):
        causes += each_invalid(f"{path}.values[{index}]", value, label_value(value))
    return causes


def is_empty(selector: Values) -> bool:
    return not selector.get("matchLabels") and not selector.get("matchExpressions")


def matches(selector: Values | None, found: Mapping[str, str]) -> bool:
    """Whether a selector without faults selects these labels; no selector selects nothing, an empty one everything."""
    return selector is not None and label_selector(selector).matches(found)


def text(selector: Values | None) -> str:
    """A selector in the grammar of the `labelSelector` parameter, in key order; nothing for none."""
    try:
        return str(label_selector(selector)) if selector else ""
    except ValueError:  # stored before it was judged, by another version or another server
        return "<invalid>"


def ordered(selector: Values) -> Values:
    """The selector with its members in the order in which they are printed."""
    shown: Values = {}
    if matched := selector.get("matchLabels"):
        shown["matchLabels"] = dict(sorted(matched.items()))
    if expressions := selector.get("matchExpressions"):
        members = ("key", "operator", "values")
        shown["matchExpressions"] = [{name: each[name] for name in members if name in each} for each in expressions]
    return shown
