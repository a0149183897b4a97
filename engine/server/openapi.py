"""The OpenAPI documents that clients validate with and explain from, built from the published schemas."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import orjson

from engine.api.kind import Kind
from engine.api.schema import definitions
from engine.server.negotiation import JSON
from engine.server.refusals import unknown_resource
from engine.server.request import Response

DEFINITION = "#/$defs/"
PATCH_MEDIA = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
WRITE_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
GNOSTIC = "application/com.github.proto-openapi.spec.v2"  # what kubectl asks version 2 of the specification for
STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
PATCH = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"


class OpenAPI:
    """`/openapi/v3`, one document per group and version, and a minimal `/openapi/v2`. Each is built when it is first
    asked for; a document's address in the index holds its hash, so that clients may keep it for ever."""

    def __init__(self, kinds: Iterable[Kind], *, version: str) -> None:
        self._version = version
        self._groups: dict[str, list[Kind]] = {}
        for kind in kinds:
            resource = kind.resource
            path = f"apis/{resource.group}/{resource.version}" if resource.group else f"api/{resource.version}"
            self._groups.setdefault(path, []).append(kind)
        self._built: dict[str, tuple[bytes, str]] = {}

    def answer(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Response:
        """Raises StatusError 404 for a document that is not there."""
        if path == "/openapi/v3":
            index = {
                "paths": {
                    group: {"serverRelativeURL": f"/openapi/v3/{group}?hash={self._document(group)[1]}"}
                    for group in sorted(self._groups)
                }
            }
            return Response(200, orjson.dumps(index), JSON)
        if path == "/openapi/v2" and headers.get("accept", "").startswith(GNOSTIC):
            return Response(200, _v2_protobuf(self._version), f"{GNOSTIC}.v1.0+protobuf")
        name = path.removeprefix("/openapi/v3/")
        if path != "/openapi/v2" and name not in self._groups:
            raise unknown_resource()
        body, digest = self._document("" if path == "/openapi/v2" else name)
        sent = {"ETag": f'"{digest}"', "Vary": "Accept"}
        if query.get("hash") == digest:
            sent["Cache-Control"] = "public, immutable"
        if headers.get("if-none-match") == f'"{digest}"':
            return Response(304, b"", JSON, sent)
        return Response(200, body, JSON, sent)

    def _document(self, group: str) -> tuple[bytes, str]:
        """The document of one group's path, or version 2 of the specification for "", and its hash."""
        if group not in self._built:
            body = orjson.dumps(self._v3(group) if group else self._v2())
            self._built[group] = (body, hashlib.sha256(body).hexdigest().upper())
        return self._built[group]

    def _v3(self, group: str) -> dict[str, Any]:
        kinds = self._groups[group]
        paths: dict[str, Any] = {}
        roots = [STATUS]
        for kind in kinds:
            model = kind.schema.definition
            roots += [model, f"{model}List"]
            paths |= _paths(kind, model)
            if kind.scale:
                roots.append("io.k8s.api.autoscaling.v1.Scale")
        schemas = {name: _schema_v3(name) for name in sorted(_reachable(roots))}
        schemas[PATCH] = {"type": "object", "description": "A patch in one of the formats that the request names."}
        info = {"title": "Kubernetes", "version": self._version}
        return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}

    def _v2(self) -> dict[str, Any]:
        roots = [kind.schema.definition for kinds in self._groups.values() for kind in kinds]
        schemas = {name: _rewritten(definitions()[name], "#/definitions/") for name in sorted(_reachable(roots))}
        info = {"title": "Kubernetes", "version": self._version}
        return {"swagger": "2.0", "info": info, "paths": {}, "definitions": schemas}


def _v2_protobuf(version: str) -> bytes:
    """Version 2 as a gnostic `Document` without paths: enough for kubectl to find that a kind is not there, which it
    asks only once version 3 did not know the kind. Fields: 1 swagger, 2 info (1 title, 2 version), 8 paths."""

    def text(number: int, value: bytes) -> bytes:
        return bytes((number << 3 | 2, len(value))) + value

    info = text(1, b"Kubernetes") + text(2, version.encode())
    return text(1, b"2.0") + text(2, info) + text(8, b"")


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix(DEFINITION)
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _reachable(roots: list[str]) -> set[str]:
    found: set[str] = set()
    waiting = [name for name in roots if name in definitions()]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(definitions()[name])
    return found


@cache
def _schema_v3(name: str) -> dict[str, Any]:
    rewritten: dict[str, Any] = _rewritten(definitions()[name], "#/components/schemas/")
    if name == INT_OR_STRING:
        rewritten = {"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"}
    elif name == QUANTITY:
        rewritten = {"oneOf": [{"type": "string"}, {"type": "number"}]}
    return rewritten


def _rewritten(node: Any, references: str) -> Any:
    """A definition in the form that an API server publishes: references into the document, one type where the data has
    `[type, "null"]`, no fixed `kind` and `apiVersion`."""
    if isinstance(node, list):
        return [_rewritten(value, references) for value in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = {"$ref": references + node["$ref"].removeprefix(DEFINITION)}
        rest = {key: _rewritten(value, references) for key, value in node.items() if key != "$ref"}
        # Siblings of $ref are ignored by the specification.
        return {**rest, "allOf": [target]} if rest and "components" in references else {**rest, **target}
    told = {}
    for key, value in node.items():
        if key == "type" and isinstance(value, list):
            told[key] = next((one for one in value if one != "null"), "object")
        elif key in ("enum",) and isinstance(value, list) and len(value) == 1:
            continue
        else:
            told[key] = _rewritten(value, references)
    return told


def _paths(kind: Kind, model: str) -> dict[str, Any]:
    resource = kind.resource
    collection = resource.path("{namespace}" if resource.namespaced else None)
    one = resource.path("{namespace}" if resource.namespaced else None, "{name}")
    gvk = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    where = [_parameter("namespace", "path")] if resource.namespaced else []
    named = [*where, _parameter("name", "path")]
    paths: dict[str, Any] = {
        collection: {
            "get": _operation("list", gvk, f"{model}List"),
            "post": _operation("post", gvk, model, body=model),
            "parameters": where,
        },
        one: {
            "get": _operation("get", gvk, model),
            "put": _operation("put", gvk, model, body=model),
            "patch": _operation("patch", gvk, model, body=PATCH, media=PATCH_MEDIA),
            "delete": _operation("delete", gvk, STATUS),
            "parameters": named,
        },
    }
    if resource.namespaced:
        paths[resource.path()] = {"get": _operation("list", gvk, f"{model}List")}
    for name in kind.all_subresources:
        if name not in ("status", "scale"):
            continue
        spoken, spoken_model = gvk, model
        if name == "scale":
            spoken = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
            spoken_model = "io.k8s.api.autoscaling.v1.Scale"
        paths[f"{one}/{name}"] = {
            "get": _operation("get", spoken, spoken_model),
            "put": _operation("put", spoken, spoken_model, body=spoken_model),
            "patch": _operation("patch", spoken, spoken_model, body=PATCH, media=PATCH_MEDIA),
            "parameters": named,
        }
    return paths


def _operation(
    action: str, gvk: Mapping[str, str], answer: str, *, body: str = "", media: tuple[str, ...] = (JSON,)
) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{answer}"}
    operation: dict[str, Any] = {
        "responses": {"200": {"description": "OK", "content": {JSON: {"schema": schema}}}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": gvk,
    }
    if body:
        content = {kind: {"schema": {"$ref": f"#/components/schemas/{body}"}} for kind in media}
        operation["requestBody"] = {"content": content}
        operation["parameters"] = [_parameter(name, "query") for name in WRITE_PARAMETERS]
    return operation


def _parameter(name: str, place: str) -> dict[str, Any]:
    parameter: dict[str, Any] = {"name": name, "in": place, "schema": {"type": "string", "uniqueItems": True}}
    return parameter | {"required": True} if place == "path" else parameter
