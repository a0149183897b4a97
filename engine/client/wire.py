"""What goes over the wire, to and from objects: JSON bytes stay bytes, only their frame is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
import orjson

from engine._object import Object
from engine.api.errors import StatusError
from engine.api.resource import Resource
from engine.client.transport import Page, PatchType, WatchEvent

JSON = "application/json"
PATCH_CONTENT_TYPES: Mapping[PatchType, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
TYPED = (b'{"kind":', b'{"apiVersion":')
INITIAL_END = "k8s.io/initial-events-end"
MAX_MESSAGE = 1024  # characters of an answer that is no Status


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")
    remaining_item_count: int | None = None


class _List(msgspec.Struct):
    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


class _Line(msgspec.Struct):
    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
    object: msgspec.Raw


class _TypeMeta(msgspec.Struct, rename="camel"):
    kind: str = ""
    api_version: str = ""


_LIST = msgspec.json.Decoder(_List)
_LINES = msgspec.json.Decoder(_Line)
_TYPE_META = msgspec.json.Decoder(_TypeMeta)


def encode(body: Any) -> bytes:
    """A body as JSON. An object goes as its own bytes, also inside."""
    if isinstance(body, Object):
        return body.raw
    return orjson.dumps(body, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Object):
        return orjson.Fragment(value.raw)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def page_of(data: bytes, resource: Resource) -> Page:
    """A list answer. Servers leave out the items' kind and apiVersion: they are put back, so that an object reads the
    same from a list and from a watch. ValueError when it is no list."""
    answer = _LIST.decode(data)
    head = orjson.dumps({"kind": resource.kind, "apiVersion": resource.api_version})[:-1] + b","
    items = [Object(_typed(bytes(item), head)) for item in answer.items or ()]
    meta = answer.metadata
    return Page(items, int(meta.resource_version or 0), meta.continue_, meta.remaining_item_count)


def _typed(item: bytes, head: bytes) -> bytes:
    if item.startswith(TYPED) or _TYPE_META.decode(item).kind:
        return item
    return head + item[1:]


class WatchLines:
    """Cuts a watch's stream into events: feed it chunks as they come."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[WatchEvent]:
        """The events that are whole now. Raises StatusError for an ERROR event, ValueError for what is none."""
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._rest += chunk
            return []
        whole = bytes(self._rest) + chunk[:end] if self._rest else chunk[:end]
        self._rest = bytearray(chunk[end:])
        return [_event(line.type, bytes(line.object)) for line in _LINES.decode_lines(whole)]

    @property
    def pending(self) -> int:
        """Bytes of an event that is not whole yet."""
        return len(self._rest)


def _event(type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"], raw: bytes) -> WatchEvent:
    if type == "ERROR":
        raise StatusError.from_dict(orjson.loads(raw))
    obj = Object(raw)
    if type == "BOOKMARK":
        return WatchEvent(type, obj, obj.annotations.get(INITIAL_END) == "true")
    return WatchEvent(type, obj)


def refusal(code: int, data: bytes, retry_after: str | None) -> StatusError:
    """The error that an answer outside 2xx stands for, whether its body is a Status or anything else."""
    try:
        status = orjson.loads(data)
    except ValueError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        error = StatusError.from_dict({**status, "code": code})
    else:
        text = " ".join(data[:MAX_MESSAGE].decode("utf-8", "replace").split())
        error = StatusError(code, REASONS.get(code, ""), text or f"the server answered {code}")
    if retry_after and retry_after.isdecimal():
        error.retry_after_seconds = int(retry_after)
    return error
