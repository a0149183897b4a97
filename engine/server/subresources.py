"""The subresources that are written: scale, binding and finalize. (`status` is an update like others.)"""

from __future__ import annotations

from typing import Any

from engine._object import Object
from engine._path import Path as ObjectPath
from engine.api import timestamps
from engine.api.decode import Decoded, decode, decode_document, decode_patched
from engine.api.errors import StatusError, bad_request, conflict, invalid, not_found
from engine.api.kind import Document, Kind, Scale
from engine.api.resource import Resource
from engine.api.schema import Schema
from engine.api.selectors import label_selector
from engine.api.validation import NOT_NEGATIVE, required
from engine.api.validation import invalid as invalid_value
from engine.server.options import WriteOptions, write_options
from engine.server.refusals import MODIFIED
from engine.server.success import success
from engine.server.update import Update
from engine.server.writes import Prepared, WriteRequest, body_document, editable
from engine.storage.encoding import encode
from engine.storage.store import Store, Write

SCALES = Resource("autoscaling", "v1", "scales", "Scale")
BINDINGS = Resource("", "v1", "bindings", "Binding")


def scale_of(kind: Kind, found: Object) -> Object:
    """The Scale that stands for an object."""
    return Object(_scale_document(kind, found.peek()))


def _scale_document(kind: Kind, document: Document) -> Document:
    scale, metadata = _scaling(kind), document["metadata"]
    shown = {name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion") if name in metadata}
    shown["creationTimestamp"] = metadata.get("creationTimestamp")
    replicas = ObjectPath(scale.spec_replicas).of(document, 0)
    status: Document = {"replicas": ObjectPath(scale.status_replicas).of(document, 0)}
    if selector := ObjectPath(scale.selector).of(document):
        status["selector"] = str(label_selector(selector))
    spec = {"replicas": replicas} if replicas else {}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": shown, "spec": spec, "status": status}


def _scaling(kind: Kind) -> Scale:
    assert kind.scale is not None
    return kind.scale


class Subresources:
    """Prepares writes to subresources."""

    def __init__(self, store: Store, update: Update) -> None:
        self._store = store
        self._update = update
        self._scale_schema = Schema.of("io.k8s.api.autoscaling.v1.Scale")
        self._binding_schema = Schema.of("io.k8s.api.core.v1.Binding")

    def replace_scale(self, request: WriteRequest) -> Prepared:
        options = write_options(request.query, "UpdateOptions", user_agent=request.user_agent)
        live = self._update.live(request)
        scale = self._decoded(request, self._scale_schema, SCALES, options)
        return self._rescale(request, live, scale.document, options, scale.warnings)

    def patch_scale(self, request: WriteRequest, live: Object, patched: Document, options: WriteOptions) -> Prepared:
        scale = decode_patched(patched, self._scale_schema, SCALES, field_validation=options.field_validation)
        return self._rescale(request, live, scale.document, options, scale.warnings)

    def _rescale(
        self, request: WriteRequest, live: Object, scale: Document, options: WriteOptions, warnings: list[str]
    ) -> Prepared:
        kind, metadata = request.kind, scale["metadata"]
        if metadata.get("name", request.name) != request.name:
            raise bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({request.name})"
            )
        replicas = scale.get("spec", {}).get("replicas", 0)
        if replicas < 0:
            causes = [invalid_value("spec.replicas", replicas, NOT_NEGATIVE)]
            raise invalid(SCALES.group, SCALES.kind, request.name, causes)
        document = editable(live)
        document["metadata"]["resourceVersion"] = metadata.get("resourceVersion", "")
        if uid := metadata.get("uid"):
            document["metadata"]["uid"] = uid
        *parents, last = _scaling(kind).spec_replicas.split(".")
        at = document
        for parent in parents:
            at[parent] = dict(at.get(parent, {}))
            at = at[parent]
        at[last] = replicas
        prepared = self._update.prepare_document(request, live, document, options, warnings)
        if prepared.answer is not None:
            prepared.answer = scale_of(kind, prepared.answer)
        prepared.view = lambda stored: scale_of(kind, stored)
        return prepared

    def bind(self, request: WriteRequest) -> Prepared:
        """A pod gets its node, once."""
        options = write_options(request.query, "CreateOptions", user_agent=request.user_agent)
        decoded = self._decoded(request, self._binding_schema, BINDINGS, options)
        binding = decoded.document
        metadata, target = binding["metadata"], binding.get("target") or {}
        if metadata.get("name", request.name) != request.name:
            raise bad_request("the name of the object does not match the name on the URL")
        if target.get("kind") not in (None, "", "Node") or not target.get("name"):
            causes = [required("target.name")]
            if target.get("kind") not in (None, "", "Node"):
                causes = [invalid_value("target.kind", target["kind"], "must be 'Node'")]
            raise invalid("", "Binding", request.name, causes)
        resource = request.kind.resource
        live = self._store.newest(resource, request.key)
        if live is None:
            raise not_found(resource.group, resource.plural, request.name)
        self._check_unbound(live, metadata)
        document = _bound(live, binding, target["name"])
        answer = success(code=201)
        if options.dry_run:
            return Prepared(201, answer=answer, warnings=decoded.warnings)
        write = Write(resource, request.key, document, live.resource_version)
        return Prepared(201, write, view=lambda stored: answer, warnings=decoded.warnings)

    def _check_unbound(self, live: Object, metadata: dict[str, Any]) -> None:
        why = ""
        node = live.peek().get("spec", {}).get("nodeName")
        if (uid := metadata.get("uid")) and uid != live.uid:
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {live.uid}"
        if not why and live.deletion_timestamp is not None:
            why = f"pod {live.name} is being deleted, cannot be assigned to a host"
        elif not why and node:
            why = f'pod {live.name} is already assigned to node "{node}"'
        if why:
            raise conflict("", "pods/binding", live.name, why)

    def finalize(self, request: WriteRequest) -> Prepared:
        """A namespace's own finalizers, the list in its spec: whoever has emptied it lets go here."""
        options = write_options(request.query, "UpdateOptions", user_agent=request.user_agent)
        live = self._update.live(request)
        decoded = self._decoded(request, request.kind.schema, request.kind.resource, options)
        if decoded.document["metadata"].get("name", request.name) != request.name:
            raise bad_request("the name of the object does not match the name on the URL")
        document = editable(live)
        document["spec"] = {"finalizers": decoded.document.get("spec", {}).get("finalizers") or []}
        if not document["spec"]["finalizers"]:
            del document["spec"]["finalizers"]
        gone = (
            "deletionTimestamp" in document["metadata"]
            and not document["spec"]
            and not document["metadata"].get("finalizers")
        )
        version = decoded.document["metadata"].get("resourceVersion")
        if version and version != str(live.resource_version):
            raise _stale(request.kind, live)
        if options.dry_run:
            return Prepared(200, answer=encode(document, live.resource_version))
        write = Write(request.kind.resource, request.key, document, live.resource_version, delete=gone)
        return Prepared(200, write, warnings=decoded.warnings, retriable=not version)

    def _decoded(self, request: WriteRequest, schema: Schema, resource: Resource, options: WriteOptions) -> Decoded:
        checks = options.field_validation
        if isinstance(request.body, bytes):
            return decode(request.body, schema, resource, content_type=request.media, field_validation=checks)
        return decode_document(body_document(request), schema, resource, field_validation=checks)


def _bound(live: Object, binding: Document, node: str) -> Document:
    document = editable(live)
    document["spec"] = {**document.get("spec", {}), "nodeName": node}
    if annotations := binding["metadata"].get("annotations"):
        metadata = document["metadata"]
        metadata["annotations"] = {**metadata.get("annotations", {}), **annotations}
    status = document.get("status", {})
    others = [condition for condition in status.get("conditions", ()) if condition["type"] != "PodScheduled"]
    scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None}
    conditions = [*others, {**scheduled, "lastTransitionTime": timestamps.now()}]
    document["status"] = {**status, "conditions": conditions}
    return document


def _stale(kind: Kind, live: Object) -> StatusError:
    return conflict(kind.resource.group, kind.resource.plural, live.name, MODIFIED)
