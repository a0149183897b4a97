"""Writes engine/api/data/go_fields.json: how Kubernetes' Go types write each field, which OpenAPI does not say.

    python tools/go_fields.py K8S_IO_DIRECTORY > engine/api/data/go_fields.json

K8S_IO_DIRECTORY is named k8s.io and holds the unpacked Go modules k8s.io/api and k8s.io/apimachinery (and others, if
wanted) of the version that the schema has. Run by hand when the schema's version changes. Per definition, by rule:
`always` (written even when it is zero), `null` (written as null when it is absent), `pointer` (absent and zero are
different things; zero is kept). A field in no list is dropped when it is zero.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from engine.api.schema import definitions

STRUCT = re.compile(r"^type (\w+) struct \{")
FIELD = re.compile(r'^\t(?:\w+\s+)?(\S+)\s+`json:"([^",]+)((?:,\w+)*)"')
INLINE = re.compile(r'^\t([\w.]+)\s+`json:",inline"')


class GoField(NamedTuple):
    name: str
    type: str
    options: frozenset[str]


def package_of(path: Path) -> str:
    """`k8s.io/api@v0.37.0/core/v1` → `io.k8s.api.core.v1`."""
    parts = [part.split("@")[0] for part in path.parts]
    parts = parts[parts.index("k8s.io") + 1 :]
    return ".".join(["io.k8s", *parts])


def read(root: Path) -> dict[str, tuple[list[GoField], list[str]]]:
    """Definition name → its own fields, and the definitions that it embeds."""
    found: dict[str, tuple[list[GoField], list[str]]] = {}
    for file in sorted(root.rglob("*.go")):
        if file.name.endswith("_test.go") or file.name.startswith("zz_generated"):
            continue
        package = package_of(file.parent)
        fields: list[GoField] | None = None
        embedded: list[str] = []
        for line in file.read_text().splitlines():
            if match := STRUCT.match(line):
                fields, embedded = [], []
                found.setdefault(f"{package}.{match[1]}", (fields, embedded))
            elif line == "}":
                fields = None
            elif fields is not None:
                if match := INLINE.match(line):
                    embedded.append(f"{package}.{match[1]}" if "." not in match[1] else match[1])
                elif match := FIELD.match(line):
                    fields.append(GoField(match[2], match[1], frozenset(match[3].split(",")) - {""}))
    return found


def flatten(name: str, found: dict[str, tuple[list[GoField], list[str]]]) -> list[GoField]:
    fields, embedded = found.get(name, ([], []))
    return [*fields, *(field for parent in embedded for field in flatten(parent, found))]


def rules(
    name: str, schema: Mapping[str, Any], found: dict[str, tuple[list[GoField], list[str]]]
) -> dict[str, list[str]]:
    properties = schema.get("properties", {})
    out: dict[str, list[str]] = {"always": [], "null": [], "pointer": []}
    for field in flatten(name, found):
        if field.name not in properties or field.name in ("kind", "apiVersion"):
            continue
        is_struct = "$ref" in properties[field.name]
        if field.type.startswith("*"):
            out["pointer" if "omitempty" in field.options else "null"].append(field.name)
        elif "omitempty" not in field.options or (is_struct and "omitzero" not in field.options):
            out["always"].append(field.name)
    return {rule: sorted(names) for rule, names in out.items() if names}


def main() -> None:
    found = read(Path(sys.argv[1]))
    table = {name: rules(name, schema, found) for name, schema in definitions().items() if name in found}
    lines = [f"{json.dumps(name)}:{json.dumps(rule, separators=(',', ':'))}" for name, rule in sorted(table.items())]
    sys.stdout.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
