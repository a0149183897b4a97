"""A `LabelSelector` object (`matchLabels`, `matchExpressions`) as the compiled selector that queries use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine._selectors import LabelSelector

_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


def label_selector(selector: Mapping[str, Any]) -> LabelSelector:
    """The compiled form; an empty selector matches everything. What no selector at all means is its owner's business.
    ValueError for an unknown operator, or values that do not fit it (see `engine.api.kinds.label_selector.faults`)."""
    found: list[tuple[str, str, tuple[str, ...]]] = [
        (key, "=", (value,)) for key, value in sorted((selector.get("matchLabels") or {}).items())
    ]
    for expression in selector.get("matchExpressions") or ():
        key, name, values = expression.get("key", ""), expression.get("operator", ""), expression.get("values") or ()
        operator = _OPERATORS.get(name)
        if operator is None:
            raise ValueError(f'"{name}" is not a valid label selector operator')
        if bool(values) != (operator in ("in", "notin")):
            needs = "needs values" if operator in ("in", "notin") else "takes no values"
            raise ValueError(f'the operator "{name}" of the key "{key}" {needs}')
        found.append((key, operator, tuple(sorted(values))))
    return LabelSelector.of(tuple(found))
