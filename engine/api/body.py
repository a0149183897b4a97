"""A request's body as JSON or YAML, with what Kubernetes wants to know of it: keys that occur twice, and where."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import orjson
import yaml

from engine._json import duplicate_fields
from engine.api.schema import ANY, Schema

MAX_ALIASED_NODES = 1_000_000  # what a YAML body may grow to when its aliases are written out
MAX_DEPTH = 256  # of nested objects and lists
_SUMMARY_BYTES = 30
_TOO_DEEP = "exceeded max depth"


class Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs in order, duplicates and all."""


@dataclass(slots=True)
class Parsed:
    """A body's value. Duplicates are merged as Go's decoder does: objects key by key, the last of anything else."""

    value: Any
    has_duplicates: bool = False
    pairs: Any = None  # the value with every object as Pairs, when there are duplicates in JSON
    yaml_duplicates: list[str] = field(default_factory=list)  # `line 9: key "foo" already set in map`


def parse_json(data: bytes) -> Parsed:
    """ValueError, worded as Kubernetes does, when it is no JSON."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"couldn't get version/kind; json parse error: {_json_fault(data, error)}") from None
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH:
        _check_depth(value)
    if not duplicate_fields(data):
        return Parsed(value)
    pairs = json.loads(data, object_pairs_hook=Pairs)
    return Parsed(_merged(pairs), True, pairs)


def parse_yaml(data: bytes) -> Parsed:
    """YAML, or JSON that is sent as YAML. Dates stay strings and keys become strings, as in Kubernetes."""
    if data[:1] == b"{":
        try:
            parsed = parse_json(data)
        except ValueError:
            pass  # it may still be YAML in flow style
        else:
            if not parsed.has_duplicates:
                return parsed
    _check_yaml_depth(data)
    loader = _Loader(data)
    try:
        node = loader.get_single_node()
        value = loader.construct(node) if node is not None else None
    except yaml.YAMLError as error:
        raise _yaml_fault(error) from None
    except RecursionError:  # an alias inside of what it stands for
        raise ValueError(f"error converting YAML to JSON: yaml: {_TOO_DEEP}") from None
    finally:
        loader.dispose()
    return Parsed(value, bool(loader.duplicates), None, loader.duplicates)


def _check_depth(value: Any) -> None:
    """Level by level, since a value that is too deep for recursion is what this looks for."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"couldn't get version/kind; json parse error: {_TOO_DEEP}")
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]


def _check_yaml_depth(data: bytes) -> None:
    """On the parser's events, which come without recursion: composing what is too deep would overflow C's stack."""
    if sum(data.count(mark) for mark in (b"{", b"[", b"- ", b"-\n", b":", b"?")) <= MAX_DEPTH:
        return
    depth = 0
    try:
        for event in yaml.parse(data, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    raise ValueError(f"error converting YAML to JSON: yaml: {_TOO_DEEP}")
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except yaml.YAMLError as error:
        raise _yaml_fault(error) from None


def _yaml_fault(error: yaml.YAMLError) -> ValueError:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark is not None else ""
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return ValueError(f"error converting YAML to JSON: yaml: {where}{problem}")


def summary(data: bytes) -> str:
    """How Kubernetes shows a body that it could not read."""
    if not data:
        return "<empty>"
    cut = data[:_SUMMARY_BYTES]
    shown = cut.decode(errors="replace") if data.startswith(b"{") else cut.hex()
    return shown + " ..." if len(data) > _SUMMARY_BYTES else shown


def strict_problems(value: Any, schema: Schema, parsed: Parsed | None = None) -> list[str]:
    """`unknown field "spec.x"`, `duplicate field "data.a"`: each once, in the document's order."""
    found: dict[str, None] = {}
    if parsed is not None and parsed.yaml_duplicates:
        found["yaml: unmarshal errors:\n" + "\n".join(f"  {line}" for line in parsed.yaml_duplicates)] = None
    _collect(value if parsed is None or parsed.pairs is None else parsed.pairs, schema, "", found)
    return list(found)


def _collect(value: Any, schema: Schema, path: str, found: dict[str, None]) -> None:
    if isinstance(value, list) and not isinstance(value, Pairs):
        if schema.shape in ("list", "any"):
            for index, item in enumerate(value):
                _collect(item, schema.item if schema.shape == "list" else ANY, f"{path}[{index}]", found)
        return
    if not isinstance(value, dict | Pairs) or schema.shape not in ("object", "map", "any"):
        return
    seen = set()
    children = schema.fields if schema.shape == "object" else None
    for key, item in value.items() if isinstance(value, dict) else value:
        inner = f"{path}.{key}" if path else key
        if key in seen:
            found[f'duplicate field "{inner}"'] = None
        seen.add(key)
        child = children.get(key) if children is not None else schema.item
        if child is None:
            found[f'unknown field "{inner}"'] = None
        else:
            _collect(item, child, inner, found)


def _merged(value: Any) -> Any:
    if isinstance(value, Pairs):
        out: dict[str, Any] = {}
        for key, item in value:
            item = _merged(item)
            before = out.get(key)
            out[key] = {**before, **item} if isinstance(before, dict) and isinstance(item, dict) else item
        return out
    return [_merged(item) for item in value] if isinstance(value, list) else value


def _json_fault(data: bytes, error: orjson.JSONDecodeError) -> str:
    text = data.decode(errors="replace")
    if error.pos >= len(text.rstrip()) or "unexpected end" in error.msg:
        return "unexpected end of JSON input"
    return f"invalid character '{text[error.pos]}' looking for beginning of value"


class _Loader(yaml.CSafeLoader):
    """Plain values without what only YAML 1.1 has: times and base-60 numbers are strings."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.duplicates: list[str] = []
        self.budget = MAX_ALIASED_NODES

    def construct(self, node: yaml.Node) -> Any:
        """Every alias is written out, within a budget: small bodies can stand for huge documents."""
        self.budget -= 1
        if self.budget < 0:
            raise yaml.YAMLError("document contains excessive aliasing")
        if isinstance(node, yaml.SequenceNode):
            return [self.construct(item) for item in node.value]
        if not isinstance(node, yaml.MappingNode):
            return self.construct_object(node)
        self.flatten_mapping(node)
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = _key_text(self.construct(key_node))
            if key in out:
                self.duplicates.append(f'line {key_node.start_mark.line + 1}: key "{key}" already set in map')
            out[key] = self.construct(value_node)
        return out


def _key_text(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int | float):
        return str(key)
    raise yaml.YAMLError("invalid map key" if key is not None else "null map key")


_PLAIN = {
    "tag:yaml.org,2002:bool": (
        r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF",
        "yYnNtTfFoO",
    ),
    "tag:yaml.org,2002:int": (r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]+|0|[1-9][0-9_]*)", "-+0123456789"),
    "tag:yaml.org,2002:float": (
        r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+"
        r"|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    "tag:yaml.org,2002:merge": (r"<<", "<"),
    "tag:yaml.org,2002:null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
}
_Loader.yaml_implicit_resolvers = {}
for _tag, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern})\Z"), list(_first))
