"""Event, of the core group."""

from __future__ import annotations

from typing import Any

from engine.api.errors import Cause
from engine.api.kind import Column, Document, Kind
from engine.api.kinds.age import UNKNOWN, since
from engine.api.resource import EVENTS
from engine.api.schema import Schema
from engine.api.validation import each_invalid, invalid, qualified_name, required

_LONGEST = (("reportingInstance", 128), ("action", 128), ("reason", 128))
_LONGEST_MESSAGE = 1024


def kind() -> Kind:
    return Kind(
        resource=EVENTS,
        singular="event",
        schema=Schema.of("io.k8s.api.core.v1.Event"),
        short_names=("ev",),
        validate=validate,
        validate_update=validate_update,
        columns=(
            Column("Last Seen", "string", description="Time since it was last seen."),
            Column("Type", "string", description="Normal or Warning."),
            Column("Reason", "string", description="Why, in one word."),
            Column("Object", "string", description="What it is about."),
            Column("Subobject", "string", priority=1, description="The part of the object it is about."),
            Column("Source", "string", priority=1, description="Who reports it."),
            Column("Message", "string", description="What happened."),
            Column("First Seen", "string", priority=1, description="Time since it was first seen."),
            Column("Count", "string", priority=1, description="How often it was seen."),
            Column("Name", "string", priority=1, format="name", description="Name of the event."),
        ),
        row=row,
        field_labels={
            **{
                f"involvedObject.{member}": f"involvedObject.{member}"
                for member in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
            },
            "reason": "reason",
            "reportingComponent": "reportingComponent",
            "source": "source.component",
            "type": "type",
        },
        indexes={"involvedObject.uid": "involvedObject.uid"},
    )


def validate(document: Document) -> list[Cause]:
    namespace = document["metadata"].get("namespace", "")
    about = document.get("involvedObject", {}).get("namespace", "")
    if document.get("eventTime"):
        causes = _recorded_causes(document)
        astray = not about and namespace not in ("default", "kube-system")
    else:
        causes = []
        astray = about != namespace if about else namespace not in ("", "default")
    if astray:
        causes.insert(0, invalid("involvedObject.namespace", about, "does not match event.namespace"))
    return causes


def _recorded_causes(document: Document) -> list[Cause]:
    """What an event with an `eventTime`, that is of the newer recorders, must have."""
    causes: list[Cause] = []
    reporter = document.get("reportingComponent", "")
    if not reporter:
        causes.append(required("reportingComponent"))
    causes += each_invalid("reportingComponent", reporter, qualified_name(reporter))
    for member, longest in _LONGEST:
        value = document.get(member) or ""
        if not value:
            causes.append(required(member))
        if len(value) > longest:
            causes.append(invalid(member, "", f"can have at most {longest} characters"))
    if len(document.get("message") or "") > _LONGEST_MESSAGE:
        causes.append(invalid("message", "", f"can have at most {_LONGEST_MESSAGE} characters"))
    return causes


def validate_update(new: Document, old: Document) -> list[Cause]:
    return validate(new)


def row(document: Document) -> list[Any]:
    about = document.get("involvedObject", {})
    target = about.get("kind", "").lower()
    if name := about.get("name"):
        target = f"{target}/{name}"
    first = since(document.get("firstTimestamp") or document.get("eventTime"))
    last = since(document.get("lastTimestamp"))
    if last == UNKNOWN:
        last = first
    count = document.get("count") or 1
    if series := document.get("series"):
        last, count = since(series.get("lastObservedTime")), series.get("count", 0)
    return [
        last,
        document.get("type", ""),
        document.get("reason", ""),
        target,
        about.get("fieldPath", ""),
        _source(document),
        (document.get("message") or "").strip(),
        first,
        count,
        document["metadata"]["name"],
    ]


def _source(document: Document) -> str:
    source = document.get("source", {})
    component = source.get("component") or document.get("reportingComponent", "")
    instance = source.get("host") or document.get("reportingInstance", "")
    return f"{component}, {instance}" if instance else component
