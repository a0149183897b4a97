"""What the server knows of a kind: one value per kind, one file per value (`engine/api/kinds/`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.api.errors import Cause
from engine.api.resource import Resource

if TYPE_CHECKING:
    from engine.api.schema import Schema

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a Table. `priority` 0 is always shown, 1 with `-o wide`."""

    name: str
    type: str  # string, integer, date, boolean, number
    priority: int = 0
    format: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """Where the scale subresource finds its numbers."""

    spec_replicas: str = "spec.replicas"
    status_replicas: str = "status.replicas"
    selector: str = "spec.selector"


def _nothing(document: Document) -> None:
    return None


def _no_causes(document: Document) -> list[Cause]:
    return []


def _no_update_causes(new: Document, old: Document) -> list[Cause]:
    return []


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind as data. The functions get whole documents and change them in place, or report causes; metadata is checked
    for all kinds alike in `engine.api.meta`, types and unknown fields by the schema.
    """

    resource: Resource
    singular: str
    schema: Schema
    short_names: Sequence[str] = ()
    categories: Sequence[str] = ()
    verbs: Sequence[str] = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
    has_status: bool = False  # `status` is written through its subresource only
    scale: Scale | None = None
    subresources: Sequence[str] = ()  # beyond status and scale: "binding", "log", …
    graceful: bool = False  # deletion waits for whoever runs it (pods)
    generation: bool = False  # metadata.generation counts changes of the spec
    default: Callable[[Document], None] = _nothing
    prepare_create: Callable[[Document], None] = _nothing  # the strategy's part: statuses reset, fields generated
    prepare_update: Callable[[Document, Document], None] = lambda new, old: None
    validate: Callable[[Document], list[Cause]] = _no_causes
    validate_update: Callable[[Document, Document], list[Cause]] = _no_update_causes
    validate_status_update: Callable[[Document, Document], list[Cause]] = _no_update_causes
    columns: Sequence[Column] = ()
    row: Callable[[Document], list[Any]] = lambda document: [document["metadata"]["name"]]
    field_labels: Mapping[str, str] = field(default_factory=dict)  # selectable label → path, beyond name and namespace
    indexes: Mapping[str, str] = field(default_factory=dict)  # what the store indexes: name → path
