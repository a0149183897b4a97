"""Job."""

from __future__ import annotations

import time
from typing import Any

from engine.api.kind import Column, Document, Kind, keep_status
from engine.api.kinds import job_validation, label_selector
from engine.api.kinds.age import human, seconds, since
from engine.api.kinds.columns import AGE, CONTAINERS, IMAGES, NAME, SELECTOR, container_cells
from engine.api.kinds.job_validation import CONTROLLER_UID, JOB_NAME, LEGACY_CONTROLLER_UID, LEGACY_JOB_NAME
from engine.api.kinds.podspec_defaults import default_template
from engine.api.resource import JOBS
from engine.api.schema import Schema
from engine.api.validation import INT32_MAX

Values = dict[str, Any]

# What the Status column says, by the first condition of these that is true.
_STATES = (
    ("Complete", "Complete"),
    ("Failed", "Failed"),
    ("", "Terminating"),
    ("Suspended", "Suspended"),
    ("FailureTarget", "FailureTarget"),
    ("SuccessCriteriaMet", "SuccessCriteriaMet"),
)


def kind() -> Kind:
    return Kind(
        resource=JOBS,
        singular="job",
        schema=Schema.of("io.k8s.api.batch.v1.Job"),
        categories=("all",),
        has_status=True,
        generation=True,
        default=default,
        prepare_create=prepare_create,
        prepare_update=keep_status,
        prepare_status_update=prepare_status_update,
        validate=job_validation.validate,
        validate_update=job_validation.validate_update,
        validate_status_update=job_validation.validate_status_update,
        columns=(
            NAME,
            Column("Status", "string", description="What the job is doing, or how it ended."),
            Column("Completions", "string", description="Pods that succeeded, of those wanted."),
            Column("Duration", "string", description="Time from its start to its end, or to now."),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ),
        row=row,
        field_labels={"status.successful": "status.succeeded"},
    )


def default(document: Document) -> None:
    """A job without labels of its own shares its template's, as one dict, so that labels generated later reach both."""
    spec = document.setdefault("spec", {})
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    if spec.get("parallelism") is None:
        spec["parallelism"] = 1
    if spec.get("backoffLimit") is None:
        spec["backoffLimit"] = INT32_MAX if spec.get("backoffLimitPerIndex") is not None else 6
    if spec.get("completionMode") is None:
        spec["completionMode"] = "NonIndexed"
    if spec.get("suspend") is None:
        spec["suspend"] = False
    if spec.get("manualSelector") is None:
        spec["manualSelector"] = False
    policy = spec.get("podFailurePolicy")
    if spec.get("podReplacementPolicy") is None:
        spec["podReplacementPolicy"] = "TerminatingOrFailed" if policy is None else "Failed"
    for rule in (policy or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            pattern["status"] = pattern.get("status") or "True"
    template = spec.setdefault("template", {})
    default_template(template)
    found = template["metadata"].get("labels")
    if found and not document["metadata"].get("labels"):
        document["metadata"]["labels"] = found
    document.setdefault("status", {})


def prepare_create(document: Document) -> None:
    document["status"] = {}
    if not document["spec"]["manualSelector"]:
        _generate_selector(document)


def _generate_selector(document: Document) -> None:
    """Labels that only this job's pods carry, and a selector of them. What the user wrote stays, to be judged later."""
    metadata, spec = document["metadata"], document["spec"]
    labels = spec["template"]["metadata"].setdefault("labels", {})
    for key in (LEGACY_JOB_NAME, JOB_NAME):
        labels.setdefault(key, metadata["name"])
    for key in (LEGACY_CONTROLLER_UID, CONTROLLER_UID):
        labels.setdefault(key, metadata["uid"])
    selector = spec["selector"] = spec.get("selector") or {}
    selector["matchLabels"] = selector.get("matchLabels") or {}
    selector["matchLabels"].setdefault(CONTROLLER_UID, metadata["uid"])
    if not metadata.get("labels") or metadata["labels"] is labels:
        metadata["labels"] = dict(labels)


def prepare_status_update(new: Document, old: Document) -> None:
    new["spec"] = old["spec"]


def row(document: Document) -> list[Any]:
    metadata, spec, status = document["metadata"], document["spec"], document.get("status") or {}
    names, images = container_cells(spec["template"])
    return [
        metadata["name"],
        _state(metadata, status),
        _completions(spec, status),
        _duration(status),
        since(metadata.get("creationTimestamp")),
        names,
        images,
        label_selector.text(spec.get("selector")) or "<none>",
    ]


def _state(metadata: Values, status: Values) -> str:
    held = {each.get("type") for each in status.get("conditions") or () if each.get("status") == "True"}
    for condition, state in _STATES:
        if condition in held or (not condition and metadata.get("deletionTimestamp")):
            return state
    return "Running"


def _completions(spec: Values, status: Values) -> str:
    succeeded, parallelism = status.get("succeeded", 0), spec.get("parallelism") or 0
    if (completions := spec.get("completions")) is not None:
        return f"{succeeded}/{completions}"
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _duration(status: Values) -> str:
    start, end = status.get("startTime"), status.get("completionTime")
    if not start:
        return ""
    return human((seconds(end) if end else time.time()) - seconds(start))
