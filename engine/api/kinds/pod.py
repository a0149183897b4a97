"""Pod."""

from __future__ import annotations

from engine.api.kind import Document, Kind
from engine.api.kinds import pod_defaults, pod_row, pod_validation
from engine.api.resource import PODS
from engine.api.schema import Schema


def kind() -> Kind:
    return Kind(
        resource=PODS,
        singular="pod",
        schema=Schema.of("io.k8s.api.core.v1.Pod"),
        short_names=("po",),
        categories=("all",),
        has_status=True,
        subresources=("binding", "log"),
        graceful=True,
        generation=True,
        default=pod_defaults.default,
        prepare_create=pod_defaults.prepare_create,
        prepare_update=pod_defaults.prepare_update,
        prepare_status_update=prepare_status_update,
        validate=pod_validation.validate,
        validate_update=pod_validation.validate_update,
        validate_status_update=pod_validation.validate_status_update,
        columns=pod_row.COLUMNS,
        row=pod_row.row,
        field_labels={
            "spec.host": "spec.nodeName",
            **{
                path: path
                for path in (
                    "spec.nodeName",
                    "spec.restartPolicy",
                    "spec.schedulerName",
                    "spec.serviceAccountName",
                    "spec.hostNetwork",
                    "status.phase",
                    "status.podIP",
                    "status.nominatedNodeName",
                )
            },
            "status.podIPs": "status.podIP",
        },
        indexes={
            "spec.nodeName": "spec.nodeName",
            "metadata.ownerReferences[0].uid": "metadata.ownerReferences[0].uid",
        },
    )


def prepare_status_update(new: Document, old: Document) -> None:
    """The spec and the owners stay; the class of service was decided at creation."""
    new["spec"] = old["spec"]
    metadata, before = new["metadata"], old["metadata"]
    for member in ("ownerReferences", "deletionTimestamp"):
        if member in before:
            metadata[member] = before[member]
        else:
            metadata.pop(member, None)
    status, was = new.setdefault("status", {}), old.get("status", {})
    if not status.get("qosClass") and "qosClass" in was:
        status["qosClass"] = was["qosClass"]
    if not status.get("observedGeneration") and "observedGeneration" in was:
        status["observedGeneration"] = was["observedGeneration"]
