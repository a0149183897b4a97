"""Bytes or dicts from a client → a document as Kubernetes' Go types would hold and write it.

Values of a wrong type are refused. Unknown fields are dropped and reported, duplicates are reported. Zero values that
Go leaves out are dropped, and those that it always writes are added, so that a client reads
back what is stored.

The walk is one closure per schema node, made when the node is first met; it knows nothing of paths. Only when something
is wrong is the document walked again, slowly, to say where.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson

from engine.api import body as wire
from engine.api import quantity, timestamps
from engine.api.errors import Cause, StatusError, bad_request, invalid
from engine.api.resource import Resource
from engine.api.schema import Schema, kinds_by_version

Document = dict[str, Any]
Walk = Callable[[Any, list[str]], Any]
Field = tuple[type | None, bool, Walk]

BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


class Decoded(NamedTuple):
    """A document that fits its schema, and what a client is to be warned of."""

    document: Document
    warnings: list[str]


class Mismatch(Exception):
    """A value that its field cannot hold. The text is the reason when it has one of its own."""


def decode(
    data: bytes,
    schema: Schema,
    resource: Resource,
    *,
    content_type: str = "application/json",
    field_validation: str = "Warn",
) -> Decoded:
    """The document in a request's body. StatusError 400 when it cannot be had; `field_validation` is Strict, Warn or
    Ignore. O(len(data))."""
    parse = wire.parse_yaml if content_type.startswith("application/yaml") else wire.parse_json
    try:
        parsed = parse(data)
    except ValueError as error:
        raise _unrecognized(resource, str(error), data) from None
    if not isinstance(parsed.value, dict):
        shape = (
            'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
        )
        reason = f"json: cannot unmarshal {_kind_of_json(parsed.value)} into Go value of type {shape}"
        raise _unrecognized(resource, f"couldn't get version/kind; json parse error: {reason}", data)
    return _decode(parsed, schema, resource, field_validation)


def decode_document(
    document: Document,
    schema: Schema,
    resource: Resource,
    *,
    field_validation: str = "Warn",
) -> Decoded:
    """The same for a dict of a client in this process. It is copied where it is walked; free-form parts are shared."""
    return _decode(wire.Parsed(document), schema, resource, field_validation)


def decode_patched(
    document: Document,
    schema: Schema,
    resource: Resource,
    *,
    field_validation: str = "Warn",
    duplicates: Sequence[str] = (),
) -> Decoded:
    """The same for what a patch has made of an object: what is wrong then is the patch's fault, 422. `duplicates` are
    those of the patch itself, told before the unknown fields."""
    unknown: list[str] = []
    try:
        walked = walk_of(schema)(document, unknown)
    except Mismatch as error:
        raise _bad_patch(document, str(error) or describe_mismatch(document, schema)) from None
    warnings = list(duplicates) if field_validation != "Ignore" else []
    if unknown and field_validation != "Ignore":
        warnings += wire.strict_problems(document, schema)
    if warnings and field_validation == "Strict":
        raise _bad_patch(document, "strict decoding error: " + ", ".join(warnings))
    return Decoded(_in_order(walked, resource), warnings)


def zero(schema: Schema) -> Any:
    """What Go writes for a value that nobody set; for a kind, the object as it is before a client says anything."""
    if schema.shape == "object":
        return walk_of(schema)({}, [])
    return _ZEROS.get(schema.shape)


_ZEROS: dict[str, Any] = {
    "string": "", "integer": 0, "number": 0, "boolean": False, "quantity": "0", "int-or-string": 0,
}  # fmt: skip


def _decode(parsed: wire.Parsed, schema: Schema, resource: Resource, field_validation: str) -> Decoded:
    document = parsed.value
    _check_kind(document, resource)
    unknown: list[str] = []
    try:
        walked = walk_of(schema)(document, unknown)
    except Mismatch as error:
        raise _cannot_handle(document, resource, str(error) or describe_mismatch(document, schema)) from None
    warnings: list[str] = []
    if (unknown or parsed.has_duplicates) and field_validation != "Ignore":
        warnings = wire.strict_problems(document, schema, parsed)
        if warnings and field_validation == "Strict":
            raise _cannot_handle(document, resource, "strict decoding error: " + ", ".join(warnings))
    return Decoded(_in_order(walked, resource), warnings)


def _in_order(walked: Document, resource: Resource) -> Document:
    document = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": walked.pop("metadata", {})}
    document.update((key, value) for key, value in walked.items() if key not in ("kind", "apiVersion"))
    return document


# Kind and version


def _check_kind(document: Document, resource: Resource) -> None:
    kind, api_version = document.get("kind") or resource.kind, document.get("apiVersion") or resource.api_version
    if kind == resource.kind and api_version == resource.api_version:
        return
    if not isinstance(kind, str) or not isinstance(api_version, str):
        name, value = ("Kind", kind) if not isinstance(kind, str) else ("APIVersion", api_version)
        reason = f"json: cannot unmarshal {_kind_of_json(value)} into Go struct field .{name} of type string"
        raise bad_request(
            f"the object provided is unrecognized (must be of type {resource.kind}): "
            f"couldn't get version/kind; json parse error: {reason} ({wire.summary(orjson.dumps(document))})"
        )
    group, _, version = api_version.rpartition("/")
    if (group, version, kind) not in kinds_by_version():
        scheme = 'in scheme "pkg/api/legacyscheme/scheme.go:30"'
        reason = f'no kind "{kind}" is registered for version "{api_version}" {scheme}'
    elif kind == resource.kind and group == resource.group:
        raise bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({resource.api_version})"
        )
    else:
        package = resource.group.partition(".")[0] or "core"
        reason = f"converting ({version}.{kind}) to ({package}.{resource.kind}): unknown conversion"
    raise _cannot_handle(document, resource, reason)


def _cannot_handle(document: Document, resource: Resource, reason: str) -> StatusError:
    kind = document.get("kind") or resource.kind
    version = str(document.get("apiVersion") or resource.api_version).rpartition("/")[2]
    return bad_request(f'{kind} in version "{version}" cannot be handled as a {resource.kind}: {reason}')


def _unrecognized(resource: Resource, reason: str, data: bytes) -> StatusError:
    return bad_request(
        f"the object provided is unrecognized (must be of type {resource.kind}): {reason} ({wire.summary(data)})"
    )


def _bad_patch(document: Document, reason: str) -> StatusError:
    shown = orjson.dumps(orjson.dumps(document).decode()).decode()
    return invalid("", "", "", [Cause("FieldValueInvalid", "patch", f"Invalid value: {shown}: {reason}")])


# The walk


def walk_of(schema: Schema) -> Walk:
    """The closure that takes a value of this schema and returns it as Go would hold it; it adds to its second argument
    a name for every unknown field that it drops, and raises Mismatch."""
    cached: Walk | None = schema.__dict__.get("walk")
    if cached is None:
        cached = schema.__dict__["walk"] = _MAKERS[schema.shape](schema)
    return cached


def _object_walk(schema: Schema) -> Walk:
    table: dict[str, Field] = {}
    always = sorted(schema.always & schema.fields.keys())
    nulls = sorted(schema.null & schema.fields.keys())
    kept = schema.always | schema.null | schema.pointer

    def fill(key: str) -> Field | None:
        """Nodes are compiled when a document first has them: definitions may be recursive, and most are never met."""
        child = schema.fields.get(key)
        if child is None:
            return None
        keep = key in kept or child.shape == "object" or not schema.known
        fast = {"string": str, "boolean": bool}.get(child.shape)
        table[key] = (fast, keep, walk_of(child))
        return table[key]

    def walk(value: Any, unknown: list[str]) -> Any:
        if type(value) is not dict:
            if value is None:
                value = {}
            else:
                raise Mismatch
        out = {}
        for key, item in value.items():
            field = table.get(key) or fill(key)
            if field is None:
                unknown.append(key)
                continue
            fast, keep, convert = field
            if type(item) is not fast:
                if item is None:
                    continue
                item = convert(item, unknown)
            if item or keep:
                out[key] = item
        for key in always:
            if key not in out:
                out[key] = zero(schema.fields[key])
        for key in nulls:
            if key not in out:
                out[key] = None
        return out

    return walk


def _map_walk(schema: Schema) -> Walk:
    convert = walk_of(schema.item)
    fast = str if schema.item.shape == "string" else None

    def walk(value: Any, unknown: list[str]) -> Any:
        if type(value) is not dict:
            if value is None:
                return None
            raise Mismatch
        return {key: item if type(item) is fast else convert(item, unknown) for key, item in value.items()}

    return walk


def _list_walk(schema: Schema) -> Walk:
    convert = walk_of(schema.item)
    fast = str if schema.item.shape == "string" else None

    def walk(value: Any, unknown: list[str]) -> Any:
        if type(value) is not list:
            if value is None:
                return None
            raise Mismatch
        return [item if type(item) is fast else convert(item, unknown) for item in value]

    return walk


def _integer_walk(schema: Schema) -> Walk:
    most = (1 << (schema.bits - 1)) - 1

    def walk(value: Any, unknown: list[str]) -> Any:
        if type(value) is int and -most - 1 <= value <= most:
            return value
        if value is None:
            return 0
        raise Mismatch

    return walk


def _scalar_walk(*types: type) -> Callable[[Schema], Walk]:
    def make(schema: Schema) -> Walk:
        nothing = _ZEROS[schema.shape]

        def walk(value: Any, unknown: list[str]) -> Any:
            if type(value) in types:
                return value
            if value is None:
                return nothing
            raise Mismatch

        return walk

    return make


def _quantity_walk(schema: Schema) -> Walk:
    def walk(value: Any, unknown: list[str]) -> Any:
        if type(value) in (str, int, float):
            try:
                return quantity.canonical(value)
            except ValueError as error:
                raise Mismatch(str(error)) from None
        if value is None:
            return "0"
        raise Mismatch(quantity.BAD_GRAMMAR)

    return walk


def _time_walk(canonical: Callable[[str], str]) -> Callable[[Schema], Walk]:
    def make(schema: Schema) -> Walk:
        def walk(value: Any, unknown: list[str]) -> Any:
            if type(value) is str:
                try:
                    return canonical(value)
                except ValueError as error:
                    raise Mismatch(str(error)) from None
            if value is None:
                return None
            raise Mismatch

        return walk

    return make


def _bytes_walk(schema: Schema) -> Walk:
    def walk(value: Any, unknown: list[str]) -> Any:
        if type(value) is not str:
            if value is None:
                return None
            raise Mismatch
        if BASE64.fullmatch(value):
            return value
        text = value.replace("\n", "").replace("\r", "")
        try:
            return base64.b64encode(base64.b64decode(text, validate=True)).decode()
        except (binascii.Error, ValueError):
            wrong = re.search(r"[^A-Za-z0-9+/]", value)
            raise Mismatch(f"illegal base64 data at input byte {wrong.start() if wrong else len(value)}") from None

    return walk


def _any_walk(schema: Schema) -> Walk:
    return lambda value, unknown: value


_MAKERS: dict[str, Callable[[Schema], Walk]] = {
    "object": _object_walk,
    "map": _map_walk,
    "list": _list_walk,
    "integer": _integer_walk,
    "string": _scalar_walk(str),
    "boolean": _scalar_walk(bool),
    "number": _scalar_walk(int, float),
    "int-or-string": _scalar_walk(int, str),
    "quantity": _quantity_walk,
    "time": _time_walk(timestamps.canonical),
    "micro-time": _time_walk(timestamps.canonical_micro),
    "bytes": _bytes_walk,
    "any": _any_walk,
}


# Where it went wrong


def describe_mismatch(value: Any, schema: Schema, path: str = "", struct: str = "") -> str:
    """What Go says of the first value of a wrong type, with the path of its field; "" when there is none."""
    if value is None:
        return ""
    expects_dict, expects_list = schema.shape in ("object", "map"), schema.shape == "list"
    if expects_dict and isinstance(value, dict):
        for key, item in value.items():
            child = schema.item if schema.shape == "map" else schema.fields.get(key)
            if child is None:
                continue
            inner = path if schema.shape == "map" else f"{path}.{key}"
            name = struct if schema.shape == "map" else schema.definition.rpartition(".")[2]
            if found := describe_mismatch(item, child, inner, name):
                return found
        return ""
    if expects_list and isinstance(value, list):
        return next(filter(None, (describe_mismatch(item, schema.item, path, struct) for item in value)), "")
    if not expects_dict and not expects_list:
        try:
            walk_of(schema)(value, [])
            return ""
        except Mismatch as error:
            if str(error):
                return str(error)
    got = _kind_of_json(value)
    if got == "number" and schema.shape == "integer":
        got = f"number {value}"
    return f"json: cannot unmarshal {got} into Go struct field {struct}{path} of type {_go_type(schema)}"


def _go_type(schema: Schema) -> str:
    if schema.shape == "map":
        return f"map[string]{_go_type(schema.item)}"
    if schema.shape == "list":
        return f"[]{_go_type(schema.item)}"
    if schema.shape == "integer":
        return f"int{schema.bits}"
    if schema.definition:
        return ".".join(schema.definition.rsplit(".", 2)[-2:])
    return {"boolean": "bool", "number": "float64", "bytes": "[]uint8"}.get(schema.shape, schema.shape)


def _kind_of_json(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}
    return names.get(type(value), "null")
