"""JSON text with slots: filled by one join, not encoded again."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter

import orjson

CHART_MARK = "\u00a4"  # around a slot that a workload fills; both marks stand for themselves in orjson's output
POD_MARK = "\x7f"  # around a slot that a pod fills


def chart_slot(name: str) -> str:
    """A place in a chart's document whose value each workload has for itself."""
    return f"{CHART_MARK}{name}{CHART_MARK}"


def pod_slot(name: str) -> str:
    """A place whose value each pod has for itself."""
    return f"{POD_MARK}{name}{POD_MARK}"


class Template:
    """Text that is cut at its slots. `fill` costs a join; values are JSON text already."""

    __slots__ = ("_parts", "_values_of", "slots")

    def __init__(self, text: bytes, mark: str) -> None:
        parts = text.split(mark.encode())
        if len(parts) < 5:
            raise ValueError("a template has two slots at least")
        self.slots = tuple(slot.decode() for slot in parts[1::2])
        self._parts = parts
        self._values_of = itemgetter(*self.slots)

    @classmethod
    def of(cls, document: Mapping[str, object], mark: str) -> Template:
        return cls(orjson.dumps(document), mark)

    def fill(self, values: Mapping[str, bytes]) -> bytes:
        """KeyError for a slot without a value."""
        parts = self._parts
        parts[1::2] = self._values_of(values)
        return b"".join(parts)
