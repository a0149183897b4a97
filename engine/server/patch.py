"""Changing an object by a patch, and applying a configuration."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from engine._object import Object
from engine.api import timestamps
from engine.api.apply import apply as apply_configuration
from engine.api.apply import parse_apply
from engine.api.decode import Decoded, decode_patched
from engine.api.errors import bad_request, not_found
from engine.api.kind import Document, Kind
from engine.api.patch import JSON, MERGE, STRATEGIC, Patched, patched
from engine.api.patch.json import apply as apply_json
from engine.api.patch.json import operations
from engine.api.patch.merge import merge
from engine.api.patch.strategic import apply as apply_strategic
from engine.api.schema import Schema
from engine.server.create import Create
from engine.server.options import WriteOptions, write_options
from engine.server.subresources import Subresources, scale_of
from engine.server.update import Update
from engine.server.writes import PatchType, Prepared, WriteRequest, body_document
from engine.storage.store import Store

CONTENT_TYPES: Mapping[PatchType, str] = {"json": JSON, "merge": MERGE, "strategic": STRATEGIC}


class Patch:
    """Prepares patches."""

    def __init__(self, store: Store, create: Create, update: Update, subresources: Subresources) -> None:
        self._store = store
        self._create = create
        self._update = update
        self._subresources = subresources
        self._scale_schema = Schema.of("io.k8s.api.autoscaling.v1.Scale")

    def prepare(self, request: WriteRequest) -> Prepared:
        options = write_options(
            request.query, "PatchOptions", user_agent=request.user_agent, apply=request.patch_type == "apply"
        )
        if request.patch_type == "apply":
            return self._apply(request, options)
        kind, resource = request.kind, request.kind.resource
        live = self._store.newest(resource, request.key)
        if live is None:
            raise not_found(resource.group, resource.plural, request.name)
        if request.subresource == "scale":
            made = _patched(request, scale_of(kind, live).peek(), self._scale_schema)
            return self._subresources.patch_scale(request, live, made.document, options)
        made = _patched(request, live.peek(), kind.schema)
        decoded = _decoded(made, live, kind, options)
        document = decoded.document
        named = _named_version(made.document, live)
        if not named:
            # The version that is patched is no precondition of the client's.
            document["metadata"].pop("resourceVersion", None)
        kind.default(document)
        return self._update.prepare_document(request, live, document, options, decoded.warnings)

    def _apply(self, request: WriteRequest, options: WriteOptions) -> Prepared:
        """What the manager wants to own is merged in; an object that is not there is created."""
        kind, resource = request.kind, request.kind.resource
        config, warnings = _configuration(request, options)
        live = self._store.newest(resource, request.key)
        if live is None and request.subresource:
            raise not_found(resource.group, resource.plural, request.name)
        applied = apply_configuration(
            None if live is None else live.peek(),
            config,
            options.manager,
            resource.api_version,
            kind.schema,
            force=options.force,
            subresource=request.subresource,
            now=timestamps.now(),
        )
        decoded = decode_patched(applied.document, kind.schema, resource, field_validation=options.field_validation)
        document, warnings = decoded.document, warnings + decoded.warnings
        if live is None:
            kind.default(document)
            return self._create.prepare_document(request, document, options, warnings, managed=True)
        if not _named_version(document, live):
            document["metadata"].pop("resourceVersion", None)
        kind.default(document)
        return self._update.prepare_document(request, live, document, options, warnings, managed=True)


def _configuration(request: WriteRequest, options: WriteOptions) -> tuple[Document, list[str]]:
    body = request.body
    data = body if isinstance(body, bytes) else orjson.dumps(body_document(request))
    return parse_apply(data, request.kind.resource, request.name, options.field_validation)


def _decoded(made: Patched, live: Object, kind: Kind, options: WriteOptions) -> Decoded:
    """Decodes what the patch touched. A member that is the stored one itself has been decoded when it was stored."""
    old = live.peek()
    changed = {
        name: value
        for name, value in made.document.items()
        if name == "metadata" or name not in old or value is not old[name]
    }
    found = decode_patched(
        changed,
        kind.schema,
        kind.resource,
        field_validation=options.field_validation,
        duplicates=made.duplicates,
    )
    for name in made.document:
        if name not in changed:
            found.document[name] = old[name]
    return found


def _named_version(document: Document, live: Object) -> bool:
    metadata = document.get("metadata")
    version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
    return bool(version) and version != str(live.resource_version)


def _patched(request: WriteRequest, document: Document, schema: Schema) -> Patched:
    if isinstance(request.body, bytes):
        return patched(document, request.body, CONTENT_TYPES[request.patch_type], schema)
    if request.patch_type == "json":
        body = request.body
        if not isinstance(body, list | tuple):
            raise bad_request("a JSON patch is a list of operations")
        return Patched(apply_json(document, operations(list(body))), [])
    value = body_document(request)
    if request.patch_type == "merge":
        return Patched(merge(document, value), [])
    return Patched(apply_strategic(document, value, schema), [])
