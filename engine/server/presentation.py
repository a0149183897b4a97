"""Objects, pages and events in the form that was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
import yaml

from engine._object import Object
from engine.api.kind import Kind
from engine.api.table import Include, partial_metadata, partial_metadata_list, table
from engine.server.lists import Page
from engine.server.negotiation import JSON, Representation
from engine.server.watch import WatchEvent

CHUNK_BYTES = 256 * 1024
# What `includeObject` says that a Table's rows carry.
INCLUDE: Mapping[str, Include] = {"": "Metadata", "Metadata": "Metadata", "Object": "Object", "None": "None"}


def one_object(found: Object, kind: Kind, form: Representation, query: Mapping[str, str]) -> bytes:
    """One object. The stored bytes themselves when it is asked for as it is."""
    if form.shape == "PartialObjectMetadata":
        return _written(partial_metadata(found.peek(), form.meta_version), form)
    if form.shape == "Table":
        return _written(_table(kind, [found], {"resourceVersion": str(found.resource_version)}, form, query), form)
    return found.raw if form.media == JSON else _yaml(found.peek())


def page(told: Page, kind: Kind, form: Representation, query: Mapping[str, str]) -> bytes:
    """A list. Its items are the stored bytes without their kind and version, which the list says once."""
    metadata: dict[str, Any] = {"resourceVersion": str(told.resource_version)}
    if told.continue_token:
        metadata["continue"] = told.continue_token
    if told.remaining is not None:
        metadata["remainingItemCount"] = told.remaining
    if form.shape == "Table":
        return _written(_table(kind, told.items, metadata, form, query), form)
    if form.shape == "PartialObjectMetadataList":
        documents = [found.peek() for found in told.items]
        return _written(partial_metadata_list(documents, metadata, form.meta_version), form)
    resource = kind.resource
    if form.media != JSON:
        whole = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": metadata}
        return _yaml({**whole, "items": [_without_kind(found) for found in told.items]})
    head = b'{"kind":"%sList","apiVersion":"%s","metadata":%s,"items":[' % (
        resource.kind.encode(),
        resource.api_version.encode(),
        orjson.dumps(metadata),
    )
    return _joined(kind, told.items, head, b"]}")


class EventWriter:
    """Writes a watch's events; a Table names its columns in the first one only."""

    def __init__(self, kind: Kind, form: Representation, query: Mapping[str, str]) -> None:
        self._kind = kind
        self._form = form
        self._query = query
        self._first = True

    def chunks(self, events: Iterable[WatchEvent]) -> Iterator[bytes]:
        """The events, joined to chunks of about CHUNK_BYTES, each made when the one before is sent: a reader that does
        not read costs one chunk. In plain JSON they are the bytes that all watchers share."""
        lines: list[bytes] = []
        size = 0
        for event in events:
            line = self._line(event) if self._form.shape else event.encoded
            lines.append(line)
            size += len(line)
            if size >= CHUNK_BYTES:
                yield b"".join(lines)
                lines, size = [], 0
        if lines:
            yield b"".join(lines)

    def _line(self, event: WatchEvent) -> bytes:
        found = event.object
        if self._form.shape == "PartialObjectMetadata":
            told = partial_metadata(found.peek(), self._form.meta_version)
        else:
            metadata = {"resourceVersion": str(found.resource_version)}
            rows = [] if event.type == "BOOKMARK" else [found]
            told = _table(self._kind, rows, metadata, self._form, self._query, with_columns=self._first)
            self._first = False
        return b'{"type":"%s","object":%s}\n' % (event.type.encode(), orjson.dumps(told))


def _joined(kind: Kind, items: Sequence[Object], before: bytes, after: bytes) -> bytes:
    """The items without their kind and version between `before` and `after`: every byte is copied once."""
    if not items:
        return before + after
    head = b'{"apiVersion":"%s","kind":"%s",' % (kind.resource.api_version.encode(), kind.resource.kind.encode())
    cut = len(head)
    parts: list[bytes | memoryview] = [
        memoryview(found.raw)[cut:] if found.raw.startswith(head) else orjson.dumps(_without_kind(found))[1:]
        for found in items
    ]
    parts[0] = b"%s{%s" % (before, parts[0])
    parts[-1] = bytes(parts[-1]) + after
    return b",{".join(parts)


def _without_kind(found: Object) -> dict[str, Any]:
    return {name: value for name, value in found.peek().items() if name not in ("kind", "apiVersion")}


def _table(
    kind: Kind,
    items: Sequence[Object],
    metadata: dict[str, Any],
    form: Representation,
    query: Mapping[str, str],
    *,
    with_columns: bool = True,
) -> dict[str, Any]:
    include = INCLUDE[query.get("includeObject", "")]
    documents = [found.peek() for found in items]
    return table(kind, documents, metadata, include=include, api_version=form.meta_version, with_columns=with_columns)


def _written(document: dict[str, Any], form: Representation) -> bytes:
    return orjson.dumps(document) if form.media == JSON else _yaml(document)


def _yaml(document: dict[str, Any]) -> bytes:
    text: str = yaml.dump(
        document, Dumper=yaml.CSafeDumper, default_flow_style=False, allow_unicode=True, width=1 << 20
    )
    return text.encode()
