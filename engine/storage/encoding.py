"""How a document becomes the bytes that are stored, listed and watched."""

from __future__ import annotations

from typing import Any

import orjson

from engine._object import Object


def encode(document: dict[str, Any], revision: int = 0) -> Object:
    """The stored object, encoded once: apiVersion, kind and metadata first, `resourceVersion` at metadata's head, so
    that a reader of the bytes finds them without parsing the rest. Without `revision` the bytes hold no version.

    Takes `document` over. ValueError when it holds what JSON cannot say.
    """
    metadata: dict[str, Any] = {"resourceVersion": str(revision)} if revision else {}
    metadata.update(document["metadata"])
    if revision:
        metadata["resourceVersion"] = str(revision)
    else:
        metadata.pop("resourceVersion", None)
    ordered: dict[str, Any] = {name: document[name] for name in ("apiVersion", "kind") if name in document}
    ordered["metadata"] = metadata
    for name, value in document.items():
        if name not in ordered:
            ordered[name] = value
    try:
        # A copy, since what orjson returns was cut from a buffer of 4 KB, whose rest is too small for its next one: an
        # object of 0.9 KB that was kept took 4.5 KB of the process.
        return Object.adopt(bytes(memoryview(orjson.dumps(ordered))), ordered)
    except TypeError:
        # An integer beyond 64 bits, or a view of another object: rare, and Object knows how.
        return Object(Object(ordered).raw)
