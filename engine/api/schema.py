"""The shape of every kind: Kubernetes' OpenAPI definitions, compiled on demand.

The definitions are data of PyPI's `kubernetes-validate` (1.37, with list types, merge keys and map types). What OpenAPI
does not say, how Kubernetes' Go types write a zero value, is in `data/go_fields.json` (see `tools/go_fields.py`).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import orjson

Shape = Literal[
    "object", "map", "list", "string", "integer", "number", "boolean",
    "quantity", "int-or-string", "time", "micro-time", "bytes", "any",
]  # fmt: skip
ListType = Literal["atomic", "set", "map"]
Json = Mapping[str, Any]

DATA_VERSION = "v1.37.0-local"
_REFERENCE = "#/$defs/"
_APIMACHINERY = "io.k8s.apimachinery.pkg."
_SPECIAL: dict[str, Shape] = {
    _APIMACHINERY + "api.resource.Quantity": "quantity",
    _APIMACHINERY + "util.intstr.IntOrString": "int-or-string",
    _APIMACHINERY + "apis.meta.v1.Time": "time",
    _APIMACHINERY + "apis.meta.v1.MicroTime": "micro-time",
    _APIMACHINERY + "apis.meta.v1.FieldsV1": "any",
    _APIMACHINERY + "runtime.RawExtension": "any",
}
# Keys of associative lists that may be left out, because the type's default fills them.
_KEY_DEFAULTS = {"protocol": "TCP"}


@cache
def definitions() -> dict[str, Json]:
    """All definitions by name, parsed once. The package's code is never imported."""
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package kubernetes-validate, which has Kubernetes' schema, is not installed")
    file = Path(spec.origin).parent / "kubernetes-json-schema" / DATA_VERSION / "_definitions.json"
    found: dict[str, Json] = orjson.loads(file.read_bytes())["$defs"]
    return found


@cache
def _go_fields() -> dict[str, dict[str, list[str]]]:
    file = Path(__file__).parent / "data" / "go_fields.json"
    found: dict[str, dict[str, list[str]]] = orjson.loads(file.read_bytes())
    return found


@cache
def kinds_by_version() -> dict[tuple[str, str, str], str]:
    """(group, version, kind) → definition name, for every kind that the schema knows."""
    found: dict[tuple[str, str, str], str] = {}
    for name, definition in definitions().items():
        for gvk in definition.get("x-kubernetes-group-version-kind", ()):
            found.setdefault((gvk["group"], gvk["version"], gvk["kind"]), name)
    return found


class Schema:
    """One node of a kind's shape. Nodes of one definition are shared; fields are compiled when first asked for.

    `shape` says how values look on the wire. `item` is the element of a list or the value of a map. `list_type` and
    `map_keys` say what makes two list items the same; `atomic` that an object or map is owned and replaced as a whole.
    `merge_key` and `patch_strategies` drive strategic merge patches.
    """

    __slots__ = (
        "__dict__",
        "atomic",
        "bits",
        "definition",
        "list_type",
        "map_keys",
        "merge_key",
        "patch_strategies",
        "raw",
        "shape",
    )

    def __init__(self, raw: Json, definition: str = "", overrides: Json | None = None) -> None:
        marks: dict[str, Any] = {**raw, **(overrides or {})}
        self.raw = raw
        self.definition = definition
        self.shape: Shape = _SPECIAL.get(definition) or _shape(raw)
        self.bits = 32 if raw.get("format") == "int32" else 64
        self.atomic = marks.get("x-kubernetes-map-type") == "atomic"
        self.list_type: ListType = marks.get("x-kubernetes-list-type", "atomic")
        self.map_keys: tuple[str, ...] = tuple(sorted(marks.get("x-kubernetes-list-map-keys", ())))
        self.merge_key: str = marks.get("x-kubernetes-patch-merge-key", "")
        self.patch_strategies = frozenset(filter(None, marks.get("x-kubernetes-patch-strategy", "").split(",")))

    @staticmethod
    def of(definition: str) -> Schema:
        """The schema of a definition such as `io.k8s.api.core.v1.Pod`; KeyError when there is none."""
        return _compiled(definition)

    @staticmethod
    def of_kind(group: str, version: str, kind: str) -> Schema:
        """`Schema.of_kind("apps", "v1", "Deployment")`; KeyError when there is none."""
        return _compiled(kinds_by_version()[group, version, kind])

    @cached_property
    def fields(self) -> dict[str, Schema]:
        """The fields of an object by name."""
        return {name: _property(raw) for name, raw in self.raw.get("properties", {}).items()}

    @cached_property
    def item(self) -> Schema:
        raw = self.raw.get("items" if self.shape == "list" else "additionalProperties")
        return _property(raw) if isinstance(raw, Mapping) else ANY

    @cached_property
    def always(self) -> frozenset[str]:
        """Fields that are written even when they are zero."""
        return frozenset(_go_fields().get(self.definition, {}).get("always", ()))

    @cached_property
    def null(self) -> frozenset[str]:
        """Fields that are written as null when they are absent."""
        return frozenset(_go_fields().get(self.definition, {}).get("null", ()))

    @cached_property
    def pointer(self) -> frozenset[str]:
        """Fields whose zero value differs from their absence: `replicas: 0` stays."""
        return frozenset(_go_fields().get(self.definition, {}).get("pointer", ()))

    @cached_property
    def key_defaults(self) -> dict[str, Any]:
        """What a missing key of an associative list's item counts as."""
        return {key: _KEY_DEFAULTS[key] for key in self.map_keys if key in _KEY_DEFAULTS}

    @property
    def known(self) -> bool:
        """Whether it is known how Go writes this object's zero values."""
        return self.definition in _go_fields()

    def at(self, *path: str) -> Schema:
        """The schema at a path of fields; list items and map values are stepped into with "*"."""
        node = self
        for step in path:
            node = node.item if step == "*" else node.fields[step]
        return node

    def __repr__(self) -> str:
        return f"Schema({self.definition or self.shape})"


def _shape(raw: Json) -> Shape:
    type_ = raw.get("type")
    if isinstance(type_, list):
        type_ = type_[0]
    if type_ == "object":
        if "additionalProperties" in raw:
            return "map"
        return "object"
    if type_ == "array":
        return "list"
    if type_ == "string":
        return "bytes" if raw.get("format") == "byte" else "string"
    if type_ in ("integer", "number", "boolean"):
        shape: Shape = type_
        return shape
    return "any"


def _property(raw: Json) -> Schema:
    reference = raw.get("$ref")
    if reference is None:
        return Schema(raw)
    name = reference.removeprefix(_REFERENCE)
    overrides = {key: value for key, value in raw.items() if key.startswith("x-kubernetes-")}
    return Schema(definitions()[name], name, overrides) if overrides else _compiled(name)


@cache
def _compiled(definition: str) -> Schema:
    return Schema(definitions()[definition], definition)


ANY = Schema({})
