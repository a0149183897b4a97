"""Replacing an object, its status, or what a patch has made of it."""

from __future__ import annotations

from typing import Any

from engine._object import Object
from engine.api import meta, timestamps
from engine.api.errors import bad_request, conflict, invalid, not_found
from engine.api.kind import Document, Kind
from engine.api.managedfields import keep_times, track_update
from engine.api.resource import NAMESPACES
from engine.server import namespaces
from engine.server.create import decoded_body
from engine.server.options import WriteOptions, write_options
from engine.server.refusals import MODIFIED
from engine.server.writes import Prepared, WriteRequest, editable
from engine.storage.encoding import encode
from engine.storage.store import Store, Write

# What a client leaves out stays as it is; what it changes is judged with the rest of the metadata.
KEPT = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


class Update:
    """Prepares updates of objects and of their statuses."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def prepare(self, request: WriteRequest) -> Prepared:
        options = write_options(request.query, "UpdateOptions", user_agent=request.user_agent)
        decoded = decoded_body(request, options)
        document = decoded.document
        self._place(request, document["metadata"])
        live = self.live(request)
        request.kind.default(document)
        return self.prepare_document(request, live, document, options, decoded.warnings)

    def live(self, request: WriteRequest) -> Object:
        """The newest version. Raises StatusError 404."""
        resource = request.kind.resource
        found = self._store.newest(resource, request.key)
        if found is None:
            raise not_found(resource.group, resource.plural, request.name)
        return found

    def prepare_document(
        self,
        request: WriteRequest,
        live: Object,
        document: Document,
        options: WriteOptions,
        warnings: list[str],
        *,
        managed: bool = False,
    ) -> Prepared:
        """From a decoded and defaulted document on. `managed`: its field managers are recorded already."""
        kind, resource = request.kind, request.kind.resource
        old, metadata = live.peek(), document["metadata"]
        named = self._check_identity(kind, live, metadata)
        if not managed:
            # Kubernetes files a scale without its time.
            now = None if request.subresource == "scale" else timestamps.now()
            track_update(document, old, options.manager, resource.api_version, kind.schema, request.subresource, now)
        before = old["metadata"]
        for member in KEPT:
            if member in before and (member == "generation" or not metadata.get(member)):
                metadata[member] = before[member]
        if request.subresource == "status":
            kind.prepare_status_update(document, old)
            causes = kind.validate_status_update
        else:
            kind.prepare_update(document, old)
            if kind.generation and generation_moves(kind, document, old):
                metadata["generation"] = before.get("generation", 0) + 1
            causes = kind.validate_update
        faults = meta.validate_update(document, old, kind) + causes(document, old)
        if faults:
            raise invalid(resource.group, resource.kind, request.name, faults)
        return self._finish(request, live, document, options, warnings, named=named)

    def _finish(
        self,
        request: WriteRequest,
        live: Object,
        document: Document,
        options: WriteOptions,
        warnings: list[str],
        *,
        named: bool,
    ) -> Prepared:
        kind, metadata = request.kind, document["metadata"]
        metadata["resourceVersion"] = str(live.resource_version)
        gone = released(kind, document, live)
        keep_times(document, live.peek())
        if not gone and document == live.peek():
            return Prepared(200, answer=live, warnings=warnings)
        if options.dry_run:
            return Prepared(200, answer=encode(document, live.resource_version), warnings=warnings)
        if gone:
            # Watchers see the last state that was stored; the client, what it sent.
            answer = encode(document, live.resource_version)
            write = Write(kind.resource, request.key, editable(live), live.resource_version, delete=True)
            return Prepared(200, write, view=lambda last: answer, warnings=warnings, retriable=not named)
        write = Write(kind.resource, request.key, document, live.resource_version)
        return Prepared(200, write, warnings=warnings, retriable=not named)

    def _check_identity(self, kind: Kind, live: Object, metadata: dict[str, Any]) -> bool:
        """Whether the client named the version that it changes. Raises StatusError 409 when that is not the newest."""
        resource = kind.resource
        uid, version = metadata.get("uid"), metadata.get("resourceVersion")
        if uid and uid != live.uid:
            why = (
                f"StorageError: invalid object, Code: 4, Key: /registry/{resource.plural}/{live.key}, "
                "ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: "
                f"UID in precondition: {uid}, UID in object meta: {live.uid}"
            )
            raise conflict(resource.group, resource.plural, live.name, why)
        if not version or version == "0":
            return False
        if version != str(live.resource_version):
            raise conflict(resource.group, resource.plural, live.name, MODIFIED)
        return True

    def _place(self, request: WriteRequest, metadata: dict[str, Any]) -> None:
        name = metadata.get("name")
        if not name:
            raise bad_request("name must be provided")
        if name != request.name:
            raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({request.name})")
        if request.namespace is not None:
            if metadata.get("namespace") not in (None, "", request.namespace):
                raise namespaces.mismatch()
            metadata["namespace"] = request.namespace


def generation_moves(kind: Kind, document: Document, old: Document) -> bool:
    """Whether an update is one that metadata.generation counts."""
    if document.get("spec") != old.get("spec"):
        return True
    if not kind.generation_counts_annotations:
        return False
    return (document["metadata"].get("annotations") or {}) != (old["metadata"].get("annotations") or {})


def released(kind: Kind, document: Document, live: Object) -> bool:
    """Whether this update lets go of an object that only waited for its last finalizer."""
    before = live.peek()["metadata"]
    if "deletionTimestamp" not in before or document["metadata"].get("finalizers"):
        return False
    if before.get("deletionGracePeriodSeconds"):
        return False  # somebody still has to stop it
    return not (kind.resource == NAMESPACES and document.get("spec", {}).get("finalizers"))
