"""JSON patch, RFC 6902, with Kubernetes' limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from engine.api.body import check_depth
from engine.api.errors import GenericRefusal, StatusError, bad_request

MAX_OPERATIONS = 10_000
MAX_COPIED_BYTES = 3 * 1024 * 1024  # of all "copy" operations of one patch together

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    op: str
    path: str
    source: str  # `from` of move and copy
    value: Any
    has_value: bool


class _Unfit(Exception):
    """The operation does not fit the document."""


def operations(patch: list[Any]) -> list[Operation]:
    """StatusError 400 when the patch is no list of operations, 413 when there are too many."""
    if len(patch) > MAX_OPERATIONS:
        limit = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(patch)}"
        raise StatusError(413, "RequestEntityTooLarge", f"Request entity too large: {limit}")
    found = []
    for item in patch:
        if not isinstance(item, dict):
            raise bad_request("json: cannot unmarshal patch operation into Go value of type jsonpatch.Operation")
        op, path, source = item.get("op"), item.get("path"), item.get("from", "")
        names = [text if isinstance(text, str) else "" for text in (op, path, source)]
        found.append(Operation(names[0], names[1], names[2], item.get("value"), "value" in item))
    return found


def apply(document: Document, patch: list[Operation]) -> Document:
    """The patched copy. StatusError 422 when an operation does not fit or a test fails; nothing is half done."""
    out = orjson.loads(orjson.dumps(document))
    copied = 0
    try:
        for operation in patch:
            if operation.op == "copy":
                copied += len(_encoded(_get(out, _steps(operation.source))))
                if copied > MAX_COPIED_BYTES:
                    raise _Unfit
            out = _apply_one(out, operation)
        if not isinstance(out, dict):
            raise _Unfit
        check_depth(out)
    except (_Unfit, RecursionError, ValueError):  # many shallow operations can build what is too deep
        message = "the server rejected our request due to an error in our request"
        raise GenericRefusal(422, "Invalid", message) from None
    return out


def _apply_one(root: Any, operation: Operation) -> Any:
    op, path = operation.op, _steps(operation.path)
    if op in ("add", "replace", "test") and not operation.has_value:
        raise _Unfit
    if op == "add":
        return _add(root, path, operation.value)
    if op == "remove":
        return _remove(root, path)
    if op == "replace":
        _get(root, path)
        if not path:
            return operation.value
        parent = _get(root, path[:-1])
        parent[path[-1] if isinstance(parent, dict) else _index(path[-1], len(parent))] = operation.value
        return root
    if op == "move":
        source = _steps(operation.source)
        if path[: len(source)] == source and len(path) > len(source):
            raise _Unfit
        value = _get(root, source)
        return _add(_remove(root, source), path, value)
    if op == "copy":
        return _add(root, path, orjson.loads(_encoded(_get(root, _steps(operation.source)))))
    if op == "test":
        if not _same(_find(root, path), operation.value):
            raise _Unfit
        return root
    raise _Unfit


def _encoded(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # nested too deep
        raise _Unfit from None


def _steps(pointer: str) -> list[str]:
    if not pointer:
        return []
    if not pointer.startswith("/"):
        raise _Unfit
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]


def _get(root: Any, path: list[str]) -> Any:
    node = root
    for step in path:
        if isinstance(node, dict) and step in node:
            node = node[step]
        elif isinstance(node, list):
            node = node[_index(step, len(node))]
        else:
            raise _Unfit
    return node


def _find(root: Any, path: list[str]) -> Any:
    """What a test compares: a member that is not there is null."""
    parent = _get(root, path[:-1])
    if path and isinstance(parent, dict):
        return parent.get(path[-1])
    return _get(root, path)


def _index(step: str, size: int) -> int:
    if not step.isascii() or not step.isdigit() or (step[0] == "0" and step != "0"):
        raise _Unfit
    if len(step) > len(str(size)) or int(step) >= size:
        raise _Unfit
    return int(step)


def _add(root: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _get(root, path[:-1])
    if isinstance(parent, dict):
        parent[path[-1]] = value
    elif isinstance(parent, list):
        parent.insert(len(parent) if path[-1] == "-" else _index(path[-1], len(parent) + 1), value)
    else:
        raise _Unfit
    return root


def _remove(root: Any, path: list[str]) -> Any:
    _get(root, path)
    if not path:
        raise _Unfit
    parent = _get(root, path[:-1])
    del parent[path[-1] if isinstance(parent, dict) else _index(path[-1], len(parent))]
    return root


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1, and 1 is 1.0."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
