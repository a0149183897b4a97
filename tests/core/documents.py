"""JSON documents for the core's tests: pods that are nearly alike, every way to make them differ, every way to write
them, and what a strict parser makes of the bytes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple

OWNERS = 4
MAX_DEPTH = 1024


class Number(str):
    """A number as it is to be written."""


# What stands where something else stood: near the borders of what a typed slot can hold, and far off.
TEXTS = [
    "", " ", "0", "00", "-0", "1.0", "12", "012", "99999999999999999999", "18446744073709551616", "true", "null",
    "2026-02-31T25:61:61Z", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678901Z", "2026-01-02t03:04:05z",
    "10.0.0.1", "010.0.0.1", "256.1.1.1", "10.0.0.0.1", "10.0.0", "fe80::1", "1.2.3.4:80", "0x1f", "deadbeef",
    "DEADBEEF",
    "0123456789abcdef" * 4, "0123456789ABCDEF" * 4, "0123456789abcdef" * 3 + "0123456789abcdeg",
    "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "3F2504E0-4F89-41D3-9A0C-0305E82C3301", "3f2504e04f8941d39a0c0305e82c3301",
    "x" * 255, "y" * 300, "z" * 5000, "é", "日本語", "😀", "\x7f", "\u2028", '"', "\\", "\n\t\r\b\f", "\x00", "\x1f",
    "a/b",
    'quote " in', "back\\slash", "tail\\", "𝄞" * 40, "web-0", "web-5d4f8-abcde", "100m", "1Gi", '{"a":1}', "[1,2]",
]  # fmt: skip
NUMBERS = [
    "0", "-0", "-0.0", "0.0", "1", "1.0", "1.00", "10", "1e1", "1E1", "1e+1", "1E-1", "0.1", "-1", "127", "128", "255",
    "256", "65535", "65536", "4294967295", "4294967296", "9007199254740993", "9223372036854775807",
    "-9223372036854775808", "9223372036854775808", "18446744073709551615", "18446744073709551616", "1" + "0" * 60,
    "-" + "9" * 45, "1e308", "-1.7976931348623157e308", "5e-324", "1e-400", "0.1000000000000000055511151231257827",
    "3.141592653589793", "123456789012345678901234567890.5",
]  # fmt: skip
VALUES: list[Any] = [
    *TEXTS, *map(Number, NUMBERS), True, False, None, {}, [], [[]], [{}], {"": ""}, {"a": {"b": {}}},
    [1, "1", 1.5, None],
    {"name": "web-0", "namespace": "shop"}, [{"name": "x"}, {"name": "y"}], ["a"] * 20, {f"k{i}": i for i in range(40)},
]  # fmt: skip
LABEL_VALUES = ["", "x", "y", "z", "1", "2", "10", "-3", "007", "v1.2", "9223372036854775807", "99999999999999999999"]
STYLES = ["compact", "spaced", "indented", "shuffled", "respelled"]


class Change(NamedTuple):
    """One difference: `kind` names how, `place` where, `value` what comes there. Any numbers will do."""

    kind: str
    place: int
    value: int


class Spec(NamedTuple):
    """All that tells a document."""

    owner: int = 0
    number: int = 0
    namespace: str = "shop"
    node: str | None = "n1"
    labels: tuple[tuple[str, str], ...] = ()
    phase: str = "Running"
    changes: tuple[Change, ...] = ()
    style: str = "compact"
    seed: int = 0


def pod(spec: Spec, version: int) -> dict[str, Any]:
    """A pod whose owner's other pods differ from it as replicas do: in names, ids, addresses and times."""
    random = Random(f"{spec.owner} {spec.number}")
    owner = f"web{spec.owner}-5d4f8c"
    name = f"{owner}-{spec.number:05d}"
    created = f"2026-01-{1 + spec.number % 28:02d}T0{spec.number % 10}:00:{version % 60:02d}Z"
    address = f"10.{spec.owner}.{spec.number % 256}.{random.randrange(256)}"
    metadata: dict[str, Any] = {
        "name": name,
        "generateName": f"{owner}-",
        "namespace": spec.namespace,
        "uid": f"{random.getrandbits(32):08x}-4f89-41d3-9a0c-{random.getrandbits(48):012x}",
        "resourceVersion": str(version),
        "creationTimestamp": created,
        "labels": {"app": f"web{spec.owner}", "pod-template-hash": "5d4f8c", **dict(spec.labels)},
        "annotations": {"kubernetes.io/config.seen": created},
        "ownerReferences": [{"kind": "ReplicaSet", "name": owner, "uid": f"rs-{spec.owner}", "controller": True}],
        "managedFields": [
            {"manager": "controllers", "operation": "Update", "time": created, "fieldsV1": {"f:spec": {"f:a": {}}}},
            {"manager": "kubelet", "operation": "Update", "time": created, "fieldsV1": {"f:status": {".": {}}}},
        ],
    }
    if not spec.namespace:
        del metadata["namespace"]
    container = {
        "name": "web",
        "image": f"registry/web:{spec.owner}",
        "env": [{"name": "REPLICA", "value": str(spec.number)}],
        "resources": {"requests": {"cpu": f"{100 + spec.owner}m", "memory": "64Mi"}},
    }
    status = {
        "phase": spec.phase,
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": created}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "containerStatuses": [
            {"containerID": f"containerd://{random.getrandbits(256):064x}", "restartCount": version % 7, "ready": True}
        ],
    }
    body = {"containers": [container], "nodeName": spec.node, "priority": spec.number % 3, "enableServiceLinks": True}
    if spec.node is None:
        del body["nodeName"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": body, "status": status}


# --- Differences ------------------------------------------------------------------------------------------------------

# What a test's model rests on stays as it is.
KEPT = {
    ("metadata",), ("metadata", "name"), ("metadata", "namespace"), ("metadata", "resourceVersion"),
    ("metadata", "labels"),
}  # fmt: skip


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[Any, str | int, tuple[str | int, ...]]]:
    """Every (container, step, path) in it but those that are kept."""
    for step, member in list(value.items() if isinstance(value, dict) else enumerate(value)):
        here = (*path, step)
        if here not in KEPT and here[:2] != ("metadata", "labels"):
            yield value, step, here
        if isinstance(member, dict | list) and here[:2] != ("metadata", "labels"):
            yield from places(member, here)


def _replace(container: Any, step: Any, value: Any) -> None:
    container[step] = value


def _remove(container: Any, step: Any, value: Any) -> None:
    del container[step]


def _add(container: Any, step: Any, value: Any) -> None:
    if isinstance(container, list):
        container.insert(step, value)
    else:
        container[str(value)[:40] + "+"] = value


def _repeat(container: Any, step: Any, value: Any) -> None:
    if isinstance(container, list):
        container += [container[step]] * (1 + len(str(value)) % 5)
    else:
        container[f"{step}2"] = container[step]


def _move_last(container: Any, step: Any, value: Any) -> None:
    if isinstance(container, dict):
        container[step] = container.pop(step)
    else:
        container.append(container.pop(step))


CHANGES: dict[str, Callable[[Any, Any, Any], None]] = {
    "replace": _replace,
    "remove": _remove,
    "add": _add,
    "repeat": _repeat,
    "move last": _move_last,
}


def changed(document: dict[str, Any], changes: tuple[Change, ...]) -> dict[str, Any]:
    """In place."""
    for change in changes:
        found = list(places(document))
        container, step, _ = found[change.place % len(found)]
        CHANGES[change.kind](container, step, deepcopy(VALUES[change.value % len(VALUES)]))
    if changes and changes[0].place % 11 == 0:
        document["metadata"] = document.pop("metadata")  # comes last
    return document


# --- Writing ----------------------------------------------------------------------------------------------------------

SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}
BY_PATH = {"metadata", "name", "namespace", "resourceVersion"}  # found by their bytes when a version is stamped


def respelled(text: str, random: Random) -> str:
    """As a JSON string with needless escapes. Digits stay: a version whose digits are escaped is none."""
    out = []
    for character in text:
        if character in SHORT or ord(character) < 32 or (random.random() < 0.05 and not character.isdecimal()):
            units = character.encode("utf-16-be")
            forms = "".join(f"\\u{units[i]:02x}{units[i + 1]:02X}" for i in range(0, len(units), 2))
            out.append(SHORT.get(character, forms) if random.random() < 0.5 else forms)
        else:
            out.append("\\/" if character == "/" and random.random() < 0.5 else character)
    return '"' + "".join(out) + '"'


def written(value: Any, style: str = "compact", random: Random | None = None) -> str:
    """JSON text."""
    random = random or Random(0)
    space = {"compact": "", "shuffled": "", "spaced": " ", "indented": "\n  "}.get(style)

    def gap() -> str:
        return random.choice(["", "", " ", "\t", "\r\n", "  "]) if space is None else space

    def text(value: str) -> str:
        return respelled(value, random) if style == "respelled" else json.dumps(value, ensure_ascii=style == "spaced")

    def write(value: Any) -> str:
        if isinstance(value, Number):
            return str(value)
        if isinstance(value, str):
            return text(value)
        if isinstance(value, dict):
            members = list(value.items())
            if style == "shuffled":
                random.shuffle(members)
            pairs = [
                f"{gap()}{text(name) if name not in BY_PATH else json.dumps(name)}{gap()}:{gap()}{write(member)}"
                for name, member in members
            ]
            return "{" + f"{gap()},".join(pairs) + gap() + "}"
        if isinstance(value, list):
            return "[" + f"{gap()},".join([gap() + write(member) for member in value]) + gap() + "]"
        return json.dumps(value)

    return gap() + write(value) + gap()


@lru_cache(100_000)
def made(spec: Spec, version: int) -> bytes:
    """The bytes that the spec tells, at this version."""
    document = changed(pod(spec, version), spec.changes)
    return written(document, spec.style, Random(f"{spec.seed} {version}")).encode()


# --- Reading ----------------------------------------------------------------------------------------------------------


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("beyond a double")
    return number


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant)


def strict(raw: bytes) -> Any:
    """What RFC 8259 says of the bytes, with each key once and numbers that a double holds; ValueError otherwise."""
    text = raw.decode()
    document = _decoder.decode(text)
    if "\\u" in text:
        json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair is no character
    return document


def named(document: Any) -> bool:
    """Whether it is an object with a name, and a key that can be cut in one way only."""
    metadata = document.get("metadata") if isinstance(document, dict) else None
    if not isinstance(metadata, dict):
        return False
    name, namespace = metadata.get("name"), metadata.get("namespace")
    slashed = isinstance(namespace, str) and "/" in namespace
    return isinstance(name, str) and name != "" and "/" not in name and not slashed


def key_of(document: Any) -> str:
    metadata = document["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if isinstance(namespace, str) and namespace else str(metadata["name"])


def version_of(document: Any) -> int:
    """0 for what is no number, or not written as one is."""
    text = document["metadata"].get("resourceVersion")
    return int(text) if isinstance(text, str) and re.fullmatch("[1-9][0-9]{0,17}", text) else 0
