"""What a write's query parameters and body options say, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from engine.api.body import parse_json, parse_yaml
from engine.api.errors import Cause, bad_request
from engine.api.managedfields import MAX_MANAGER_LENGTH, manager_name
from engine.api.validation import not_supported, required
from engine.server.negotiation import YAML
from engine.server.refusals import invalid_options
from engine.server.selection import TRUE, whole_number

FIELD_VALIDATIONS = ("", "Ignore", "Strict", "Warn")

Policy = Literal["", "Orphan", "Background", "Foreground"]
POLICIES: dict[Any, Policy] = {"Orphan": "Orphan", "Background": "Background", "Foreground": "Foreground"}


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """CreateOptions, UpdateOptions and PatchOptions."""

    manager: str
    dry_run: bool = False
    field_validation: str = "Warn"
    force: bool = False


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """`grace_seconds` is None when nobody said; empty preconditions hold always."""

    grace_seconds: int | None = None
    policy: Policy = ""
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False


def write_options(query: Mapping[str, str], options: str, *, user_agent: str = "", apply: bool = False) -> WriteOptions:
    """`options` is their kind, for messages: CreateOptions, … Raises StatusError 422."""
    if not query and not apply:
        return WriteOptions(manager_name("", user_agent))
    causes = _dry_run_causes(query.get("dryRun"))
    field_validation = query.get("fieldValidation", "")
    if field_validation not in FIELD_VALIDATIONS:
        causes.append(not_supported("fieldValidation", field_validation, FIELD_VALIDATIONS))
    manager = query.get("fieldManager", "")
    if len(manager) > MAX_MANAGER_LENGTH:
        causes.append(
            Cause("FieldValueTooLong", "fieldManager", f"Too long: may not be more than {MAX_MANAGER_LENGTH} bytes")
        )
    elif not manager.isprintable():
        why = f"Invalid value: {orjson.dumps(manager).decode()}: should only contain printable characters"
        causes.append(Cause("FieldValueInvalid", "fieldManager", why))
    force = query.get("force", "")
    if apply and not manager:
        causes.append(required("fieldManager", "is required for apply patch"))
    elif not apply and force:
        causes.append(Cause("FieldValueForbidden", "force", "Forbidden: may not be specified for non-apply patch"))
    if causes:
        raise invalid_options(options, causes)
    return WriteOptions(
        manager_name(manager, user_agent), bool(query.get("dryRun")), field_validation or "Warn", force in TRUE
    )


def delete_options(query: Mapping[str, str], body: bytes | Mapping[str, Any] | None, media: str = "") -> DeleteOptions:
    """A body's options; without one, those of the query. Raises StatusError 400 or 422."""
    told: Mapping[str, Any] = _parsed(body, media) if body else {}
    source = told or query
    causes = _dry_run_causes(told["dryRun"] if told.get("dryRun") else query.get("dryRun"))
    asked = source.get("propagationPolicy") or ""
    policy: Policy = POLICIES.get(asked, "") if isinstance(asked, str) else ""
    orphan = source.get("orphanDependents")
    if asked and not policy:
        causes.append(not_supported("propagationPolicy", asked, (*POLICIES, "nil")))
    if orphan is not None and asked:
        why = "Invalid value: orphanDependents and deletionPropagation cannot be both set"
        causes.append(Cause("FieldValueInvalid", "propagationPolicy", why))
    if causes:
        raise invalid_options("DeleteOptions", causes)
    if orphan is not None:
        policy = "Orphan" if orphan in (True, *TRUE) else "Background"
    preconditions = told.get("preconditions") or {}
    if not isinstance(preconditions, Mapping):
        raise bad_request("the preconditions of the options must be an object")
    grace = source.get("gracePeriodSeconds")
    return DeleteOptions(
        None if grace is None else _integer(grace, "gracePeriodSeconds"),
        policy,
        str(preconditions.get("uid") or ""),
        str(preconditions.get("resourceVersion") or ""),
        bool(told.get("dryRun") or query.get("dryRun")),
    )


def _parsed(body: bytes | Mapping[str, Any], media: str) -> Mapping[str, Any]:
    if not isinstance(body, bytes):
        return body
    try:
        value = (parse_yaml if media == YAML else parse_json)(body).value
    except ValueError as error:
        raise bad_request(str(error)) from None
    if not isinstance(value, dict) or value.get("kind", "DeleteOptions") != "DeleteOptions":
        raise bad_request("the body of a delete must be DeleteOptions")
    return value


def _dry_run_causes(value: Any) -> list[Cause]:
    values = [value] if isinstance(value, str) else value
    if not values or values in ([""], ["All"]):
        return []
    shown = orjson.dumps(values).decode()
    return [Cause("FieldValueNotSupported", "dryRun", f'Unsupported value: {shown}: supported values: "All"')]


def _integer(value: Any, field: str) -> int:
    if isinstance(value, str):
        return whole_number(value)
    if type(value) is not int or not -(1 << 63) <= value < 1 << 63:
        raise bad_request(f"json: cannot unmarshal {orjson.dumps(value).decode()} into field {field} of type int64")
    return value
