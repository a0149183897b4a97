"""Cache, WatchLog and cursors against a plain-Python model: whatever happens, both say the same, to the byte."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine import Cache, Cursor, Expired, FieldSelector, LabelSelector, Object, WatchLog
from tests.core.documents import (
    CHANGES,
    LABEL_VALUES,
    OWNERS,
    STYLES,
    VALUES,
    Change,
    Spec,
    key_of,
    made,
    version_of,
)
from tests.core.model import Log, Logged, Reader, Requirement, Row, Selection, Table, Term, Told, row, text_of

FULL = bool(os.environ.get("ENGINE_FULL"))
EXAMPLES = 2500 if FULL else 60
STEPS = 60 if FULL else 25
HELD = 40  # views, snapshots and lists that are held across changes

NAMESPACES = ["", "a", "a-b", "shop"]
NODES = [None, "", "n1", "n2", "ip-10-0-0-1.ec2.internal", "日本"]
LABEL_KEYS = ["app", "tier", "example.com/zone", "track"]
PHASES = ["Running", "Pending", "Succeeded"]
FIELD_PATHS: dict[str, tuple[str | int, ...]] = {
    "spec.nodeName": ("spec", "nodeName"),
    "metadata.name": ("metadata", "name"),
    "metadata.namespace": ("metadata", "namespace"),
    "status.phase": ("status", "phase"),
    "spec.priority": ("spec", "priority"),
    "metadata.finalizers": ("metadata", "finalizers"),
    "spec.enableServiceLinks": ("spec", "enableServiceLinks"),
}
FIELD_VALUES = [
    "",
    "n1",
    "n2",
    "日本",
    "Running",
    "Pending",
    "0",
    "1",
    "true",
    "shop",
    "web1-5d4f8c-00003",
    "x",
    "a=b,c",
]
SELECTED = [*[value for value in LABEL_VALUES if not value.startswith("-")], "web1", "web2", "never"]
CPU = "spec.containers[0].resources.requests.cpu"
COLUMNS = ["spec.nodeName", "spec.priority", "status.phase"]


def words(item: Row) -> Iterable[str]:
    """An index function, over the model's row."""
    metadata = item.document["metadata"]
    return [metadata["name"][:4], *metadata.get("labels", {})]


def words_of(obj: Object) -> Iterable[str]:
    return [obj.name[:4], *obj.labels]


class Bad(Exception):
    pass


def picky(obj: Object) -> Iterable[str]:
    """An index function that fails on what tests mean to be refused."""
    if obj.labels.get("refuse") == "this":
        raise Bad("not this one")
    return [obj.labels.get("tier", "none")]


LATE: dict[str, tuple[Any, Any]] = {  # indexes that come to a live cache: source, and the model's
    "phase": ("status.phase", ("status", "phase")),
    "finalizers": ("metadata.finalizers", ("metadata", "finalizers")),
    "zone": ("metadata.labels['example.com/zone']", ("metadata", "labels", "example.com/zone")),
    "owner": ("metadata.ownerReferences[0].uid", ("metadata", "ownerReferences", 0, "uid")),
    "priority": ("spec.priority", ("spec", "priority")),
    "name": ("metadata.name", ("metadata", "name")),
    "words": (words_of, words),
}

# --- What is done -----------------------------------------------------------------------------------------------------

CHANGED = st.builds(Change, st.sampled_from(sorted(CHANGES)), st.integers(0, 99), st.integers(0, len(VALUES) - 1))
LABELS = st.lists(st.tuples(st.sampled_from(LABEL_KEYS), st.sampled_from(LABEL_VALUES)), max_size=3).map(
    lambda pairs: tuple(dict(pairs).items())
)
SPECS = st.builds(
    Spec,
    owner=st.integers(0, OWNERS - 1),
    number=st.integers(0, 12),
    namespace=st.sampled_from(NAMESPACES),
    node=st.sampled_from(NODES),
    labels=LABELS,
    phase=st.sampled_from(PHASES),
    changes=st.one_of(st.just(()), st.lists(CHANGED, max_size=3).map(tuple)),
    style=st.sampled_from(["compact", "compact", *STYLES]),
    seed=st.integers(0, 3),
)
TYPES = st.sampled_from(["ADDED", "MODIFIED"])


def _view_elsewhere(raw: bytes) -> Object:
    """A view over the memory of another cache."""
    other = Cache()
    other.apply("ADDED", raw)
    found = other.get(key_of(json.loads(raw)))
    assert found is not None
    return found


FORMS: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "object": Object,
    "adopted": lambda raw: Object.adopt(raw, json.loads(raw)),
    "view": _view_elsewhere,
}
FORM = st.sampled_from(["bytes", "bytes", "bytes", *FORMS])


def _requirement(key: str, operator: str, values: list[str], number: int) -> Requirement:
    if operator in ("exists", "!"):
        return key, operator, ()
    if operator in ("gt", "lt"):
        return key, operator, (str(number),)
    return key, operator, tuple(values if operator in ("in", "notin") else values[:1])


REQUIREMENTS = st.builds(
    _requirement,
    st.sampled_from([*LABEL_KEYS, "unknown"]),
    st.sampled_from(["in", "notin", "=", "!=", "exists", "!", "gt", "lt"]),
    st.lists(st.sampled_from(SELECTED), min_size=1, max_size=3, unique=True),
    st.integers(0, 12),
)
TERMS = st.tuples(
    st.sampled_from(list(FIELD_PATHS.values())), st.sampled_from(["=", "!="]), st.sampled_from(FIELD_VALUES)
)
SELECTIONS = st.builds(
    Selection,
    st.sampled_from([None, None, *NAMESPACES, "nowhere"]),
    st.one_of(st.just(()), st.lists(REQUIREMENTS, max_size=3).map(tuple)),
    st.one_of(st.just(()), st.lists(TERMS, max_size=2).map(tuple)),
)
TEXT_OF_PATH = {path: text for text, path in FIELD_PATHS.items()}


def label_text(requirements: tuple[Requirement, ...]) -> str | LabelSelector | None:
    if not requirements:
        return None
    selector = LabelSelector.of(requirements)
    return str(selector) if len(requirements) % 2 else selector


def field_text(terms: tuple[Term, ...]) -> str | FieldSelector | None:
    texts = [
        TEXT_OF_PATH[path] + operator + value.replace(",", "\\,").replace("=", "\\=") for path, operator, value in terms
    ]
    return (",".join(texts) if len(texts) % 2 else FieldSelector.parse(",".join(texts))) if texts else None


class CacheMachine(RuleBasedStateMachine):
    """Every way to change a cache, then every way to read it; and what was read before stays as it was."""

    def __init__(self) -> None:
        super().__init__()
        self.version = 0
        self.snapshots: list[tuple[Any, Table]] = []
        self.views: list[tuple[Object, Row]] = []
        self.pages: tuple[Any, list[Row]] | None = None
        self.cursors: list[tuple[Cursor, Reader]] = []

    @initialize(
        max_events=st.sampled_from([1_000_000, 1_000_000, 50]),
        late=st.booleans(),
        replicas=st.sampled_from([0, 0, 40, 400]),
    )
    def start(self, max_events: int, late: bool, replicas: int) -> None:
        self.log = WatchLog(max_events=max_events, clock=lambda: 0.0)
        self.cache = Cache({"node": "spec.nodeName", "picky": picky}, columns=[*COLUMNS, CPU], log=self.log)
        self.model = Table(Log(max_events))
        self.model.indexes["node"] = ("spec", "nodeName")
        self.everything = self.log.cursor()
        self.reader = Reader(Selection(), 0, -1)
        if late:
            for name in ("finalizers", "words"):
                self.add_an_index(name)
        for owner in range(OWNERS):
            self.scale_up(owner, "a", replicas // OWNERS, "compact")

    def stamped(self, spec: Spec) -> bytes:
        self.version += 1
        return made(spec, self.version)

    def key_at(self, place: int) -> str | None:
        keys = list(self.model.rows)
        return keys[place % len(keys)] if keys else None

    def same(self, found: Object | None, expected: Row | None) -> None:
        assert (found and found.raw) == (expected and expected.raw)

    def hold(self, found: Iterable[Object], expected: Iterable[Row]) -> None:
        self.views += list(zip(found, expected, strict=True))[:5]
        del self.views[:-HELD]

    # --- Writing ---

    @rule(spec=SPECS, type=TYPES, form=FORM)
    def apply(self, spec: Spec, type: Any, form: str) -> None:
        raw = self.stamped(spec)
        self.same(self.cache.apply(type, FORMS[form](raw)), self.model.put(row(raw)))

    @rule(spec=SPECS)
    def apply_a_dict(self, spec: Spec) -> None:
        document = json.loads(self.stamped(spec))
        raw = Object(document).raw
        assert json.loads(raw) == document
        self.same(self.cache.apply("ADDED", document), self.model.put(row(raw)))

    @rule(place=st.integers(0, 999), spec=SPECS, known=st.booleans())
    def delete(self, place: int, spec: Spec, known: bool) -> None:
        """With the last state, or with any other of that name."""
        raw = self.stamped(spec)
        key = self.key_at(place)
        if known and key is not None:
            document = dict(self.model.rows[key].document)
            document["metadata"] = document["metadata"] | {"resourceVersion": str(self.version)}
            raw = json.dumps(document).encode()
        self.same(self.cache.apply("DELETED", raw), self.model.delete(row(raw)))

    @rule(
        changes=st.lists(st.tuples(SPECS, st.booleans(), FORM), max_size=12),
    )
    def apply_a_batch(self, changes: list[tuple[Spec, bool, str]]) -> None:
        events = [(gone, self.stamped(spec), form) for spec, gone, form in changes]
        self.cache.apply_batch([("DELETED" if gone else "MODIFIED", FORMS[form](raw)) for gone, raw, form in events])
        for gone, raw, _ in events:
            (self.model.delete if gone else self.model.put)(row(raw))

    @rule(
        owner=st.integers(0, OWNERS - 1),
        namespace=st.sampled_from(NAMESPACES),
        count=st.integers(2, 30),
        style=st.sampled_from(STYLES),
    )
    def scale_up(self, owner: int, namespace: str, count: int, style: str) -> None:
        raws = [self.stamped(Spec(owner, number, namespace, NODES[number % 4], style=style)) for number in range(count)]
        self.cache.apply_batch([("ADDED", raw) for raw in raws])
        for raw in raws:
            self.model.put(row(raw))

    @rule(
        place=st.integers(0, 999),
        count=st.integers(1, 30),
        path=st.sampled_from([("status", "phase"), ("spec", "nodeName"), ("metadata", "labels"), ("spec", "priority")]),
        value=st.sampled_from(["x", "n1", "Failed", "日本", "\\u006e1"]),
    )
    def change_many_a_little(self, place: int, count: int, path: tuple[str, str], value: str) -> None:
        raws = []
        for key in list(self.model.rows)[place % max(1, len(self.model.rows)) :][:count]:
            document = json.loads(self.model.rows[key].raw)
            self.version += 1
            document["metadata"]["resourceVersion"] = str(self.version)
            if isinstance(document.get(path[0]), dict):
                document[path[0]][path[1]] = {"tier": value[:1], "track": "1"} if path[1] == "labels" else value
            text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
            raws.append(text.replace('"\\\\u006e1"', '"\\u006e1"').encode())  # n1, written otherwise
        self.cache.apply_batch([("MODIFIED", raw) for raw in raws])
        for raw in raws:
            self.model.put(row(raw))

    def replaced(self, kept: int, specs: list[Spec]) -> list[Row]:
        """Some of what is there as it is, and some others."""
        rows = {key: item for i, (key, item) in enumerate(self.model.rows.items()) if i % 10 < kept}
        for spec in specs:
            item = row(self.stamped(spec))
            rows[key_of(item.document)] = item
        self.version += 1
        return list(rows.values())

    @rule(kept=st.integers(0, 10), specs=st.lists(SPECS, max_size=8), objects=st.booleans())
    def replace(self, kept: int, specs: list[Spec], objects: bool) -> None:
        rows = self.replaced(kept, specs)
        self.cache.replace([Object(item.raw) if objects else item.raw for item in rows], self.version)
        self.model.replace(rows, self.version)

    @rule(kept=st.integers(0, 10), specs=st.lists(SPECS, max_size=8), again=st.booleans())
    def begin_pages(self, kept: int, specs: list[Spec], again: bool) -> None:
        """Nothing is seen of them until they end; others may write meanwhile."""
        rows = self.replaced(kept, specs)
        pages = self.cache.replacement(self.version)
        for i in range(0, len(rows), 3):
            pages.add([item.raw for item in rows[i : i + 3]])
        self.pages = pages, rows

    @precondition(lambda self: self.pages is not None)
    @rule(finish=st.booleans())
    def end_pages(self, finish: bool) -> None:
        assert self.pages is not None
        pages, rows = self.pages
        self.pages = None
        if finish:
            self.version += 1
            pages.finish(self.version)
            self.model.replace(rows, self.version)

    @rule(name=st.sampled_from(sorted(LATE)))
    def add_an_index(self, name: str) -> None:
        source, self.model.indexes[name] = LATE[name]
        self.cache.add_index(name, source)

    @rule(by=st.integers(1, 3))
    def advance(self, by: int) -> None:
        self.version += by
        self.cache.advance(self.version)
        self.model.version = self.model.log.version = max(self.version, self.model.version)

    @rule(
        spec=SPECS,
        how=st.sampled_from(["apply", "batch", "replace", "page"]),
        bad=st.sampled_from([b"", b"{", b"[]", b'{"metadata":{"name":""}}', b'{"metadata":{"name":"x"},"a":01}', 7]),
        picked=st.booleans(),
    )
    def refuse(self, spec: Spec, how: str, bad: Any, picked: bool) -> None:
        """Nothing is changed by what is refused, nor by what came with it."""
        good = made(spec, self.version + 1)
        if picked:
            bad = made(spec._replace(labels=(("refuse", "this"),), changes=()), self.version + 2)
        pages = self.cache.replacement(self.version + 2)
        try:
            if how == "apply":
                self.cache.apply("MODIFIED", bad)
            elif how == "batch":
                self.cache.apply_batch([("ADDED", good), ("DELETED", good), ("MODIFIED", bad), ("ADDED", good)])
            elif how == "replace":
                self.cache.replace([good, bad], self.version + 2)
            else:
                pages.add([good])
                pages.add([bad])
                pages.finish()
        except ValueError:
            return
        raise AssertionError(f"{bad!r} was not refused")

    # --- Reading ---

    @rule()
    def take_a_snapshot(self) -> None:
        self.snapshots.append((self.cache.snapshot(), self.model.frozen()))
        del self.snapshots[:-4]

    @rule(selection=SELECTIONS, limit=st.sampled_from([0, 0, 1, 3, 50]), place=st.integers(0, 999))
    def list(self, selection: Selection, limit: int, place: int) -> None:
        after = (self.key_at(place) or "a") if place % 3 == 0 else ["", "a/", "a-b/web", "zz"][place % 4]
        moments: list[tuple[Any, Table]] = [(self.cache, self.model), *self.snapshots]
        for seen, model in moments:
            found = seen.list(
                selection.namespace,
                label_text(selection.labels),
                field_text(selection.fields),
                limit=limit,
                after=after,
            )
            expected = model.list(selection, limit, after)
            assert [obj.key for obj in found] == [key_of(item.document) for item in expected]
            assert [obj.raw for obj in found] == [item.raw for item in expected]
            self.hold(found, expected)
        assert self.cache.explain(selection.namespace, label_text(selection.labels), field_text(selection.fields))

    @rule(value=st.sampled_from(["", "n1", "n2", "日本", "Running", "x", "y", "1", "true", "rs-1", "web1", "nothing"]))
    def read_indexes(self, value: str) -> None:
        for name in ["namespace", *self.model.indexes]:
            postings = self.model.postings(name)
            assert self.cache.index_values(name) == list(postings)
            for wanted in {value, *list(postings)[:5]}:
                keys = postings.get(wanted, [])
                assert self.cache.index_keys(name, wanted) == keys
                assert self.cache.index_size(name, wanted) == len(keys)
                found = self.cache.by_index(name, wanted)
                assert [obj.raw for obj in found] == [self.model.rows[key].raw for key in keys]

    @rule(places=st.lists(st.integers(0, 999), max_size=10))
    def get(self, places: Any) -> None:
        keys = ["", "nothing", "a/", *[key for place in places if (key := self.key_at(place))]]
        for key, found in zip(keys, self.cache.get_many(keys), strict=True):
            expected = self.model.rows.get(key)
            self.same(found, expected)
            self.same(self.cache.get(key), expected)
            assert (key in self.cache) == (expected is not None)
            if found is not None and expected is not None:
                self.reads_like(found, expected)
                self.hold([found], [expected])

    def reads_like(self, obj: Object, expected: Row) -> None:
        document = expected.document
        metadata = document["metadata"]
        assert (obj.key, obj.name, obj.namespace) == (key_of(document), metadata["name"], expected.namespace)
        assert obj.resource_version == version_of(document)
        assert obj.labels == metadata.get("labels", {})
        for text, path in FIELD_PATHS.items():
            value: Any = document
            for step in path:
                value = value.get(step) if isinstance(value, dict) else None
            assert obj.get_path(text) == value
        assert obj.to_dict() == document
        assert obj == Object(expected.raw)
        assert hash(obj) == hash(Object(expected.raw))

    @rule()
    def read_columns(self) -> None:
        rows = [self.model.rows[key] for key in sorted(self.model.rows)]
        for path in COLUMNS:
            first, second = path.split(".")
            values = [(item.document.get(first) or {}) for item in rows]
            values = [value.get(second) if isinstance(value, dict) else None for value in values]
            kinds = {type(value) for value in values if value is not None}
            if any(isinstance(value, int) and abs(value) >= 2**63 for value in values):
                continue  # what a column makes of them has no rule
            column = self.cache.column(path)
            assert not column.flags.writeable
            if kinds and kinds <= {int, bool}:
                assert (column.dtype, column.tolist()) == (np.int64, [int(value or 0) for value in values])
            elif kinds and kinds <= {int, bool, float}:
                expected = [np.nan if value is None else float(value) for value in values]
                np.testing.assert_array_equal(column, np.array(expected))
            elif kinds:
                assert column.tolist() == [None if value is None else text_of(value) for value in values]
            else:
                assert len(column) == len(rows)

    # --- Following ---

    @rule(selection=SELECTIONS, back=st.sampled_from([None, 0, 1, 5, 100]), ahead=st.booleans())
    def open_a_cursor(self, selection: Selection, back: int | None, ahead: bool) -> None:
        version = None if back is None else self.model.log.version + (2 if ahead else -back)
        version = version if version is None else max(0, version)
        reader = Reader.of(self.model.log, selection, version)
        if reader is not None and version is not None:
            reader.after = version if version > self.model.log.version else -1
        try:
            cursor = self.log.cursor(
                version,
                namespace=selection.namespace,
                label_selector=label_text(selection.labels),
                field_selector=field_text(selection.fields),
            )
        except Expired:
            assert reader is None
            return
        assert reader is not None
        self.cursors.append((cursor, reader))
        del self.cursors[:-8]

    def told(self, cursor: Cursor, count: int) -> Any:
        try:
            events = cursor.next_batch(count)
        except Expired:
            return None
        for event in events:
            assert event.encoded == b'{"type":"%s","object":%s}\n' % (event.type.encode(), event.object.raw)
        return [
            Told(event.type, event.key, event.revision, event.object.raw, event.old and event.old.raw)
            for event in events
        ]

    @rule(count=st.sampled_from([1, 7, 1000]))
    def read_cursors(self, count: int) -> None:
        kept = []
        for cursor, reader in self.cursors:
            expected = reader.read(self.model.log, count)
            assert self.told(cursor, count) == expected
            if expected is not None:
                assert reader.next < len(self.model.log.events) or cursor.pending == 0
                kept.append((cursor, reader))
        self.cursors = kept

    @rule()
    def forget_the_history(self) -> None:
        self.log.expire()
        self.model.log.expire()

    # --- What always holds ---

    @invariant()
    def the_rows_are_the_models(self) -> None:
        keys = sorted(self.model.rows)
        assert self.cache.keys() == keys
        assert len(self.cache) == len(keys)
        assert [obj.raw for obj in self.cache.list()] == [self.model.rows[key].raw for key in keys]
        assert (self.cache.resource_version, self.log.resource_version) == (self.model.version, self.model.log.version)
        assert (len(self.log), self.log.oldest) == (
            len(self.model.log.events) - self.model.log.tail,
            self.model.log.floor,
        )

    @invariant()
    def every_change_is_told_once_and_in_order(self) -> None:
        expected = self.reader.read(self.model.log, 1 << 30)
        assert self.told(self.everything, 1 << 30) == expected
        if expected is None:
            self.everything = self.log.cursor()
            self.reader.next = len(self.model.log.events)

    @invariant()
    def what_is_held_stays_as_it_was(self) -> None:
        for snapshot, model in self.snapshots:
            assert (len(snapshot), snapshot.resource_version) == (len(model.rows), model.version)
            assert snapshot.keys() == sorted(model.rows)
            for key in list(model.rows)[:3]:
                self.same(snapshot.get(key), model.rows[key])
        for view, expected in self.views:
            assert view.raw == expected.raw

    def teardown(self) -> None:
        """Views, snapshots and cursors outlive the cache."""
        if not hasattr(self, "cache"):
            return
        logged: list[Logged] = self.model.log.events
        pending = [(cursor, reader) for cursor, reader in self.cursors if reader.next >= self.model.log.tail]
        del self.cache, self.log, self.pages, self.everything
        gc.collect(0)
        for view, expected in self.views:
            self.reads_like(view, expected)
        for snapshot, model in self.snapshots:
            expected_rows = model.list(Selection())
            assert [obj.raw for obj in snapshot.list()] == [item.raw for item in expected_rows]
        for cursor, reader in pending:
            assert self.told(cursor, len(logged) + 1) == reader.read(self.model.log, len(logged) + 1)


TestCacheMachine = CacheMachine.TestCase
TestCacheMachine.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
