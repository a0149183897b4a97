"""What namespaces allow."""

from __future__ import annotations

from engine.api.errors import Cause, StatusError, not_found
from engine.api.kind import Kind
from engine.api.resource import NAMESPACES
from engine.server.refusals import forbidden
from engine.storage.store import Store

INITIAL = ("default", "kube-node-lease", "kube-public", "kube-system")  # made at start
UNDELETABLE = ("default", "kube-public", "kube-system")


def check_creation(store: Store, kind: Kind, namespace: str, name: str) -> None:
    """Raises StatusError 404 when there is no such namespace, 403 while it terminates."""
    found = store.newest(NAMESPACES, namespace)
    if found is None:
        raise not_found("", "namespaces", namespace)
    if found.deletion_timestamp is None:
        return
    cause = Cause("NamespaceTerminating", "metadata.namespace", f"namespace {namespace} is being terminated")
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    raise forbidden(kind.resource, name, why, [cause])


def check_deletion(kind: Kind, name: str) -> None:
    """Raises StatusError 403 for a namespace that Kubernetes itself needs."""
    if kind.resource == NAMESPACES and name in UNDELETABLE:
        raise forbidden(kind.resource, name, "this namespace may not be deleted")


def mismatch() -> StatusError:
    """The body names another namespace than the URL."""
    why = "the namespace of the provided object does not match the namespace sent on the request"
    return StatusError(400, "BadRequest", why)
