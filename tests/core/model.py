"""A Cache and its WatchLog in plain Python, without speed: what the compiled ones must answer."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from engine._json import splice_resource_version
from tests.core.documents import key_of, version_of

Requirement = tuple[str, str, tuple[str, ...]]  # key, operator, values
Term = tuple[tuple[str | int, ...], str, str]  # path, "=" or "!=", value


class Row(NamedTuple):
    """One version of an object."""

    raw: bytes
    document: dict[str, Any]

    @property
    def namespace(self) -> str:
        text = self.document["metadata"].get("namespace")
        return text if isinstance(text, str) else ""


def row(raw: bytes) -> Row:
    return Row(raw, json.loads(raw))


# --- Selectors and paths ----------------------------------------------------------------------------------------------


def at(document: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        if isinstance(step, str):
            document = document.get(step) if isinstance(document, dict) else None
        else:
            document = document[step] if isinstance(document, list) and step < len(document) else None
    return document


def text_of(value: Any) -> str:
    """A value as selectors and indexes compare it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    return ""


def _integer(text: str) -> int | None:
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdecimal()) or not -(2**63) <= int(text) < 2**63:
        return None
    return int(text)


def holds(labels: dict[str, str], requirement: Requirement) -> bool:
    key, operator, values = requirement
    value = labels.get(key)
    if operator in ("in", "="):
        return value in values
    if operator in ("notin", "!="):
        return value not in values
    if operator in ("exists", "!"):
        return (value is not None) == (operator == "exists")
    number = None if value is None else _integer(value)
    if number is None:
        return False
    return number > int(values[0]) if operator == "gt" else number < int(values[0])


class Selection(NamedTuple):
    """What a list or a cursor asks for."""

    namespace: str | None = None
    labels: tuple[Requirement, ...] = ()
    fields: tuple[Term, ...] = ()

    def selects(self, found: Row) -> bool:
        labels = found.document["metadata"].get("labels") or {}
        return all(holds(labels, requirement) for requirement in self.labels) and all(
            (text_of(at(found.document, path)) == value) == (operator == "=") for path, operator, value in self.fields
        )

    def covers(self, found: Row) -> bool:
        return not self.namespace or found.namespace == self.namespace


# --- The log ----------------------------------------------------------------------------------------------------------


class Told(NamedTuple):
    """An event."""

    type: str
    key: str
    revision: int
    raw: bytes
    old: bytes | None


class Logged(NamedTuple):
    type: str
    key: str
    revision: int
    item: Row
    old: Row | None


@dataclass
class Log:
    max_events: int
    events: list[Logged] = field(default_factory=list)
    version: int = 0
    tail: int = 0  # number of the oldest event that is still there
    floor: int = 0  # who knows less than this has missed something

    def record(self, type: str, key: str, version: int, item: Row, old: Row | None) -> None:
        self.version = max(self.version, version)
        self.events.append(Logged(type, key, self.version, item, old))
        if len(self.events) - self.tail > self.max_events:
            self.floor = self.events[self.tail].revision
            self.tail += 1

    def expire(self) -> None:
        self.tail, self.floor = len(self.events), self.version


@dataclass
class Reader:
    """A cursor."""

    selection: Selection
    next: int
    after: int

    @staticmethod
    def of(log: Log, selection: Selection, version: int | None) -> Reader | None:
        """None when that history is gone."""
        if version is None:
            return Reader(selection, len(log.events), -1)
        if version < log.floor:
            return None
        return Reader(selection, bisect_right(log.events, version, key=lambda event: event.revision), version)

    def seen(self, event: Logged) -> Told | None:
        type, key, revision, item, old = event
        if revision <= self.after or not self.selection.covers(item):
            return None
        before = old is not None and self.selection.selects(old)
        raw = item.raw
        if type != "DELETED":
            now = self.selection.selects(item)
            if not now and not before:
                return None
            if not now:
                assert old is not None
                type, raw = "DELETED", splice_resource_version(old.raw, revision)
            elif not before:
                type = "ADDED"
        elif not before:
            return None
        return Told(type, key, revision, raw, old and old.raw)

    def read(self, log: Log, count: int) -> list[Told] | None:
        """None when it fell off: something may be gone that it did not know."""
        if self.next < log.tail:
            if self.after < log.floor:
                return None
            self.next = log.tail
        found: list[Told] = []
        while self.next < len(log.events) and len(found) < count:
            told = self.seen(log.events[self.next])
            if told is not None:
                found.append(told)
            self.next += 1
        return found


# --- The table --------------------------------------------------------------------------------------------------------

Source = tuple[str | int, ...] | Callable[[Row], Iterable[str]]


@dataclass
class Table:
    log: Log
    rows: dict[str, Row] = field(default_factory=dict)
    version: int = 0
    indexes: dict[str, Source] = field(default_factory=dict)

    def put(self, item: Row) -> Row | None:
        key = key_of(item.document)
        old = self.rows.get(key)
        self.rows[key] = item
        self.version = max(self.version, version_of(item.document))
        self.log.record("MODIFIED" if old else "ADDED", key, version_of(item.document), item, old)
        return old

    def delete(self, item: Row) -> Row | None:
        key = key_of(item.document)
        old = self.rows.pop(key, None)
        version = version_of(item.document)
        self.version = max(self.version, version)
        if old is not None:
            self.log.record("DELETED", key, version, item, old)
        else:
            self.log.version = max(self.log.version, version)
        return old

    def replace(self, items: list[Row], version: int) -> None:
        wanted = {key_of(item.document): item for item in items}
        before, self.rows = self.rows, {}
        for key in sorted(before.keys() - wanted.keys()):
            stamped = row(splice_resource_version(before[key].raw, version))
            self.log.record("DELETED", key, version, stamped, before[key])
        for key, item in wanted.items():
            old = before.get(key)
            self.rows[key] = item
            if old is None or old.raw != item.raw:
                self.log.record("MODIFIED" if old else "ADDED", key, version, item, old)
        self.version = version
        self.log.version = max(self.log.version, version)

    def frozen(self) -> Table:
        """This moment."""
        return Table(self.log, dict(self.rows), self.version)

    def list(self, selection: Selection, limit: int = 0, after: str = "") -> list[Row]:
        keys = [
            key
            for key in sorted(self.rows)
            if key > after and selection.covers(self.rows[key]) and selection.selects(self.rows[key])
        ]
        return [self.rows[key] for key in (keys[:limit] if limit else keys)]

    def values(self, name: str, item: Row) -> list[str]:
        """What an index has an object under."""
        source = ("metadata", "namespace") if name == "namespace" else self.indexes[name]
        if name == "namespace":
            return [item.namespace]
        if callable(source):
            return list(dict.fromkeys(source(item)))
        found = at(item.document, source)
        if isinstance(found, list):
            return list(dict.fromkeys(map(text_of, found)))
        return [] if found is None or isinstance(found, dict) else [text_of(found)]

    def postings(self, name: str) -> dict[str, list[str]]:
        """Keys in order, by value in order."""
        found: dict[str, list[str]] = {}
        for key in sorted(self.rows):
            for value in self.values(name, self.rows[key]):
                found.setdefault(value, []).append(key)
        return {value: found[value] for value in sorted(found)}
