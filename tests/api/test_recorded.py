"""The writes that a real kube-apiserver answered, replayed through decoding, defaults, managers, patches and rules.

No storage and no HTTP: an object is what the recording says it was, and each write is checked on its own.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from engine.api import meta
from engine.api.apply import apply, parse_apply
from engine.api.decode import decode, decode_patched
from engine.api.errors import StatusError, invalid
from engine.api.kind import Document, Kind
from engine.api.kinds import KindTable
from engine.api.managedfields import track_update
from engine.api.patch import APPLY, patched
from engine.api.table import columns

KINDS = KindTable.builtin()
NOW = "2026-11-23T01:59:11Z"
# What the server decides before or behind these steps.
SERVER_DECIDES = {
    "namespace missing", "namespace mismatch", "name mismatch", "configmap duplicate", "content type unknown",
    "bad fieldValidation", "body over limit", "too large", "bad dry run", "update stale", "update nothing",
    "update uid mismatch", "merge patch stale", "patch unknown type", "patch missing", "apply without manager",
    "create in terminating namespace", "method not allowed", "head of nothing",
}  # fmt: skip
# The diff in the message is Go's own print of the whole spec.
OTHER_WORDING = {"pod immutable field"}


class Write:
    def __init__(self, exchange: dict[str, Any]) -> None:
        request, self.response = exchange["request"], exchange["response"]
        self.name = exchange["name"]
        self.method = request["method"]
        url = urlsplit(request["path"])
        self.query = {key: values[0] for key, values in parse_qs(url.query).items()}
        self.content_type = {key.lower(): value for key, value in request["headers"].items()}.get("content-type", "")
        body = request["body"]
        self.data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        parts = url.path.strip("/").split("/")
        group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
        if rest[0] == "namespaces" and len(rest) > 2:
            rest = rest[2:]
        self.kind = KINDS.by_plural(group, version, rest[0])
        self.object_name = rest[1] if len(rest) > 1 else ""
        self.subresource = rest[2] if len(rest) > 2 else ""


def writes(exchanges: list[dict[str, Any]]) -> Iterator[Write]:
    for exchange in exchanges:
        request = exchange["request"]
        if request["method"] not in ("POST", "PUT", "PATCH") or exchange["name"] in SERVER_DECIDES:
            continue
        write = Write(exchange)
        if write.kind is not None and write.subresource in ("", "status"):
            yield write


def created(write: Write, kind: Kind, document: Document, *, managed: bool = False) -> Document:
    kind.default(document)
    if not managed:
        track_update(document, None, "unknown", kind.resource.api_version, kind.schema, now=NOW)
    metadata, answered = document["metadata"], write.response["body"].get("metadata") or {}
    if kind.resource.namespaced:
        metadata["namespace"] = "g"
    for field in ("name", "uid", "resourceVersion", "creationTimestamp"):
        if field in answered:
            metadata[field] = answered[field]
    metadata.setdefault("uid", "u")
    if kind.generation:
        metadata["generation"] = 1
    kind.prepare_create(document)
    if causes := meta.validate(document, kind) + kind.validate(document):
        raise invalid(kind.resource.group, kind.resource.kind, metadata.get("name", ""), causes)
    return document


def updated(write: Write, kind: Kind, document: Document, old: Document, *, managed: bool = False) -> Document:
    kind.default(document)
    if not managed:
        track_update(document, old, "unknown", kind.resource.api_version, kind.schema, write.subresource, NOW)
    for field in (
        "namespace",
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ):
        if field in old["metadata"]:
            document["metadata"].setdefault(field, old["metadata"][field])
    if write.subresource:
        kind.prepare_status_update(document, old)
        causes = meta.validate_update(document, old, kind) + kind.validate_status_update(document, old)
    else:
        kind.prepare_update(document, old)
        if kind.generation and document.get("spec") != old.get("spec"):
            document["metadata"]["generation"] = old["metadata"]["generation"] + 1
        causes = meta.validate_update(document, old, kind) + kind.validate_update(document, old)
    if causes:
        raise invalid(kind.resource.group, kind.resource.kind, old["metadata"]["name"], causes)
    document["metadata"]["resourceVersion"] = write.response["body"].get("metadata", {}).get("resourceVersion", "")
    return document


def answer(write: Write, kind: Kind, old: Document | None) -> tuple[Document, list[str]]:
    validation = write.query.get("fieldValidation", "Warn")
    if write.method != "PATCH":
        found = decode(
            write.data, kind.schema, kind.resource, content_type=write.content_type, field_validation=validation
        )
        if write.method == "POST":
            return created(write, kind, found.document), found.warnings
        assert old is not None
        return updated(write, kind, found.document, old), found.warnings
    if write.content_type == APPLY:
        config, warnings = parse_apply(write.data, kind.resource, write.object_name, validation)
        force = write.query.get("force") == "true"
        made = apply(
            old, config, write.query["fieldManager"], kind.resource.api_version, kind.schema, force=force, now=NOW
        )
        document = decode_patched(made.document, kind.schema, kind.resource).document
        if old is None:
            return created(write, kind, document, managed=True), warnings
        return updated(write, kind, document, old, managed=True), warnings
    assert old is not None
    change = patched(old, write.data, write.content_type, kind.schema)
    found = decode_patched(change.document, kind.schema, kind.resource, field_validation=validation)
    return updated(write, kind, found.document, old), found.warnings


def masked(document: Any) -> Any:
    if isinstance(document, dict) and isinstance(document.get("metadata"), dict):
        entries = document["metadata"].get("managedFields")
        for entry in entries or []:
            entry.pop("time", None)
    return document


def test_recorded_writes_are_answered_alike(exchanges: list[dict[str, Any]]) -> None:
    stored: dict[tuple[str, str], Document] = {}
    differences: dict[str, Any] = {}
    agreed = 0
    for exchange in exchanges:
        write = next(writes([exchange]), None)
        if write is not None and write.kind is not None:
            old = stored.get((write.kind.resource.kind, write.object_name))
            before = copy.deepcopy(old)
            try:
                document, warnings = answer(write, write.kind, old)
                found, said = (
                    masked(copy.deepcopy(document)),
                    [f"299 - {json.dumps(text)}" for text in warnings] or None,
                )
            except StatusError as error:
                found, said = error.to_dict(), None
            assert old == before, write.name
            expected = masked(copy.deepcopy(write.response["body"]))
            if (found, said) == (expected, write.response["warning"]):
                agreed += 1
            else:
                differences[write.name] = (found, expected)
        keep(exchange, stored)
    unexpected = {name: pair for name, pair in differences.items() if name not in OTHER_WORDING}
    for name, (found, expected) in unexpected.items():
        print(f"{name}\n  here  {json.dumps(found)}\n  there {json.dumps(expected)}")
    assert not unexpected
    assert agreed >= 80


def keep(exchange: dict[str, Any], stored: dict[tuple[str, str], Document]) -> None:
    """What the recording says of an object is what the next write finds."""
    body = exchange["response"]["body"]
    if not isinstance(body, dict) or exchange["response"]["status"] not in (200, 201):
        return
    if "dryRun" in exchange["request"]["path"] or body.get("kind") in ("Status", "Scale", "Table", None):
        return
    if isinstance(body.get("metadata"), dict) and body["metadata"].get("name"):
        stored[body["kind"], body["metadata"]["name"]] = copy.deepcopy(body)


def test_recorded_tables_have_these_columns(exchanges: list[dict[str, Any]]) -> None:
    seen = 0
    for exchange in exchanges:
        body = exchange["response"]["body"]
        if not isinstance(body, dict) or body.get("kind") != "Table" or not body["columnDefinitions"]:
            continue
        kind = Write(exchange).kind
        assert kind is not None
        found = [{key: value for key, value in each.items() if key != "description"} for each in columns(kind)]
        assert found == body["columnDefinitions"], exchange["name"]
        seen += 1
    assert seen >= 10
