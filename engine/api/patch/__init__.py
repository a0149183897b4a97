"""Patches: JSON merge patch, JSON patch and strategic merge patch. None of them changes the document that it gets."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from engine.api.body import parse_json, strict_problems
from engine.api.errors import GenericRefusal, bad_request
from engine.api.patch.json import apply as apply_json
from engine.api.patch.json import operations
from engine.api.patch.merge import merge
from engine.api.patch.strategic import apply as apply_strategic
from engine.api.schema import ANY, Schema

Document = dict[str, Any]

JSON = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


class Patched(NamedTuple):
    """What a patch made of a document. `duplicates` are the keys that stood twice in the patch, as strict readers word
    them; parts of `document` may be shared with the original."""

    document: Document
    duplicates: list[str]


def patched(document: Document, data: bytes, content_type: str, schema: Schema) -> Patched:
    """Applies the patch in a request's body (not server-side apply, see `engine.api.apply`).

    StatusError 400 for a patch that is none, 413 for too many operations, 415 for an unknown type, 422 for one that
    does not fit the document. What the result must look like is `engine.api.decode.decode_patched`'s business.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in (JSON, MERGE, STRATEGIC):
        raise GenericRefusal(415, "UnsupportedMediaType", "415: Unsupported Media Type")
    try:
        parsed = parse_json(data)
    except ValueError as error:
        fault = str(error).rpartition("json parse error: ")[2]
        raise bad_request(fault if media_type == STRATEGIC else f"error decoding patch: {fault}") from None
    value: Any = parsed.value
    fits = isinstance(value, list) if media_type == JSON else isinstance(value, dict)
    if not fits:
        target = "[]interface {}" if media_type == JSON else "map[string]interface {}"
        got = {"[": "array", "{": "object", '"': "string", "t": "bool", "f": "bool", "n": "null"}
        kind = got.get(orjson.dumps(value)[:1].decode(), "number")
        raise bad_request(f"error decoding patch: json: cannot unmarshal {kind} into Go value of type {target}")
    duplicates = strict_problems(value, ANY, parsed) if parsed.has_duplicates else []
    if media_type == JSON:
        return Patched(apply_json(document, operations(value)), duplicates)
    if media_type == MERGE:
        return Patched(merge(document, value), duplicates)
    return Patched(apply_strategic(document, value, schema), duplicates)
