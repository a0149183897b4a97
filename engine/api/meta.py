"""The rules of `metadata`, the same for all kinds, in Kubernetes' wording and order."""

from __future__ import annotations

from typing import Any

from engine.api.errors import Cause
from engine.api.kind import Document, Kind
from engine.api.validation import (
    IS_IMMUTABLE,
    dns1123_label,
    each_invalid,
    forbidden,
    invalid,
    labels,
    printed,
    qualified_name,
    required,
    too_long,
)

MAX_ANNOTATIONS_BYTES = 256 * 1024
STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")

_IMMUTABLE = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_REFERENCE_FIELDS = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")


def validate(document: Document, kind: Kind) -> list[Cause]:
    """What is wrong with the metadata of an object that is created, after its name was generated."""
    metadata = document["metadata"]
    causes: list[Cause] = []
    if generate := metadata.get("generateName"):
        causes += each_invalid("metadata.generateName", generate, kind.name_rule(_as_whole_name(generate)))
    if name := metadata.get("name"):
        causes += each_invalid("metadata.name", name, kind.name_rule(name))
    else:
        causes.append(required("metadata.name", "name or generateName is required"))
    namespace = metadata.get("namespace")
    if not kind.resource.namespaced:
        if namespace:
            causes.append(forbidden("metadata.namespace", "not allowed on this type"))
    elif namespace:
        causes += each_invalid("metadata.namespace", namespace, dns1123_label(namespace))
    else:
        causes.append(required("metadata.namespace"))
    causes += _shared(metadata)
    if finalizers := metadata.get("finalizers"):
        causes += _finalizer_names(finalizers) + _standard_finalizers(finalizers)
    return causes


def validate_update(new: Document, old: Document, kind: Kind) -> list[Cause]:
    """What is wrong with the metadata of an object that is replaced. Each fault is told twice, as in Kubernetes, whose
    generic update and kind's own both check it; the message has it once."""
    metadata, before = new["metadata"], old["metadata"]
    causes: list[Cause] = []
    finalizers = metadata.get("finalizers") or []
    if before.get("deletionTimestamp") and finalizers:
        causes += _new_finalizers(finalizers, before.get("finalizers") or [])
    if metadata.get("generation", 0) < before.get("generation", 0):
        causes.append(invalid("metadata.generation", metadata.get("generation", 0), "must not be decremented"))
    for field in _IMMUTABLE:
        if metadata.get(field) != before.get(field):
            causes.append(invalid(f"metadata.{field}", metadata.get(field), IS_IMMUTABLE))
    causes += _shared(metadata)
    return causes + causes + _standard_finalizers(finalizers)


def _as_whole_name(prefix: str) -> str:
    """A prefix may end in a dash, since something follows it."""
    return prefix[:-2] + "a" if len(prefix) > 1 and prefix.endswith("-") else prefix


def _shared(metadata: dict[str, Any]) -> list[Cause]:
    causes: list[Cause] = []
    if found := metadata.get("labels"):
        causes += labels(found, "metadata.labels")
    if annotations := metadata.get("annotations"):
        for key in annotations:
            causes += each_invalid("metadata.annotations", key, qualified_name(key.lower()))
        if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > MAX_ANNOTATIONS_BYTES:
            causes.append(too_long("metadata.annotations", MAX_ANNOTATIONS_BYTES))
    if references := metadata.get("ownerReferences"):
        causes += _owner_references(references)
    return causes


def _owner_references(references: list[dict[str, Any]]) -> list[Cause]:
    causes: list[Cause] = []
    controller = ""
    for index, reference in enumerate(references):
        path = f"metadata.ownerReferences[{index}]"
        api_version = reference.get("apiVersion", "")
        if not api_version:
            causes.append(required(f"{path}.apiVersion", "must not be empty"))
        elif api_version.count("/") > 1 or api_version.endswith("/"):
            detail = "must be <group>/<version> or <version>"
            causes.append(invalid(f"{path}.apiVersion", api_version, detail))
        missing = [field for field in ("kind", "name", "uid") if not reference.get(field)]
        causes += [required(f"{path}.{field}", "must not be empty") for field in missing]
        if api_version == "v1" and reference.get("kind") == "Event":
            causes.append(invalid(path, _in_order(reference), "/v1, Kind=Event is disallowed from being an owner"))
        if reference.get("controller"):
            name = f"{reference.get('kind', '')}/{reference.get('name', '')}"
            if controller:
                detail = (
                    "Only one reference can have Controller set to true. "
                    f'Found "true" in references for {controller} and {name}'
                )
                shown = [_in_order(each) for each in references]
                causes.append(invalid("metadata.ownerReferences", shown, detail))
            else:
                controller = name
    return causes


def _in_order(reference: dict[str, Any]) -> dict[str, Any]:
    return {field: reference[field] for field in _REFERENCE_FIELDS if field in reference}


def _finalizer_names(finalizers: list[str]) -> list[Cause]:
    causes: list[Cause] = []
    for name in finalizers:
        causes += each_invalid("metadata.finalizers", name, qualified_name(name))
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        detail = "finalizer orphan and foregroundDeletion cannot be both set"
        causes.append(invalid("metadata.finalizers", finalizers, detail))
    return causes


def _standard_finalizers(finalizers: list[str]) -> list[Cause]:
    detail = "name is neither a standard finalizer name nor is it fully qualified"
    return [
        invalid(f"metadata.finalizers[{index}]", name, detail)
        for index, name in enumerate(finalizers)
        if "/" not in name and name not in STANDARD_FINALIZERS
    ]


def _new_finalizers(new: list[str], old: list[str]) -> list[Cause]:
    more = sorted(set(new) - set(old))
    if not more:
        return []
    listed = ", ".join(printed(name) for name in more)
    detail = f"no new finalizers can be added if the object is being deleted, found new finalizers []string{{{listed}}}"
    return [forbidden("metadata.finalizers", detail)]
