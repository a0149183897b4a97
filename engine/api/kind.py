"""What the server knows of a kind: one value per kind, one file per value (`engine/api/kinds/`)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.api.errors import Cause
from engine.api.resource import Resource
from engine.api.validation import Messages, dns1123_subdomain

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


@dataclass(frozen=True, slots=True)
class Subresource:
    """What discovery says of a subresource. No `kind` means the resource's own kind and version."""

    verbs: Sequence[str]
    kind: str = ""
    group: str = ""
    version: str = ""


SUBRESOURCES: Mapping[str, Subresource] = {
    "binding": Subresource(("create",), "Binding"),
    "finalize": Subresource(("update",)),
    "log": Subresource(("get",)),
    "scale": Subresource(("get", "patch", "update"), "Scale", "autoscaling", "v1"),
    "status": Subresource(("get", "patch", "update")),
}


def _nothing(document: Document) -> None:
    return None


def _no_change(new: Document, old: Document) -> None:
    return None


def _no_causes(document: Document) -> list[Cause]:
    return []


def _no_update_causes(new: Document, old: Document) -> list[Cause]:
    return []


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind as data. The functions get whole documents and change them in place, or report causes; metadata is checked
    for all kinds alike in `engine.api.meta`, types and unknown fields by the schema.

    The order of a create: decode, `default`, metadata filled (name, namespace, uid, creationTimestamp),
    `prepare_create`, metadata checked with `name_rule`, `validate`. `prepare_create` also does what Kubernetes'
    admission does to the kind (tolerations and priority of pods, the taint of new nodes); it may raise StatusError.
    The order of an update: decode, `default`, `prepare_update`, metadata checked, `validate_update`, which alone
    decides: it repeats those rules of `validate` that still hold and adds what may not change.
    The order of a write to `status`: decode, `default`, `prepare_status_update`, metadata checked,
    `validate_status_update`.
    The last argument of the update functions is the stored document, which is only read; parts of it may be shared
    into the new one.
    """

    resource: Resource
    singular: str
    schema: Schema
    short_names: Sequence[str] = ()
    categories: Sequence[str] = ()
    verbs: Sequence[str] = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
    has_status: bool = False  # `status` is written through its subresource only
    scale: Scale | None = None
    subresources: Sequence[str] = ()  # beyond status and scale: "binding", "log", …; each a key of SUBRESOURCES
    name_rule: Callable[[str], Messages] = dns1123_subdomain  # for metadata.name and generateName
    graceful: bool = False  # deletion waits for whoever runs it (pods)
    generation: bool = False  # metadata.generation counts changes of the spec
    generation_counts_annotations: bool = False  # and of the annotations
    default: Callable[[Document], None] = _nothing
    prepare_create: Callable[[Document], None] = _nothing  # the strategy's part: statuses reset, fields generated
    prepare_update: Callable[[Document, Document], None] = _no_change  # keeps what this endpoint may not write
    prepare_status_update: Callable[[Document, Document], None] = _no_change
    validate: Callable[[Document], list[Cause]] = _no_causes
    validate_update: Callable[[Document, Document], list[Cause]] = _no_update_causes
    validate_status_update: Callable[[Document, Document], list[Cause]] = _no_update_causes
    columns: Sequence[Column] = ()
    row: Callable[[Document], list[Any]] = lambda document: [document["metadata"]["name"]]
    field_labels: Mapping[str, str] = field(default_factory=dict)  # selectable label → path, beyond name and namespace
    indexes: Mapping[str, str] = field(default_factory=dict)  # what the store indexes: name → path

    @property
    def all_subresources(self) -> list[str]:
        """All subresources with those that flags imply, in the order of discovery."""
        implied = (["status"] if self.has_status else []) + (["scale"] if self.scale else [])
        return sorted([*self.subresources, *implied])

    @property
    def storage_version_hash(self) -> str:
        """What discovery says of the version that is stored: eight bytes of SHA-256 over `group/version/kind`."""
        resource = self.resource
        digest = hashlib.sha256(f"{resource.group}/{resource.version}/{resource.kind}".encode()).digest()
        return base64.b64encode(digest[:8]).decode()


def keep_status(new: Document, old: Document) -> None:
    """`prepare_update` of a kind with a status: a write to the object leaves its status alone."""
    if "status" in old:
        new["status"] = old["status"]
    else:
        new.pop("status", None)
