"""Deleting an object: at once, gracefully, or when its finalizers let go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from engine._object import Object
from engine.api import timestamps
from engine.api.errors import StatusError, not_found
from engine.api.kind import Document, Kind
from engine.api.resource import JOBS, NAMESPACES, SERVICEACCOUNTS, SERVICES
from engine.server import namespaces
from engine.server.options import DeleteOptions, delete_options
from engine.server.success import deleted
from engine.server.writes import Prepared, WriteRequest, editable
from engine.storage.encoding import encode
from engine.storage.store import Store, Write

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
MAX_GRACE_SECONDS = 365 * 24 * 3600 * 1000  # a deletionTimestamp's year has four digits
FINISHED = ("Succeeded", "Failed")
# Kubernetes answers these deletes with the object, all others with a Status.
ANSWERED_WITH_OBJECT = (SERVICES, SERVICEACCOUNTS)
ORPHANED_BY_DEFAULT = (JOBS,)  # batch/v1 keeps its pods unless the client says otherwise


class Delete:
    """Prepares deletes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def prepare(self, request: WriteRequest) -> Prepared:
        kind, resource = request.kind, request.kind.resource
        body = request.body if isinstance(request.body, bytes | Mapping) else None
        options = delete_options(request.query, body, request.media)
        namespaces.check_deletion(kind, request.name)
        live = self._store.newest(resource, request.key)
        if live is None:
            raise not_found(resource.group, resource.plural, request.name)
        check_preconditions(kind, live, options)
        document = editable(live)
        gone = mark(kind, document, options)
        document["metadata"]["resourceVersion"] = str(live.resource_version)
        if not gone and document == live.peek():
            return Prepared(200, answer=live)  # it is on its way already
        whole = not gone or kind.graceful or resource in ANSWERED_WITH_OBJECT
        if options.dry_run:
            return Prepared(200, answer=encode(document, live.resource_version) if whole else deleted(kind, live))
        write = Write(resource, request.key, document, live.resource_version, delete=gone)
        view = _last_state(document) if whole else partial(deleted, kind)
        return Prepared(200, write, view=view if gone else None, retriable=not options.resource_version)


def _last_state(document: Document) -> Callable[[Object], Object]:
    """The answer for what is gone: not every store keeps the state that is written with a delete."""
    return lambda stored: encode(document, stored.resource_version)


def check_preconditions(kind: Kind, live: Object, options: DeleteOptions) -> None:
    """Raises StatusError 409 when the object is not the one that the client means."""
    if options.uid and options.uid != live.uid:
        raise _precondition_failed(
            kind,
            live,
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({live.uid}). The object "
            "might have been deleted and then recreated",
        )
    version = str(live.resource_version)
    if options.resource_version and options.resource_version != version:
        raise _precondition_failed(
            kind,
            live,
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match the ResourceVersion "
            f"in record ({version}). The object might have been modified",
        )


def _precondition_failed(kind: Kind, live: Object, why: str) -> StatusError:
    # Unlike every other conflict this one is about the kind, not the resource.
    resource = kind.resource
    what = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    details = {"name": live.name, "group": resource.group, "kind": resource.kind}
    message = f'Operation cannot be fulfilled on {what} "{live.name}": {why}'
    return StatusError(409, "Conflict", message, {key: value for key, value in details.items() if value})


def mark(kind: Kind, document: Document, options: DeleteOptions) -> bool:
    """Changes the editable document as this delete does; true when nothing holds the object any more."""
    metadata = document["metadata"]
    _set_policy(kind, metadata, options)
    if kind.resource == NAMESPACES:
        return _mark_namespace(document)
    if kind.graceful:
        _mark_graceful(document, options)
    elif "deletionTimestamp" not in metadata and metadata.get("finalizers"):
        _begin(metadata, 0)
    if metadata.get("finalizers"):
        return False
    return not metadata.get("deletionGracePeriodSeconds")


def _set_policy(kind: Kind, metadata: dict[str, Any], options: DeleteOptions) -> None:
    """The finalizers that have the garbage collector treat the dependents as the client said."""
    policy = options.policy
    finalizers = [name for name in metadata.get("finalizers", ()) if name not in (ORPHAN, FOREGROUND) or not policy]
    if not policy and kind.resource in ORPHANED_BY_DEFAULT and FOREGROUND not in finalizers:
        policy = "Orphan"
    wanted = {"Orphan": ORPHAN, "Foreground": FOREGROUND}.get(policy)
    if wanted and wanted not in finalizers:
        finalizers.append(wanted)
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)


def _mark_namespace(document: Document) -> bool:
    metadata = document["metadata"]
    if "deletionTimestamp" not in metadata:
        metadata["deletionTimestamp"] = timestamps.now()
        document["status"] = {**document.get("status", {}), "phase": "Terminating"}
    return not metadata.get("finalizers") and not document.get("spec", {}).get("finalizers")


def _mark_graceful(document: Document, options: DeleteOptions) -> None:
    """A pod that runs on a node gets its grace period; a later delete may only shorten it."""
    metadata, spec = document["metadata"], document.get("spec", {})
    grace = options.grace_seconds
    if grace is not None and grace < 0:
        grace = 1
    if "deletionTimestamp" in metadata:
        before = metadata.get("deletionGracePeriodSeconds", 0)
        if grace is not None and grace < before:
            sooner = timedelta(seconds=min(before, MAX_GRACE_SECONDS) - min(grace, MAX_GRACE_SECONDS))
            ends = timestamps.parse(metadata["deletionTimestamp"]) - sooner
            metadata["deletionTimestamp"] = timestamps.format_seconds(ends)
            metadata["deletionGracePeriodSeconds"] = grace
        return
    if grace is None:
        grace = spec.get("terminationGracePeriodSeconds", 0)
    if not spec.get("nodeName") or document.get("status", {}).get("phase") in FINISHED:
        grace = 0
    _begin(metadata, grace)


def _begin(metadata: dict[str, Any], grace_seconds: int) -> None:
    ends = datetime.now(UTC) + timedelta(seconds=min(grace_seconds, MAX_GRACE_SECONDS))
    metadata["deletionTimestamp"] = timestamps.format_seconds(ends)
    metadata["deletionGracePeriodSeconds"] = grace_seconds
    if metadata.get("generation"):
        metadata["generation"] += 1  # whoever acts on the object acts differently from now on
