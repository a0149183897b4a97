"""Label and field selectors with Kubernetes' grammar."""

from collections.abc import Mapping
from typing import Any, final

from engine._object import Object

@final
class LabelSelector:
    """A parsed label selector. `requirements` is a tuple of (key, operator, values): operators are
    "in", "notin", "=", "!=", "exists", "!" , "gt", "lt"; an empty selector matches everything."""

    @property
    def requirements(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]: ...
    @staticmethod
    def parse(text: str) -> LabelSelector:
        """ValueError with Kubernetes' wording when it cannot be parsed."""

    @staticmethod
    def of(requirements: tuple[tuple[str, str, tuple[str, ...]], ...]) -> LabelSelector:
        """Checked as `parse` checks; ValueError."""

    def matches(self, labels: Mapping[str, str]) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __str__(self) -> str: ...

@final
class FieldSelector:
    """A parsed field selector: `metadata.name=x,status.phase!=Running`. A missing field is the empty string."""

    @property
    def requirements(self) -> tuple[tuple[str, str, str], ...]: ...  # (path, "=" or "!=", value)
    @staticmethod
    def parse(text: str) -> FieldSelector: ...
    def matches(self, obj: Object) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __str__(self) -> str: ...

def as_label_selector(selector: str | LabelSelector | None) -> LabelSelector | None:
    """Parsed, once for one text; None for a selector that selects everything."""

def as_field_selector(selector: str | FieldSelector | None) -> FieldSelector | None: ...
def field_text(value: Any) -> str:
    """A field's value as selectors compare it: "" for missing, "true"/"false", digits, or the string."""
