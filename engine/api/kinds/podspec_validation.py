"""Rules of a pod's spec."""

from __future__ import annotations

from typing import Any

from engine.api.errors import Cause
from engine.api.validation import labels

Values = dict[str, Any]


def validate_template(template: Values, path: str) -> list[Cause]:
    found = (template.get("metadata") or {}).get("labels")
    return labels(found, f"{path}.labels") if found else []
