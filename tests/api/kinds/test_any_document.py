"""Whatever passes the schema is judged: no document makes a kind's functions fail, or change what is stored."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from samples import TABLE

from engine.api.decode import decode_document
from engine.api.errors import StatusError
from engine.api.kind import Document, Kind
from engine.api.schema import Schema

TEXTS = [
    "",
    "a",
    "A_",
    "x/y",
    "..",
    "/p",
    "a" * 70,
    "Always",
    "Exists",
    "In",
    "None",
    "TCP",
    "10.0.0.1",
    "é",
    "5%",
    "Indexed",
]
SCALARS: dict[str, list[Any]] = {
    "string": TEXTS,
    "integer": [0, 1, -1, 80, 99_999, 2**31 - 1],
    "number": [1.5],
    "boolean": [True, False],
    "quantity": ["0", "1", "-1", "500m", "1Gi", 2],
    "int-or-string": [0, 1, "25%", "http", "-x", ""],
    "time": ["2026-01-01T00:00:00Z"],
    "micro-time": ["2026-01-01T00:00:00.000000Z"],
    "bytes": ["MQ==", ""],
    "any": [{}],
}
ALWAYS = ("spec", "template", "containers")
DEEPEST = 9


def anything(schema: Schema, dice: random.Random, depth: int = 0) -> Any:
    """A value of the schema's shape, now and then null."""
    if dice.random() < 0.08:
        return None
    if schema.shape == "object":
        if depth > DEEPEST:
            return {}
        share = 0.35 if len(schema.fields) > 12 else 0.6
        return {
            name: anything(field, dice, depth + 1)
            for name, field in schema.fields.items()
            if dice.random() < share or (depth < 2 and name in ALWAYS)
        }
    if schema.shape == "map":
        return {dice.choice(TEXTS): anything(schema.item, dice, depth + 1) for _ in range(dice.randint(0, 2))}
    if schema.shape == "list":
        return [anything(schema.item, dice, depth + 1) for _ in range(dice.randint(0, 2))]
    return dice.choice(SCALARS[schema.shape])


def some_document(kind: Kind, dice: random.Random) -> Document | None:
    """With defaults and the metadata that a server fills in; None for what is refused before a kind sees it."""
    document = anything(kind.schema, dice) or {}
    document.pop("kind", None)
    document.pop("apiVersion", None)
    try:
        decoded = decode_document(document, kind.schema, kind.resource).document
    except StatusError:
        return None
    kind.default(decoded)
    decoded["metadata"].update(name="n", uid="u", namespace="d")
    return decoded


@pytest.mark.parametrize("kind", list(TABLE), ids=lambda kind: kind.resource.kind)
def test_any_document_is_judged(kind: Kind) -> None:
    dice = random.Random(kind.resource.kind)
    judged = 0
    for _ in range(80):
        stored, changed = some_document(kind, dice), some_document(kind, dice)
        if stored is None or changed is None:
            continue
        try:
            kind.prepare_create(stored)
        except StatusError:
            continue
        kind.validate(stored)
        kind.row(stored)
        before, written = copy.deepcopy(stored), copy.deepcopy(changed)
        kind.prepare_update(changed, stored)
        kind.validate_update(changed, stored)
        kind.prepare_status_update(written, stored)
        kind.validate_status_update(written, stored)
        kind.row(written)
        assert stored == before
        judged += 1
    assert judged > 10
