"""Paths into an object."""

from collections.abc import Mapping
from typing import Any, final

@final
class Path:
    """A parsed path into an object. Costs one parse; `of(document)` then walks it."""

    def __init__(self, text: str) -> None: ...
    @property
    def text(self) -> str: ...
    def of(self, document: Mapping[str, Any], default: Any = None) -> Any: ...
