"""Rules of a Job."""

from __future__ import annotations

from typing import Any

from engine.api.errors import Cause
from engine.api.kind import Document
from engine.api.kinds import label_selector
from engine.api.kinds.job_policies import check_failure_policy, check_success_policy
from engine.api.kinds.podspec_validation import validate_template
from engine.api.kinds.workload_validation import immutable_selector, not_negative
from engine.api.validation import IS_IMMUTABLE, dns1123_label, invalid, not_supported, printed, required, same

Values = dict[str, Any]

CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"
LEGACY_CONTROLLER_UID = "controller-uid"
LEGACY_JOB_NAME = "job-name"

_COUNTS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)
_MODES = ("NonIndexed", "Indexed")
_REPLACEMENTS = ("Failed", "TerminatingOrFailed")
_MOST_INDEXED = 100_000
_MOST_OF_MANY = 10_000  # parallelism and failed indexes when completions exceed _MOST_INDEXED
_FROZEN = ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")
_TERMINAL = ("Failed", "Complete", "FailureTarget")


def validate(document: Document) -> list[Cause]:
    spec = document["spec"]
    causes = _generated_selector_faults(document) + _spec_faults(spec)
    completions = spec.get("completions") or 0
    if spec.get("completionMode") == "Indexed" and completions > 0:
        name = document["metadata"]["name"]
        longest = f"{name}-{completions - 1}"
        if dns1123_label(longest):
            why = f"will not able to create pod with invalid DNS label: {longest}"
            causes.append(invalid("metadata.name", name, why))
    return causes


def _generated_selector_faults(document: Document) -> list[Cause]:
    """What the server generated is still there, unless the user selects by hand."""
    metadata, spec = document["metadata"], document["spec"]
    selector = spec.get("selector")
    if spec.get("manualSelector") or selector is None:
        return []
    causes: list[Cause] = []
    uid, name = metadata.get("uid", ""), metadata["name"]
    if not uid:
        causes.append(required("metadata.uid"))
    found = (spec["template"].get("metadata") or {}).get("labels") or {}
    expected = {LEGACY_CONTROLLER_UID: uid, LEGACY_JOB_NAME: name, CONTROLLER_UID: uid, JOB_NAME: name}
    for key, value in expected.items():
        field = f"spec.template.metadata.labels[{key}]"
        if key not in found:
            causes.append(required(field, f"must be '{value}'"))
        elif found[key] != value:
            causes.append(invalid(field, dict(sorted(found.items())), f"must be '{value}'"))
    judged = not label_selector.faults(selector, "spec.selector")
    if judged and not label_selector.matches(selector, expected):
        causes.append(invalid("spec.selector", label_selector.ordered(selector), "`selector` not auto-generated"))
    return causes


def _spec_faults(spec: Values) -> list[Cause]:
    template = spec.get("template") or {}
    causes = not_negative(spec, "spec", _COUNTS) + _completion_mode_faults(spec)
    if spec.get("podFailurePolicy") is not None:
        check_failure_policy(spec, causes)
    if (policy := spec.get("successPolicy")) is not None:
        if spec.get("completionMode") != "Indexed":
            causes.append(invalid("spec.successPolicy", policy, "requires indexed completion mode"))
        else:
            check_success_policy(spec, causes)
    causes += _replacement_faults(spec)
    causes += validate_template(template, "spec.template")
    causes += _restart_faults(spec, (template.get("spec") or {}).get("restartPolicy"))
    return causes + _selector_faults(spec.get("selector"), (template.get("metadata") or {}).get("labels") or {})


def _selector_faults(selector: Values | None, found: dict[str, str]) -> list[Cause]:
    if selector is None:
        causes = [required("spec.selector")]
    elif causes := label_selector.faults(selector, "spec.selector"):
        return causes
    if not label_selector.matches(selector, found):
        why = "`selector` does not match template `labels`"
        causes.append(invalid("spec.template.metadata.labels", dict(sorted(found.items())) or None, why))
    return causes


def _completion_mode_faults(spec: Values) -> list[Cause]:
    causes: list[Cause] = []
    mode = spec.get("completionMode")
    per_index, most_failed = spec.get("backoffLimitPerIndex"), spec.get("maxFailedIndexes")
    if most_failed is not None and per_index is None:
        causes.append(required("spec.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    if mode not in _MODES:
        causes.append(not_supported("spec.completionMode", mode, _MODES))
    if mode == "Indexed":
        causes += _indexed_faults(spec, per_index, most_failed)
    if mode == "NonIndexed":
        for member, value in (("backoffLimitPerIndex", per_index), ("maxFailedIndexes", most_failed)):
            if value is not None:
                causes.append(invalid(f"spec.{member}", value, "requires indexed completion mode"))
    return causes


def _indexed_faults(spec: Values, per_index: int | None, most_failed: int | None) -> list[Cause]:
    causes: list[Cause] = []
    completions, parallelism = spec.get("completions"), spec.get("parallelism") or 0
    if completions is None:
        causes.append(required("spec.completions", "when completion mode is Indexed"))
    if parallelism > _MOST_INDEXED:
        why = f"must be less than or equal to {_MOST_INDEXED} when completion mode is Indexed"
        causes.append(invalid("spec.parallelism", parallelism, why))
    if most_failed is not None and completions is not None and most_failed > completions:
        causes.append(invalid("spec.maxFailedIndexes", most_failed, "must be less than or equal to completions"))
    if most_failed is not None and most_failed > _MOST_INDEXED:
        causes.append(invalid("spec.maxFailedIndexes", most_failed, f"must be less than or equal to {_MOST_INDEXED}"))
    if completions is not None and completions > _MOST_INDEXED and per_index is not None:
        above = f"when completions are above {_MOST_INDEXED} and used with backoff limit per index"
        if most_failed is None:
            why = f"must be specified when completions is above {_MOST_INDEXED}"
            causes.append(required("spec.maxFailedIndexes", why))
        for member, value in (("parallelism", parallelism), ("maxFailedIndexes", most_failed or 0)):
            if value > _MOST_OF_MANY:
                why = f"must be less than or equal to {_MOST_OF_MANY} {above}"
                causes.append(invalid(f"spec.{member}", value, why))
    return causes


def _replacement_faults(spec: Values) -> list[Cause]:
    policy = spec.get("podReplacementPolicy")
    known = _REPLACEMENTS if spec.get("podFailurePolicy") is None else _REPLACEMENTS[:1]
    return [] if policy in known else [not_supported("spec.podReplacementPolicy", policy, known)]


def _restart_faults(spec: Values, policy: str | None) -> list[Cause]:
    field = "spec.template.spec.restartPolicy"
    if policy in (None, "", "Always"):
        return [required(field, f"valid values: {printed('OnFailure')}, {printed('Never')}")]
    if policy not in ("OnFailure", "Never"):
        return [not_supported(field, policy, ("OnFailure", "Never"))]
    if spec.get("podFailurePolicy") is not None and policy != "Never":
        return [invalid(field, policy, 'only "Never" is supported when podFailurePolicy is specified')]
    return []


def validate_update(new: Document, old: Document) -> list[Cause]:
    spec, before = new["spec"], old["spec"]
    causes = validate(new)
    completions, was = spec.get("completions"), before.get("completions")
    if completions != was:
        if spec.get("completionMode") != "Indexed":
            causes.append(invalid("spec.completions", completions, IS_IMMUTABLE))
        elif completions is not None and completions != spec.get("parallelism"):
            why = "can only be modified in tandem with spec.parallelism"
            causes.append(invalid("spec.completions", completions, why))
    causes += immutable_selector(new, old)
    template, template_before = spec.get("template") or {}, before.get("template") or {}
    if not same(template, _mutable_template(template, template_before, old)):
        causes.append(invalid("spec.template", template, IS_IMMUTABLE))
    for member in _FROZEN:
        if not same(spec.get(member), before.get(member)):
            causes.append(invalid(f"spec.{member}", spec.get(member), IS_IMMUTABLE))
    return causes


def _mutable_template(template: Values, before: Values, old: Document) -> Values:
    """The template as it was, but for what may change: while a job is suspended and runs no pod, where its pods may run
    and what its containers ask for.
    """
    status = old.get("status") or {}
    if not old["spec"].get("suspend") or status.get("active") or not _is_true(status, "Suspended"):
        return before
    metadata, spec = dict(before.get("metadata") or {}), dict(before.get("spec") or {})
    new_metadata, new_spec = template.get("metadata") or {}, template.get("spec") or {}
    for member in ("labels", "annotations"):
        metadata[member] = new_metadata.get(member)
    for member in ("nodeSelector", "tolerations", "schedulingGates"):
        spec[member] = new_spec.get(member)
    node_affinity = (new_spec.get("affinity") or {}).get("nodeAffinity")
    spec["affinity"] = {**(spec.get("affinity") or {}), "nodeAffinity": node_affinity}
    for member in ("containers", "initContainers"):
        pairs = zip(spec.get(member) or (), new_spec.get(member) or (), strict=False)
        if len(spec.get(member) or ()) == len(new_spec.get(member) or ()):
            spec[member] = [{**was, "resources": now.get("resources")} for was, now in pairs]
    return {**before, "metadata": metadata, "spec": spec}


def _is_true(status: Values, condition: str) -> bool:
    return any(
        each.get("type") == condition and each.get("status") == "True" for each in status.get("conditions") or ()
    )


def validate_status_update(new: Document, old: Document) -> list[Cause]:
    """Counters do not go back, and what ended stays ended, with the times that belong to it."""
    status, was = new.get("status") or {}, old.get("status") or {}
    causes = not_negative(status, "status", ("active", "succeeded", "failed", "ready", "terminating"))
    causes += _completion_faults(status, was)
    for condition in _TERMINAL:
        if _is_true(was, condition) and not _is_true(status, condition):
            why = f"cannot disable the terminal {condition}=True condition"
            causes.append(Cause("FieldValueInvalid", "status.conditions", f"Invalid value: {why}"))
    if (status.get("failed") or 0) < (was.get("failed") or 0):
        causes.append(invalid("status.failed", status.get("failed") or 0, "cannot decrease the failed counter"))
    spec = new["spec"]
    scaled = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
    if not scaled and (status.get("succeeded") or 0) < (was.get("succeeded") or 0):
        causes.append(
            invalid("status.succeeded", status.get("succeeded") or 0, "cannot decrease the succeeded counter")
        )
    completed, completed_before = status.get("completionTime"), was.get("completionTime")
    if completed and completed_before and completed != completed_before:
        causes.append(invalid("status.completionTime", completed, IS_IMMUTABLE))
    return causes


def _completion_faults(status: Values, was: Values) -> list[Cause]:
    causes: list[Cause] = []
    complete, failed = _is_true(status, "Complete"), _is_true(status, "Failed")
    changed = complete != _is_true(was, "Complete") or status.get("completionTime") != was.get("completionTime")
    if complete and failed:
        why = "cannot set Complete=True and Failed=true conditions"
        causes.append(Cause("FieldValueInvalid", "status.conditions", f"Invalid value: {why}"))
    if changed and status.get("completionTime") and not complete:
        why = "cannot set completionTime when there is no Complete=True condition"
        causes.append(invalid("status.completionTime", status["completionTime"], why))
    if changed and complete and not status.get("completionTime"):
        causes.append(required("status.completionTime", "completionTime is required for Complete jobs"))
    finished = complete or failed
    if finished != (_is_true(was, "Complete") or _is_true(was, "Failed")) and finished:
        if status.get("active"):
            causes.append(invalid("status.active", status["active"], "active>0 is invalid for finished job"))
        if not status.get("startTime"):
            causes.append(required("status.startTime", "startTime is required for finished job"))
    return causes
