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
MAX_ALIASED_CHARACTERS = 16 * 1024 * 1024  # … of all its scalars together
MAX_DEPTH = 250  # of nested objects and lists: orjson writes 254
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
        check_depth(value)
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
    finally:
        loader.dispose()
    return Parsed(value, bool(loader.duplicates), None, loader.duplicates)


def check_depth(value: Any) -> None:
    """ValueError for more than MAX_DEPTH levels. Level by level: what this looks for is too deep for recursion."""
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
    if "depth limit" in error.msg:
        return _TOO_DEEP
    if error.pos >= len(text.rstrip()) or "unexpected end" in error.msg:
        return "unexpected end of JSON input"
    if number := _NUMBER.match(text, error.pos):  # which no float can hold
        shown = number[0] if len(number[0]) <= _SUMMARY_BYTES else f"{number[0][:_SUMMARY_BYTES]}..."
        field = _field_at(text[: number.start()] + f'"{_HERE}"' + text[number.end() :])
        return f"json: cannot unmarshal number {shown} into Go value{field} of type float64"
    return f"invalid character '{text[error.pos]}' looking for beginning of value"


_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?(?=[\s,\]}]|$)")
_HERE = "\N{SYMBOL FOR NULL}here"


def _field_at(text: str) -> str:
    """` .spec.replicas` for the member of a JSON document whose value is _HERE; "" when there are other faults."""
    try:
        level = [("", orjson.loads(text))]
    except orjson.JSONDecodeError:
        return ""
    for path, node in level:
        if node == _HERE:
            return f" {path}"
        if isinstance(node, dict):
            level += [(f"{path}.{key}", child) for key, child in node.items()]
        elif isinstance(node, list):
            level += [(f"{path}[{index}]", child) for index, child in enumerate(node)]
    return ""


class _Loader(yaml.CSafeLoader):
    """Plain values without what only YAML 1.1 has: times and base-60 numbers are strings."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.duplicates: list[str] = []
        self.nodes = MAX_ALIASED_NODES
        self.characters = MAX_ALIASED_CHARACTERS

    def construct(self, node: yaml.Node, depth: int = 1) -> Any:
        """Every alias is written out, within a budget: small bodies can stand for huge documents."""
        self.nodes -= 1
        if self.nodes < 0 or self.characters < 0:
            raise yaml.YAMLError("document contains excessive aliasing")
        if isinstance(node, yaml.ScalarNode):
            self.characters -= len(node.value)
            return self._scalar(node)
        if depth > MAX_DEPTH:  # an alias may stand inside of what it stands for
            raise yaml.YAMLError(_TOO_DEEP)
        if isinstance(node, yaml.SequenceNode):
            return [self.construct(item, depth + 1) for item in node.value]
        out: dict[str, Any] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merged += value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                continue
            key = _key_text(self.construct(key_node, depth + 1))
            if key in out:
                self.duplicates.append(f'line {key_node.start_mark.line + 1}: key "{key}" already set in map')
            out[key] = self.construct(value_node, depth + 1)
        for base in merged:
            if not isinstance(base, yaml.MappingNode):
                raise yaml.YAMLError("map merge requires map or sequence of maps as the value")
            for key, value in self.construct(base, depth + 1).items():
                out.setdefault(key, value)
        return out

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        """What JSON has too; what has another tag (times, bytes) is the text that is there."""
        if node.tag not in _JSON_TAGS:
            return node.value
        try:
            return self.construct_object(node)
        except (ValueError, LookupError):
            kind = node.tag.rpartition(":")[2]
            raise yaml.YAMLError(f"cannot decode !!str `{node.value[:_SUMMARY_BYTES]}` as a !!{kind}") from None


def _key_text(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int | float):
        return str(key)
    raise yaml.YAMLError("invalid map key" if key is not None else "null map key")


_MERGE = "tag:yaml.org,2002:merge"
_JSON_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float", "null", "str"))
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
    _MERGE: (r"<<", "<"),
    "tag:yaml.org,2002:null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
}
_Loader.yaml_implicit_resolvers = {}
for _tag, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern})\Z"), list(_first))
