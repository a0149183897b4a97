"""Creating an object."""

from __future__ import annotations

from engine.api import meta, timestamps
from engine.api.decode import Decoded, decode, decode_document
from engine.api.errors import StatusError, already_exists, invalid
from engine.api.kind import Document
from engine.api.managedfields import track_update
from engine.server import namespaces
from engine.server.naming import generated, new_uid
from engine.server.options import WriteOptions, write_options
from engine.server.writes import Prepared, WriteRequest, body_document
from engine.storage.encoding import encode
from engine.storage.store import EMPTY, Store, Write


class Create:
    """Prepares creates: POST, and an apply of what is not there."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def prepare(self, request: WriteRequest) -> Prepared:
        options = write_options(request.query, "CreateOptions", user_agent=request.user_agent)
        decoded = decoded_body(request, options)
        document = decoded.document
        request.kind.default(document)
        return self.prepare_document(request, document, options, decoded.warnings, managed=False)

    def prepare_document(
        self,
        request: WriteRequest,
        document: Document,
        options: WriteOptions,
        warnings: list[str],
        *,
        managed: bool,
    ) -> Prepared:
        """From a decoded and defaulted document on. `managed`: its field managers are recorded already."""
        kind, resource = request.kind, request.kind.resource
        metadata = document["metadata"]
        self._place(request, document)
        generate = metadata.get("generateName", "") if not metadata.get("name") else ""
        name = metadata.get("name", "")
        if resource.namespaced:
            assert request.namespace is not None
            namespaces.check_creation(self._store, kind, request.namespace, name)
        if metadata.get("resourceVersion"):
            raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
        if not managed:
            track_update(document, None, options.manager, resource.api_version, kind.schema, now=timestamps.now())
        if generate:
            name = metadata["name"] = generated(generate)
        metadata.setdefault("name", "")  # judged below with the rest
        metadata["uid"] = new_uid()
        metadata["creationTimestamp"] = timestamps.now()
        for member in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"):
            metadata.pop(member, None)
        if kind.generation:
            metadata["generation"] = 1
        kind.prepare_create(document)
        causes = meta.validate(document, kind) + kind.validate(document)
        if causes:
            raise invalid(resource.group, resource.kind, name, causes)
        key = f"{request.namespace}/{name}" if resource.namespaced else name
        if not generate and self._store.newest(resource, key) is not None:
            raise already_exists(resource.group, resource.plural, name)
        if options.dry_run:
            return Prepared(201, answer=encode(document), warnings=warnings)
        return Prepared(201, Write(resource, key, document, EMPTY), warnings=warnings, retriable=bool(generate))

    def _place(self, request: WriteRequest, document: Document) -> None:
        """The object goes where the URL says."""
        metadata = document["metadata"]
        if not request.kind.resource.namespaced:
            if metadata.get("namespace"):
                raise namespaces.mismatch()
            return
        if metadata.get("namespace") not in (None, "", request.namespace):
            raise namespaces.mismatch()
        metadata["namespace"] = request.namespace


def decoded_body(request: WriteRequest, options: WriteOptions) -> Decoded:
    """The body as a document of the request's kind. Raises StatusError 400."""
    kind = request.kind
    if isinstance(request.body, bytes):
        return decode(
            request.body,
            kind.schema,
            kind.resource,
            content_type=request.media,
            field_validation=options.field_validation,
        )
    document = body_document(request)
    return decode_document(document, kind.schema, kind.resource, field_validation=options.field_validation)
