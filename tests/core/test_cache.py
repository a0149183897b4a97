"""What a Cache promises, against a dict."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine import Cache, LabelSelector, Object, WatchLog

NAMESPACES = ["", "a", "a-b", "b"]
NODES = [None, "", "n1", "n2"]
SELECTORS = [
    "app=x",
    "app in (x,y)",
    "app!=x",
    "!app",
    "app",
    "app=x,tier=1",
    "tier notin (1),app in (x,z)",
    "app in (q)",
]
FIELDS = [
    "spec.nodeName=n1",
    "spec.nodeName=",
    "spec.nodeName!=n1",
    "metadata.name=o1",
    "spec.nodeName=n2,metadata.name=o2",
]


def document(name: str, namespace: str, version: int, labels: dict[str, str], node: str | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "resourceVersion": str(version), "labels": labels}
    if namespace:
        metadata["namespace"] = namespace
    return {"metadata": metadata, "spec": {} if node is None else {"nodeName": node}}


def key_of(item: dict[str, Any]) -> str:
    namespace = item["metadata"].get("namespace", "")
    return f"{namespace}/{item['metadata']['name']}" if namespace else str(item["metadata"]["name"])


def initials(obj: Object) -> Iterable[str]:
    return [obj.name[:1], *obj.labels]


def matches_field(item: dict[str, Any], selector: str) -> bool:
    fields = {"spec.nodeName": item["spec"].get("nodeName", ""), "metadata.name": item["metadata"]["name"]}
    for term in selector.split(","):
        path, value = term.replace("!=", "=").split("=")
        if (fields[path] == value) == ("!=" in term):
            return False
    return True


Model = dict[str, dict[str, Any]]
LABELS = st.dictionaries(st.sampled_from(["app", "tier"]), st.sampled_from(["x", "y", "z", "1"]))
SPECS = st.tuples(
    st.integers(0, 400).map(lambda i: f"o{i}"), st.sampled_from(NAMESPACES), LABELS, st.sampled_from(NODES)
)


def read(model: Model, namespace: str | None, labels: str, fields: str, limit: int, after: str) -> list[str]:
    selector = LabelSelector.parse(labels)
    keys = [
        key
        for key in sorted(model)
        if (not namespace or model[key]["metadata"].get("namespace") == namespace)
        and selector.matches(model[key]["metadata"]["labels"])
        and (not fields or matches_field(model[key], fields))
        and key > after
    ]
    return keys[:limit] if limit else keys


class CacheMachine(RuleBasedStateMachine):
    """Applies, replaces, late indexes, every kind of read, and snapshots that are held across changes."""

    def __init__(self) -> None:
        super().__init__()
        self.log = WatchLog()
        self.cache = Cache({"node": "spec.nodeName"}, columns=["spec.nodeName"], log=self.log)
        self.cursor = self.log.cursor()
        self.model: Model = {}
        self.version = 0
        self.snapshots: list[tuple[Any, Model, int]] = []
        self.logged: list[tuple[str, str]] = []

    def stamped(self, spec: Any) -> dict[str, Any]:
        self.version += 1
        name, namespace, labels, node = spec
        return document(name, namespace, self.version, labels, node)

    def put(self, item: dict[str, Any]) -> dict[str, Any] | None:
        key = key_of(item)
        old = self.model.get(key)
        self.model[key] = item
        self.logged.append(("MODIFIED" if old else "ADDED", key))
        return old

    @initialize(size=st.sampled_from([0, 300, 700]))
    def start_with_rows(self, size: int) -> None:
        items = [self.stamped((f"o{i}", NAMESPACES[i % 4], {"app": "xyz"[i % 3]}, NODES[i % 4])) for i in range(size)]
        self.cache.replace(items, self.version)
        for item in items:
            self.put(item)

    @rule(spec=SPECS, added=st.booleans(), form=st.sampled_from(["dict", "bytes", "object"]))
    def upsert(self, spec: Any, added: bool, form: str) -> None:
        item = self.stamped(spec)
        given = {"dict": item, "bytes": Object(item).raw, "object": Object(item)}[form]
        old = self.cache.apply("ADDED" if added else "MODIFIED", given)
        assert (old.to_dict() if old else None) == self.put(item)

    @rule(spec=SPECS)
    def delete(self, spec: Any) -> None:
        item = self.stamped(spec)
        old = self.cache.apply("DELETED", item)
        before = self.model.pop(key_of(item), None)
        assert (old.to_dict() if old else None) == before
        if before is not None:
            self.logged.append(("DELETED", key_of(item)))

    @rule(specs=st.lists(st.tuples(SPECS, st.booleans()), max_size=20))
    def batch(self, specs: list[tuple[Any, bool]]) -> None:
        events: list[Any] = [("DELETED" if gone else "MODIFIED", self.stamped(spec)) for spec, gone in specs]
        self.cache.apply_batch(events)
        for type, item in events:
            if type != "DELETED":
                self.put(item)
            elif self.model.pop(key_of(item), None) is not None:
                self.logged.append(("DELETED", key_of(item)))

    @rule(kept=st.floats(0, 1), specs=st.lists(SPECS, max_size=10), paged=st.booleans())
    def replace(self, kept: float, specs: list[Any], paged: bool) -> None:
        wanted = {key: item for i, (key, item) in enumerate(self.model.items()) if i % 100 < kept * 100}
        wanted |= {key_of(item): item for item in map(self.stamped, specs)}
        self.version += 1
        items = list(wanted.values())
        if paged:
            pages = self.cache.replacement(0)
            pages.add(items[:5])
            assert self.cache.keys() == sorted(self.model)
            pages.add(items[5:])
            pages.finish(self.version)
        else:
            self.cache.replace(items, self.version)
        self.logged += [("DELETED", key) for key in sorted(self.model) if key not in wanted]
        old, self.model = self.model, wanted
        for key, item in wanted.items():
            if key not in old:
                self.logged.append(("ADDED", key))
            elif old[key] != item:
                self.logged.append(("MODIFIED", key))

    @rule()
    def hold_a_snapshot(self) -> None:
        self.snapshots.append((self.cache.snapshot(), dict(self.model), self.cache.resource_version))
        del self.snapshots[:-3]

    @rule()
    def add_an_index(self) -> None:
        self.cache.add_index("initials", initials)
        self.cache.add_index("node", "spec.nodeName")

    @rule(
        namespace=st.sampled_from([None, *NAMESPACES]),
        labels=st.sampled_from(["", *SELECTORS]),
        fields=st.sampled_from(["", *FIELDS]),
        limit=st.sampled_from([0, 1, 3, 100]),
        after=st.sampled_from(["", "a", "a/o1", "a-b/o2", "b/", "o20", "zz"]),
    )
    def list(self, namespace: str | None, labels: str, fields: str, limit: int, after: str) -> None:
        found = self.cache.list(namespace, labels, fields, limit=limit, after=after)
        assert [obj.key for obj in found] == read(self.model, namespace, labels, fields, limit, after)
        assert [obj.to_dict() for obj in found] == [self.model[obj.key] for obj in found]
        for snapshot, model, _ in self.snapshots:
            seen = snapshot.list(namespace, labels, fields, limit=limit, after=after)
            assert [obj.key for obj in seen] == read(model, namespace, labels, fields, limit, after)

    @rule(value=st.sampled_from(["", "n1", "n2", "n3"]))
    def by_index(self, value: str) -> None:
        found = self.cache.by_index("node", value)
        keys = [key for key in sorted(self.model) if self.model[key]["spec"].get("nodeName") == value]
        assert [obj.key for obj in found] == self.cache.index_keys("node", value) == keys

    @rule(namespace=st.sampled_from(NAMESPACES))
    def by_namespace(self, namespace: str) -> None:
        keys = [key for key in sorted(self.model) if self.model[key]["metadata"].get("namespace", "") == namespace]
        assert [obj.key for obj in self.cache.by_index("namespace", namespace)] == keys
        assert (namespace in self.cache.index_values("namespace")) == bool(keys)

    @rule()
    def by_function(self) -> None:
        try:
            values = self.cache.index_values("initials")
        except KeyError:
            return
        model: dict[str, list[str]] = {}
        for key in sorted(self.model):
            for value in dict.fromkeys(initials(Object(self.model[key]))):
                model.setdefault(value, []).append(key)
        assert values == sorted(model)
        assert {value: self.cache.index_keys("initials", value) for value in values} == model

    @invariant()
    def rows_are_the_model(self) -> None:
        assert self.cache.keys() == sorted(self.model)
        assert len(self.cache) == len(self.model)
        assert self.cache.resource_version == self.version == self.log.resource_version
        for snapshot, model, version in self.snapshots:
            assert snapshot.keys() == sorted(model)
            assert (len(snapshot), snapshot.resource_version) == (len(model), version)
            for key in list(model)[:5]:
                assert snapshot.get(key).to_dict() == model[key]

    @invariant()
    def every_change_is_logged_once(self) -> None:
        events = self.cursor.next_batch(1 << 20)
        assert [(event.type, event.key) for event in events] == self.logged
        for event in events:
            assert event.revision >= event.object.resource_version
        self.logged.clear()

    @rule()
    def column(self) -> None:
        nodes = self.cache.column("spec.nodeName")
        model = [self.model[key]["spec"].get("nodeName") for key in sorted(self.model)]
        if any(value is not None for value in model):
            assert nodes.tolist() == model


TestCacheMachine = CacheMachine.TestCase
TestCacheMachine.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


def pod(name: str, version: int = 1, node: str = "n1", namespace: str = "a", **labels: str) -> dict[str, Any]:
    return document(name, namespace, version, labels, node)


def refused(obj: Object) -> list[str]:
    if "bad" in obj.labels:
        raise LookupError("no such thing")
    return [obj.name]


def test_a_failing_index_function_rejects_the_item_and_changes_nothing() -> None:
    log = WatchLog()
    cache = Cache({"node": "spec.nodeName", "refused": refused}, log=log)
    cache.apply("ADDED", pod("p1"))
    cursor = log.cursor()
    with pytest.raises(ValueError, match=r"index 'refused' failed for a/p1: no such thing"):
        cache.apply("MODIFIED", pod("p1", 2, "n2", bad="1"))
    with pytest.raises(ValueError, match="a/p3"):
        cache.apply_batch([("ADDED", pod("p2", 3)), ("ADDED", pod("p3", 4, bad="1"))])
    with pytest.raises(ValueError, match="a/p4"):
        cache.replace([pod("p4", 5, bad="1")], 5)
    assert cache.keys() == ["a/p1"]
    assert cache.index_keys("node", "n1") == ["a/p1"]
    assert cache.index_values("refused") == ["p1"]
    assert (cache.resource_version, cursor.next_batch()) == (1, [])


@pytest.mark.parametrize("answer", ["text", [1], None])
def test_an_index_function_returns_strings_in_a_list(answer: Any) -> None:
    cache = Cache({"wrong": lambda obj: answer})
    with pytest.raises(ValueError, match="index 'wrong' failed for a/p1"):
        cache.apply("ADDED", pod("p1"))


def test_the_same_index_again_is_no_change_and_another_source_is_an_error() -> None:
    cache = Cache({"node": "spec.nodeName"})
    cache.add_index("node", "spec.nodeName")
    cache.add_index("namespace", "metadata.namespace")
    for name in ("node", "namespace"):
        with pytest.raises(ValueError, match="exists with another source"):
            cache.add_index(name, "spec.other")
    with pytest.raises(ValueError, match="path"):
        cache.add_index("broken", "a..b")
    with pytest.raises(KeyError):
        cache.by_index("unknown", "x")


def test_an_array_puts_its_object_under_each_element() -> None:
    cache = Cache({"finalizer": "metadata.finalizers", "owner": "metadata.ownerReferences[0].uid"})
    item = pod("p1")
    item["metadata"] |= {"finalizers": ["x", "y", "x"], "ownerReferences": [{"uid": "rs"}]}
    cache.apply("ADDED", item)
    assert cache.index_values("finalizer") == ["x", "y"]
    assert cache.index_keys("owner", "rs") == ["a/p1"]
    cache.apply("MODIFIED", pod("p1", 2))
    assert cache.index_values("finalizer") == cache.index_values("owner") == []


def test_a_deletion_of_an_unknown_key_is_not_logged() -> None:
    log = WatchLog()
    cache = Cache(log=log)
    cursor = log.cursor()
    assert cache.apply("DELETED", pod("p1", 7)) is None
    assert (cursor.next_batch(), cache.resource_version, log.resource_version) == ([], 7, 7)


def test_a_replace_tells_deletions_first_stamped_with_its_revision() -> None:
    log = WatchLog()
    cache = Cache(log=log)
    cache.replace([pod("p1", 1), pod("p2", 2), pod("p3", 3)], 5)
    cursor = log.cursor()
    cache.replace([pod("p0", 4), pod("p2", 2), pod("p3", 8)], 9)
    told = [(e.type, e.key, e.revision, e.object.resource_version) for e in cursor.next_batch()]
    assert told == [("DELETED", "a/p1", 9, 9), ("ADDED", "a/p0", 9, 4), ("MODIFIED", "a/p3", 9, 8)]


def test_an_unfinished_replacement_changes_nothing() -> None:
    cache = Cache()
    cache.apply("ADDED", pod("p1"))
    pages = cache.replacement(9)
    pages.add([pod("p2")])
    del pages
    assert (cache.keys(), cache.resource_version) == (["a/p1"], 1)


def test_a_replacement_ends_once() -> None:
    pages = Cache().replacement(9)
    pages.finish()
    with pytest.raises(RuntimeError, match="finished"):
        pages.finish()


def test_one_thread_writes() -> None:
    cache = Cache()
    cache.apply("ADDED", pod("p1"))
    errors: list[BaseException] = []

    def other() -> None:
        for change in (lambda: cache.apply("ADDED", pod("p2")), lambda: cache.replace([], 3)):
            try:
                change()
            except RuntimeError as error:
                errors.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert len(errors) == 2
    assert cache.keys() == ["a/p1"]


@pytest.mark.parametrize("item", [b"{", b"[]", {}, {"metadata": {}}, 3])
def test_what_is_no_object_with_a_name_is_refused(item: Any) -> None:
    cache = Cache()
    with pytest.raises(ValueError, match=r".+"):
        cache.apply("ADDED", item)
    with pytest.raises(ValueError, match="none of ADDED, MODIFIED, DELETED"):
        cache.apply("BOOKMARK", pod("p1"))  # type: ignore[arg-type]
    assert len(cache) == 0


def test_a_selector_that_cannot_be_parsed_raises() -> None:
    cache = Cache()
    with pytest.raises(ValueError, match="unable to parse requirement"):
        cache.list(label_selector="a in x")
    with pytest.raises(ValueError, match="invalid selector"):
        cache.list(field_selector="a")
    with pytest.raises(ValueError, match="limit"):
        cache.list(limit=-1)


def test_explain_names_the_indexes_and_the_objects_looked_at() -> None:
    cache = Cache({"node": "spec.nodeName"})
    cache.replace([pod(f"p{i}", i + 1, f"n{i % 5}", "ab"[i % 2], app=str(i % 10)) for i in range(100)], 100)
    assert cache.explain(label_selector="app=3") == "labels app=3 (10 rows): 10 objects looked at"
    assert cache.explain(field_selector="spec.nodeName=n1") == "field spec.nodeName (20 rows): 20 objects looked at"
    assert cache.explain("a", field_selector="metadata.name=p2") == "field metadata.name (1 rows): 1 objects looked at"
    assert cache.explain("a") == "namespace a: 50 objects looked at"
    assert cache.explain(field_selector="metadata.namespace=a") == "namespace a: 50 objects looked at"
    assert cache.explain(label_selector="!app") == "labels !app (100 rows): 100 objects looked at"
    assert cache.explain(field_selector="spec.other=x") == "no index: 100 objects looked at"
    both = cache.explain(label_selector="app in (1,2)", field_selector="spec.nodeName=n1")
    assert both == "field spec.nodeName (20 rows), labels app in (1,2) (20 rows): 20 objects looked at"


def test_quantity_columns_are_milli_units_in_key_order() -> None:
    paths = ["spec.containers[0].resources.requests.cpu", "spec.containers[0].resources.requests.memory", "spec.weight"]
    cache = Cache(columns=paths)
    for name, cpu, memory, weight in (("b", "250m", "1Gi", 3), ("a", 2, "1.5k", 0.5), ("c", None, "100u", None)):
        requests = {"memory": memory} | ({} if cpu is None else {"cpu": cpu})
        spec = {"containers": [{"resources": {"requests": requests}}]} | ({} if weight is None else {"weight": weight})
        cache.apply("ADDED", {"metadata": {"name": name}, "spec": spec})
    assert cache.column(paths[0]).tolist() == [2000, 250, 0]
    assert cache.column(paths[1]).tolist() == [1_500_000, 2**30 * 1000, 1]
    np.testing.assert_array_equal(cache.column(paths[2]), [0.5, 3, np.nan])
    assert not cache.column(paths[0]).flags.writeable
    with pytest.raises(KeyError):
        cache.column("spec.other")


def test_get_many_and_membership() -> None:
    cache = Cache()
    cache.apply("ADDED", pod("p1"))
    assert [obj and obj.name for obj in cache.get_many(["a/p1", "a/p2"])] == ["p1", None]
    assert "a/p1" in cache
    assert "a/p2" not in cache
    assert 3 not in cache


def test_advance_moves_the_cache_and_its_log_forward_only() -> None:
    log = WatchLog()
    cache = Cache(log=log)
    cache.advance(9)
    cache.advance(4)
    assert (cache.resource_version, log.resource_version) == (9, 9)


def test_nbytes_grows_and_shrinks_with_the_content() -> None:
    cache = Cache({"node": "spec.nodeName"})
    empty = cache.nbytes
    cache.replace([pod(f"p{i}", i + 1) for i in range(1000)], 1000)
    full = cache.stats()
    assert full["objects"] == full["records"] == 1000
    assert full["bytes"] == cache.nbytes > empty + 1000 * 30
    cache.replace([], 1001)
    assert cache.stats()["records"] == 0
    assert cache.nbytes < full["bytes"] / 3


def test_stats_tell_the_bytes_by_part() -> None:
    cache = Cache({"node": "spec.nodeName", "initials": initials}, columns=["spec.nodeName", "status.phase"])
    cache.apply("ADDED", pod("p1", 7))
    stats = cache.stats()
    parts = [stats[f"{part}_bytes"] for part in ("record", "template", "prefix", "row", "column")]
    assert stats["bytes"] == sum(parts) + stats["spare_bytes"]
    assert min(parts) > 0
    assert (stats["columns"], stats["indexes"], stats["snapshots"]) == (4, 3, 0)  # labels, two paths, a function
    assert stats["resource_version"] == 7


def test_a_malformed_quantity_counts_as_none_and_is_told() -> None:
    path = "spec.requests.cpu"
    cache = Cache(columns=[path])
    cache.apply_batch([("ADDED", {"metadata": {"name": n}, "spec": {"requests": {"cpu": n}}}) for n in ("1", "many")])
    assert cache.column(path).tolist() == [1000, 0]
    assert cache.stats()["malformed"] == 1


@pytest.mark.parametrize("write", ["apply", "batch", "replace", "page", "index", "advance"])
def test_an_index_function_cannot_write_to_the_cache_that_asks_it(write: str) -> None:
    cache = Cache()
    pages = cache.replacement(9)
    writes: dict[str, Callable[[], Any]] = {
        "apply": lambda: cache.apply("ADDED", pod("p2")),
        "batch": lambda: cache.apply_batch([]),
        "replace": lambda: cache.replace([], 9),
        "page": lambda: pages.add([]),
        "index": lambda: cache.add_index("other", "spec.other"),
        "advance": lambda: cache.advance(9),
    }

    def writing(obj: Object) -> list[str]:
        assert cache.keys() == []  # to read is fine
        writes[write]()
        return []

    cache.add_index("writing", writing)
    with pytest.raises(ValueError, match="index 'writing' failed for a/p1: Cache is being written"):
        cache.apply("ADDED", pod("p1"))
    assert (cache.keys(), cache.resource_version) == ([], 0)


def test_an_index_that_fails_for_an_object_there_is_not_added() -> None:
    cache = Cache()
    cache.replace([pod("p1"), pod("p2", 2, bad="1")], 2)
    with pytest.raises(ValueError, match="index 'refused' failed for a/p2"):
        cache.add_index("refused", refused)
    with pytest.raises(KeyError):
        cache.index_values("refused")
    assert cache.stats()["columns"] == 1
    cache.add_index("refused", initials)
    assert cache.index_values("refused") == ["bad", "p"]


def test_an_index_added_between_pages_holds_them_too() -> None:
    cache = Cache()
    pages = cache.replacement(9)
    pages.add([pod("p1", app="x")])
    cache.add_index("node", "spec.nodeName")
    cache.add_index("initials", initials)
    pages.add([pod("p2", 2, "n2")])
    pages.finish()
    assert [cache.index_keys("node", node) for node in ("n1", "n2")] == [["a/p1"], ["a/p2"]]
    assert cache.index_keys("initials", "p") == ["a/p1", "a/p2"]
    assert cache.index_keys("initials", "app") == ["a/p1"]


def test_what_is_refused_is_named_by_its_key() -> None:
    cache = Cache()
    with pytest.raises(ValueError, match=r"^a/p1: .+"):
        cache.apply_batch([("ADDED", pod("p0")), ("ADDED", b'{"metadata":{"name":"p1","namespace":"a"},"x":01}')])
    assert len(cache) == 0


def test_an_object_of_the_cache_may_be_given_back_to_it() -> None:
    cache = Cache({"node": "spec.nodeName"})
    cache.apply("ADDED", pod("p1", 1, "n1", app="x"))
    first = cache.get("a/p1")
    assert first is not None
    cache.apply("MODIFIED", pod("p1", 2, "n2"))
    cache.apply("MODIFIED", first)
    cache.apply("MODIFIED", first)
    assert cache.get("a/p1") == first
    assert (cache.index_keys("node", "n1"), cache.index_keys("node", "n2")) == (["a/p1"], [])
    assert [obj.key for obj in cache.list(label_selector="app=x")] == ["a/p1"]
    assert first.get_path("spec.nodeName") == "n1"
    cache.apply("DELETED", first)
    assert cache.keys() == []


def alike(number: int, version: int, label: str = "x", node: str = "n1", phase: str = "Running") -> bytes:
    """One of many pods that differ in little, so that the cache knows what of them is as it was."""
    owner = [{"kind": "ReplicaSet", "name": "web-5d4f8", "uid": "3f2504e0-4f89-41d3-9a0c-0305e82c3301"}]
    labels = {"app": label, "team": "shop"}
    metadata = {"name": f"web-5d4f8-{number:05}", "namespace": "a", "resourceVersion": str(version)}
    return orjson.dumps(
        {
            "metadata": metadata | {"labels": labels, "ownerReferences": owner},
            "spec": {"nodeName": node, "image": "registry.example.com/shop/web:1.2.3"},
            "status": {"phase": phase, "hostIP": f"10.0.{number % 7}.{number % 250}"},
        }
    )


def full_of_pods(**settings: Any) -> Cache:
    cache = Cache({"node": "spec.nodeName", "owner": "metadata.ownerReferences[0].uid"}, **settings)
    cache.replace([alike(number, 1) for number in range(40)], 1)
    for version in range(2, 6):
        cache.apply_batch([("MODIFIED", alike(number, version, phase=f"Phase{version}")) for number in range(40)])
    return cache


def test_what_a_batch_changes_and_changes_back_is_found_as_it_was() -> None:
    cache = full_of_pods()
    cache.apply_batch(
        [
            ("MODIFIED", alike(7, 10, label="y", node="n2")),
            ("MODIFIED", alike(7, 11)),
            ("MODIFIED", alike(8, 12)),
            ("MODIFIED", alike(8, 13, label="y", node="n2")),
            ("DELETED", alike(9, 14)),
            ("ADDED", alike(9, 15)),
            ("DELETED", alike(10, 16)),
            ("MODIFIED", alike(11, 17, label="y")),
            ("DELETED", alike(11, 18)),
            ("ADDED", alike(11, 19)),
        ]
    )
    assert [pod.key for pod in cache.list(label_selector="app=y")] == ["a/web-5d4f8-00008"]
    assert cache.index_keys("node", "n2") == ["a/web-5d4f8-00008"]
    assert len(cache.list(label_selector="app=x,team=shop")) == 38
    assert cache.index_size("node", "n1") == 38
    assert cache.index_size("owner", "3f2504e0-4f89-41d3-9a0c-0305e82c3301") == 39


def test_a_column_of_what_every_write_changes_follows() -> None:
    cache = full_of_pods(columns=("metadata.resourceVersion", "status.phase"))
    cache.apply_batch([("MODIFIED", alike(number, 20 + number, phase="Phase5")) for number in range(40)])
    assert list(cache.column("metadata.resourceVersion")) == [str(20 + number) for number in range(40)]
    assert set(cache.column("status.phase")) == {"Phase5"}
    assert cache.get("a/web-5d4f8-00003").get_path("metadata.resourceVersion") == "23"  # type: ignore[union-attr]


def test_an_index_added_later_knows_what_did_not_change() -> None:
    cache = full_of_pods()
    page = cache.replacement(30)
    page.add([alike(number, 30) for number in range(40)])
    cache.apply_batch([("MODIFIED", alike(3, 29, label="y"))])  # between the pages of a list
    cache.add_index("phase", "status.phase")
    page.finish()
    assert cache.index_size("phase", "Running") == 40
    assert len(cache.list(label_selector="app=x")) == 40


def test_what_changes_between_the_pages_of_a_list_is_undone_by_it() -> None:
    """Whatever memory the records in between were given."""
    cache = full_of_pods()
    page = cache.replacement(30)
    page.add([alike(number, 30) for number in range(40)])
    for version in range(6, 26):
        cache.apply_batch([("MODIFIED", alike(number, version, label="y", node="n2")) for number in range(40)])
    page.finish()
    assert (cache.index_size("node", "n1"), cache.index_size("node", "n2")) == (40, 0)
    assert len(cache.list(label_selector="app=x")) == 40


def test_the_first_of_siblings_takes_no_more_than_the_others() -> None:
    def pods(owner: int) -> list[bytes]:
        image = "-".join(f"{owner}.{part}" for part in range(40)).encode()
        return [
            alike(number, 1).replace(b"web-5d4f8", b"web-%d" % owner).replace(b"1.2.3", image) for number in range(6)
        ]

    listed, one_by_one = Cache(), Cache()
    listed.replace([raw for owner in range(100) for raw in pods(owner)], 1)
    for owner in range(100):
        for raw in pods(owner):
            one_by_one.apply("ADDED", raw)
    assert [pod.raw for pod in listed.list()] == [pod.raw for pod in one_by_one.list()]
    assert listed.stats()["record_bytes"] < 0.75 * one_by_one.stats()["record_bytes"]


def test_an_object_twice_in_a_batch_or_a_list_ends_as_the_last() -> None:
    cache = Cache({"node": "spec.nodeName"})
    cache.apply_batch(
        [("ADDED", pod("p1")), ("DELETED", pod("p1", 2)), ("ADDED", pod("p1", 3, "n3")), ("ADDED", pod("p1", 4, "n4"))]
    )
    assert (cache.index_values("node"), len(cache)) == (["n4"], 1)
    cache.replace([pod("p1", 5, "n5"), pod("p2", 6), pod("p1", 7, "n7")], 8)
    assert (cache.index_values("node"), cache.keys()) == (["n1", "n7"], ["a/p1", "a/p2"])


def test_an_object_may_have_more_labels_than_hashes_tell_apart() -> None:
    labels = {f"l{i}": str(i) for i in range(100_000)}  # about ten pairs of them have the same 31 bits of hash
    cache = Cache()
    cache.apply("ADDED", pod("p1", 1, **labels))
    cache.apply("MODIFIED", pod("p1", 2, **(labels | {"l7": "other"})))
    assert [obj.key for obj in cache.list(label_selector="l7=other,l99999=99999")] == ["a/p1"]
    assert cache.list(label_selector="l7=7") == []


def test_a_page_of_a_list_is_a_page_however_it_is_found() -> None:
    cache = Cache({"node": "spec.nodeName"})
    cache.replace([pod(f"p{i:04d}", i + 1, f"n{i % 3}", app=str(i % 2), one=str(i)) for i in range(2000)], 2000)
    for labels, fields in (("app=1", ""), ("app=1", "spec.nodeName=n1"), ("one in (3,999,1001)", ""), ("app!=1", "")):
        everything = [obj.key for obj in cache.list(label_selector=labels, field_selector=fields)]
        pages: list[str] = []
        while page := cache.list("a", labels, fields, limit=7, after=pages[-1] if pages else ""):
            pages += [obj.key for obj in page]
        assert pages == everything != []


def test_views_of_the_content_outlive_the_cache() -> None:
    cache = Cache({"node": "spec.nodeName"})
    cache.replace([pod(f"p{i}", i + 1, app="x") for i in range(10)], 10)
    views, snapshot = cache.list(label_selector="app=x"), cache.snapshot()
    del cache
    assert [view.to_dict() for view in views] == [pod(f"p{i}", i + 1, app="x") for i in range(10)]
    assert views[3].get_path("spec.nodeName") == "n1"
    assert [obj.raw for obj in snapshot.list(label_selector="app=x")] == [view.raw for view in views]


def test_a_value_of_one_row_alone_changes_its_kind() -> None:
    """A number has a term of its own, a plain text has none; under the sanitizers neither sorts what is not there."""
    cache = Cache({"weight": "spec.weight"})
    for weight, text in ((7, "7"), ("a", "a"), (1.5, "1.5"), (["b", "c"], "b"), ("d", "d")):
        cache.apply("MODIFIED", {"metadata": {"name": "one"}, "spec": {"weight": weight}})
        assert [obj.key for obj in cache.by_index("weight", text)] == ["one"]


def test_an_object_may_have_more_labels_than_slots_tell_apart() -> None:
    """So many that two terms of one value meet in the bits that a slot keeps of their hash."""
    labels = {f"label-{number}": "here" for number in range(100_000)}
    cache = Cache()
    for _ in range(2):
        cache.apply("ADDED", {"metadata": {"name": "one", "labels": labels}})
        labels["label-7"] += "-again"
    assert cache.index_size("namespace", "") == 1
    for selector in ("label-0=here", "label-99999", "label-7=here-again"):
        assert [obj.key for obj in cache.list(label_selector=selector)] == ["one"]
    assert not cache.list(label_selector="label-7=here")
    assert not cache.list(label_selector="label-100000")
    cache.apply("DELETED", {"metadata": {"name": "one"}})
    assert not cache.list(label_selector="label-99999")


def test_a_replacement_of_the_same_revision_and_other_bytes_is_one() -> None:
    """A server that lost its data counts anew."""
    log = WatchLog()
    cache = Cache(log=log)
    cache.replace([pod("p0", 5, "n0"), pod("p1", 6, "n1")], 6)
    cache.replace([pod("p0", 5, "n0"), pod("p1", 6, "n2")], 7)
    assert [obj.get_path("spec.nodeName") for obj in cache.list()] == ["n0", "n2"]
    assert [event.key for event in log.cursor(6).next_batch()] == ["a/p1"]
