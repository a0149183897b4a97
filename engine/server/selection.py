"""What a list or a watch asks for, checked: selectors, versions, and their rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine._selectors import FieldSelector, LabelSelector
from engine.api.errors import Cause, StatusError, bad_request
from engine.api.kind import Kind
from engine.server.refusals import invalid_options

NAME_LABELS = {"metadata.name": "metadata.name", "metadata.namespace": "metadata.namespace"}
MATCHES = ("Exact", "NotOlderThan")
TRUE = ("1", "true", "True", "t", "T", "TRUE")


@dataclass(frozen=True, slots=True)
class Selection:
    """The objects that are asked for. `name` is set when the field selector names a single one."""

    namespace: str | None
    labels: LabelSelector | None
    fields: FieldSelector | None
    name: str = ""

    @property
    def everything(self) -> bool:
        """No selector narrows the namespace."""
        return self.labels is None and self.fields is None


@dataclass(frozen=True, slots=True)
class Versioned:
    """From which version on. `asked` says whether the client named one at all ("0" is one)."""

    asked: bool
    version: int
    match: str


def selection(kind: Kind, namespace: str | None, query: Mapping[str, str], only: str = "") -> Selection:
    """Raises StatusError 400 for a selector that cannot be parsed or names an unknown field. `only` narrows it to the
    object of that name."""
    labels_text = query.get("labelSelector", "")
    fields_text = query.get("fieldSelector", "")
    try:
        labels = LabelSelector.parse(labels_text) if labels_text.strip() else None
        fields = FieldSelector.parse(fields_text) if fields_text.strip() else None
    except ValueError as error:
        raise bad_request(str(error)) from None
    if fields is not None:
        fields = _translated(fields, kind)
    if only:
        text = f"metadata.name={only}"
        fields = FieldSelector.parse(f"{text},{fields}" if fields else text)
    name = only
    for path, operator, value in fields.requirements if fields else ():
        if path == "metadata.name" and operator == "=":
            name = value
    return Selection(namespace, labels, fields, name)


def _translated(fields: FieldSelector, kind: Kind) -> FieldSelector:
    """The selector over paths instead of labels. Most labels are their paths, then it is the same."""
    same = True
    for label, _, _ in fields.requirements:
        path = NAME_LABELS.get(label) or kind.field_labels.get(label)
        if path is None:
            raise bad_request(_unknown_field(label, kind))
        same = same and path == label
    if same:
        return fields
    known = {**NAME_LABELS, **kind.field_labels}
    terms = (known[label] + operator + _escaped(value) for label, operator, value in fields.requirements)
    return FieldSelector.parse(",".join(terms))


def _unknown_field(label: str, kind: Kind) -> str:
    if kind.field_labels:
        return f"field label not supported: {label}"
    known = ", ".join(f'"{name}"' for name in NAME_LABELS)
    return f'"{label}" is not a known field selector: only {known}'


def _escaped(value: str) -> str:
    for character in ("\\", ",", "="):
        value = value.replace(character, "\\" + character)
    return value


def list_version(query: Mapping[str, str]) -> Versioned:
    """Raises StatusError 422 for a combination of version, match and continue that contradicts itself, 400 for a
    version that is no number."""
    text = query.get("resourceVersion", "")
    match = query.get("resourceVersionMatch", "")
    if query.get("sendInitialEvents"):
        raise _forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")
    if match:
        if query.get("continue"):
            raise _forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
        if not text:
            why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
            raise _forbidden("resourceVersionMatch", why)
        if match not in MATCHES:
            raise _unsupported_match(match)
        if match == "Exact" and text == "0":
            raise _forbidden(
                "resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            )
    version = _number(text)
    if version is None:
        raise bad_request(f'invalid resource version "{text}": resourceVersion: {_not_a_number(text)}')
    return Versioned(bool(text), version, match)


def watch_version(query: Mapping[str, str]) -> tuple[Versioned, bool | None]:
    """The version, and what `sendInitialEvents` says (None: nothing). Raises StatusError."""
    text = query.get("resourceVersion", "")
    match = query.get("resourceVersionMatch", "")
    sent = query.get("sendInitialEvents")
    initial = None if sent is None or sent == "" else sent in TRUE
    if initial is None and match:
        why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        raise _forbidden("resourceVersionMatch", why)
    if initial is not None and match != "NotOlderThan":
        if not match or match in MATCHES:
            why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            raise _forbidden("resourceVersionMatch", why)
        raise _unsupported_match(match)
    version = _number(text)
    if version is None:
        raise StatusError(500, "", f"resourceVersion: {_not_a_number(text)}")
    return Versioned(bool(text), version, match), initial


def whole_number(text: str) -> int:
    """A parameter of type int64. Raises StatusError 400 for what is none."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits.isascii() or not digits.isdigit():
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if len(digits) > 19 or not -(1 << 63) <= int(text) < 1 << 63:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return int(text)


def _number(text: str) -> int | None:
    if not text:
        return 0
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _not_a_number(text: str) -> str:
    return f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'


def _forbidden(field: str, why: str) -> StatusError:
    return invalid_options("ListOptions", [Cause("FieldValueForbidden", field, f"Forbidden: {why}")])


def _unsupported_match(match: str) -> StatusError:
    why = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan"'
    return invalid_options("ListOptions", [Cause("FieldValueNotSupported", "resourceVersionMatch", why)])
