"""What a cache's store promises: in goes what a strict parser calls an object with a name; out come the same bytes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Literal

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Cache, Object, WatchLog
from tests.core.documents import (
    CHANGES,
    MAX_DEPTH,
    NUMBERS,
    STYLES,
    TEXTS,
    VALUES,
    Change,
    Number,
    Spec,
    changed,
    key_of,
    made,
    named,
    pod,
    strict,
    written,
)
from tests.core.model import at

FULL = bool(os.environ.get("ENGINE_FULL"))
OWNERS, IMAGE = 10, 400  # of a test: their number, bytes of what their objects share
MUTANTS = 1_000_000 if FULL else 6_000


def compact(document: Any) -> bytes:
    return written(document).encode()


# Paths that a cache looks for on the way in.
WATCHED: dict[str, tuple[str | int, ...]] = {
    "spec.nodeName": ("spec", "nodeName"),
    "status.phase": ("status", "phase"),
    "metadata.ownerReferences[0].uid": ("metadata", "ownerReferences", 0, "uid"),
    "metadata.labels['app']": ("metadata", "labels", "app"),
}


def watching() -> Cache:
    return Cache({path: path for path in WATCHED}, columns=["status.phase", "spec.priority"])


def held(items: Iterable[bytes]) -> Cache:
    cache = watching()
    cache.apply_batch([("ADDED", item) for item in items])
    return cache


def replicas(count: int, owner: int = 0) -> list[bytes]:
    return [made(Spec(owner, number), number + 1) for number in range(count)]


def exactly(found: Object | None, raw: bytes) -> None:
    """The same bytes. Told by the first difference: a diff of megabytes takes for ever."""
    assert found is not None
    held = found.raw
    if held != raw:
        place = next((i for i, (a, b) in enumerate(zip(held, raw, strict=False)) if a != b), min(len(held), len(raw)))
        near = slice(max(0, place - 30), place + 30)
        pytest.fail(f"byte {place} of {len(raw)}: {held[near]!r} for {raw[near]!r}")


def comes_back(cache: Cache, raw: bytes) -> None:
    cache.apply("MODIFIED", raw)
    key = key_of(orjson.loads(raw))
    found = cache.get(key)
    exactly(found, raw)
    assert found is not None
    assert found.key == key


def equal(one: Any, other: Any) -> bool:
    """What == says, at any depth."""
    pairs = [(one, other)]
    while pairs:
        one, other = pairs.pop()
        if type(one) is not type(other):
            return False
        if isinstance(one, dict):
            if list(one) != list(other):
                return False
            pairs += zip(one.values(), other.values(), strict=True)
        elif isinstance(one, list):
            if len(one) != len(other):
                return False
            pairs += zip(one, other, strict=True)
        elif one != other:
            return False
    return True


# --- Near-copies ------------------------------------------------------------------------------------------------------

CHANGED = st.builds(Change, st.sampled_from(sorted(CHANGES)), st.integers(0, 99), st.integers(0, len(VALUES) - 1))
ALIKE = st.builds(
    Spec,
    owner=st.integers(0, 1),
    number=st.integers(0, 300),
    namespace=st.sampled_from(["", "shop", "a"]),
    changes=st.lists(CHANGED, max_size=2).map(tuple),
    style=st.sampled_from(["compact", "compact", *STYLES]),
    seed=st.integers(0, 50),
)


@settings(max_examples=20_000 if FULL else 150, deadline=None)
@given(specs=st.lists(ALIKE, min_size=2, max_size=40), siblings=st.sampled_from([0, 1, 2, 10]), data=st.data())
def test_near_copies_come_back_exactly_in_any_order(specs: list[Spec], siblings: int, data: st.DataObject) -> None:
    cache = held(replicas(siblings))
    raws = {key_of(json.loads(raw)): raw for raw in replicas(siblings)}
    views = []
    for version, spec in enumerate(specs):
        raw = made(spec, version)
        comes_back(cache, raw)
        raws[key_of(json.loads(raw))] = raw
        views.append((cache.get(key_of(json.loads(raw))), raw))
    gone = data.draw(st.lists(st.sampled_from(sorted(raws)), max_size=5, unique=True))
    for key in gone:
        cache.apply("DELETED", raws.pop(key))
    assert {obj.key: obj.raw for obj in cache.list()} == raws
    del cache
    for view, raw in views:
        assert view is not None
        exactly(view, raw)
        assert view.to_dict() == json.loads(raw)


@pytest.mark.parametrize("style", STYLES)
def test_every_value_may_stand_in_every_place(style: str) -> None:
    """Each leaf of a pod is each odd value once, among siblings that have something else there."""
    cache = held(replicas(20))
    base = json.loads(replicas(1)[0])
    count = len(list(_leaves(base)))
    values = VALUES if FULL else [VALUES[i] for i in range(STYLES.index(style), len(VALUES), len(STYLES))]
    for place in range(count):
        for number, value in enumerate(values):
            document = json.loads(replicas(1)[0])
            container, step = list(_leaves(document))[place]
            container[step] = value
            comes_back(cache, written(document, style, Random(number)).encode())


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterable[tuple[Any, Any]]:
    for step, member in value.items() if isinstance(value, dict) else enumerate(value):
        here = (*path, step)
        if isinstance(member, dict | list):
            yield from _leaves(member, here)
        elif here not in (("metadata", "name"), ("metadata", "namespace")):
            yield value, step


@pytest.mark.parametrize("siblings", [0, 1, 2, 20])
def test_a_path_is_found_by_its_keys_and_not_by_where_it_stood(siblings: int) -> None:
    """Alike objects whose members have other names, or the same ones in another order."""
    members = [("nodeName", "n1"), ("nodename", "n2"), ("nodeNamf", "n3"), ("\u006eodeName", "n4"), ("host", "n5")]
    bodies = [[members[0]], [members[1]], [members[3]], [members[0], members[4]], [members[4], members[0]]]
    bodies += [[members[1], members[2]], [members[2], members[0]], [], [members[4]]]
    cache = watching()
    for turn in range(3):
        for number, body in enumerate(bodies[turn:] + bodies[:turn]):
            inside = ",".join(f'"{name}":"{value}"' for name, value in body)
            raws = [
                b'{"metadata":{"name":"web-%d-%d"},"spec":{"containers":[{"name":"a"}],%s"x":"y"}}'
                % (number, i, f"{inside}{',' if inside else ''}".encode())
                for i in range(siblings + 1)
            ]
            for raw in raws:
                comes_back(cache, raw)
                obj = cache.get(key_of(json.loads(raw)))
                assert obj is not None
                document = json.loads(raw)
                assert obj.get_path("spec.nodeName") == document["spec"].get("nodeName")
                for _, value in members:
                    has = document["spec"].get("nodeName") == value
                    assert (obj.key in cache.index_keys("spec.nodeName", value)) == has
                    selected = cache.list(field_selector=f"spec.nodeName={value}")
                    assert (obj.key in [one.key for one in selected]) == has


def test_a_status_that_changes_all_the_time_comes_back() -> None:
    """Thousands of versions of few objects: what is shared is released and taken again."""
    cache = held(replicas(30))
    random = Random(1)
    for version in range(20_000 if FULL else 2_000):
        document = pod(Spec(0, version % 30), version)
        status = document["status"]
        status["conditions"] = [
            {"type": kind, "status": random.choice(["True", "False"]), "reason": random.choice(TEXTS)}
            for kind in random.sample(["Ready", "Initialized", "PodScheduled", "ContainersReady"], random.randrange(5))
        ]
        if version % 100 == 99:
            document["metadata"]["annotations"] = {f"k{i}": "v" * random.randrange(50) for i in range(version // 100)}
        comes_back(cache, compact(document))


def test_objects_that_come_and_go_leave_nothing_behind() -> None:
    """The memory of a cache after many generations of unlike objects is that of one."""
    cache = Cache()

    def generation(number: int) -> None:
        for i in range(60):
            document = pod(Spec(i % 4, i), number)
            document["spec"][f"only{number}"] = {f"member{i % 5}": "x" * (number % 50)}
            comes_back(cache, compact(document))
        cache.replace([], number + 1)

    for number in range(20):
        generation(number)
    after_few = cache.nbytes
    for number in range(20, 60):
        generation(number)
    assert cache.nbytes <= after_few + 16_384


# --- Hostile objects --------------------------------------------------------------------------------------------------


def _nested(levels: int, brackets: str) -> bytes:
    """An object whose innermost container is so many levels deep, the object itself counted."""
    opened = (b'{"a":' if brackets == "{}" else b"[") * (levels - 2)
    closed = brackets[1].encode() * (levels - 2)
    return b'{"metadata":{"name":"deep"},"spec":{"a":%s1%s}}' % (opened, closed)


def _unique(number: int) -> bytes:
    random = Random(number)

    def value(depth: int) -> Any:
        if depth == 0 or random.random() < 0.3:
            return random.choice([random.random(), f"{random.getrandbits(64):x}", random.getrandbits(80), None, True])
        if random.random() < 0.3:
            return [value(depth - 1) for _ in range(random.randrange(4))]
        return {f"{random.getrandbits(40):x}": value(depth - 1) for _ in range(random.randrange(5))}

    return compact({f"k{number}": value(5), "metadata": {"name": f"unique-{number}"}, "spec": value(5)})


HOSTILE: dict[str, Callable[[], bytes]] = {
    "1 MB in one string": lambda: compact({"metadata": {"name": "big"}, "data": {"blob": "x" * (1 << 20)}}),
    "1 MB in a string of quotes": lambda: compact({"metadata": {"name": "q"}, "data": '"\\' * (1 << 18)}),
    "1 MB in many members": lambda: compact(
        {"metadata": {"name": "wide"}, "data": {f"key-{i}": f"value-{i}" for i in range(40_000)}}
    ),
    "1 MB in an array": lambda: compact({"metadata": {"name": "long"}, "data": list(range(150_000))}),
    "1 MB of white space": lambda: b'{"metadata":' + b" " * (1 << 20) + b'{"name":"blank"}}' + b"\n" * 1000,
    "10,000 labels": lambda: compact({"metadata": {"name": "l", "labels": {f"l{i}": str(i) for i in range(10_000)}}}),
    "10,000 owners": lambda: compact({"metadata": {"name": "o", "ownerReferences": [{"uid": "u"}] * 10_000}}),
    "objects 1,000 deep": lambda: _nested(1_000, "{}"),
    "arrays 1,000 deep": lambda: _nested(1_000, "[]"),
    "long name": lambda: compact({"metadata": {"name": "n" * 8_000, "namespace": "s" * 8_000}}),
    "a name of escapes": lambda: b'{"metadata":{"name":"\\u0061\\"\\ud83d\\ude00","namespace":"\\u006es"}}',
    "keys of escapes": lambda: b'{"\\u006detadata":{"n\\u0061me":"spelled","labels":{"\\u0061":"\\u0062"}}}',
    "empty keys": lambda: b'{"":{"":""},"metadata":{"name":"x","":[]},"spec":{"":{}}}',
    "NUL in text": lambda: b'{"metadata":{"name":"nul","annotations":{"a\\u0000b":"\\u0000"}}}',
    "metadata last": lambda: b'{"status":{"phase":"Running"},"spec":{"nodeName":"n"},"metadata":{"name":"x"}}',
    "managedFields in the middle": lambda: (
        b'{"metadata":{"a":1,"managedFields":[{"manager":"m","fieldsV1":{"f:x":{}}}],"name":"x","z":2},"spec":{}}'
    ),
    "managedFields that are none": lambda: b'{"metadata":{"managedFields":{"a":[]},"name":"x"},"managedFields":7}',
    "no spec": lambda: b'{"metadata":{"name":"x"}}',
    "sections that are no objects": lambda: b'{"metadata":{"name":"x"},"spec":[1,{"a":2}],"status":"gone"}',
    "spec twice removed": lambda: b'{"spec":{"spec":{"metadata":{"name":"inner"}}},"metadata":{"name":"outer"}}',
    "space everywhere": lambda: b' \t\r\n{ "metadata" \n: {\r "name"\t:\n"x" , "labels" : { } } , "spec" : [ ] }\n\n',
    "numbers of all sorts": lambda: compact(
        {"metadata": {"name": "numbers"}, "spec": {f"n{i}": Number(text) for i, text in enumerate(NUMBERS)}}
    ),
    "texts of all sorts": lambda: compact({"metadata": {"name": "texts"}, "spec": dict(enumerate_texts())}),
    "labels that are no text": lambda: b'{"metadata":{"name":"x","labels":{"a":1,"b":null,"c":["d"],"e":{}}}}',
    "labels that are no object": lambda: b'{"metadata":{"name":"x","labels":["a"],"finalizers":{},"uid":7}}',
    "a version that is none": lambda: b'{"metadata":{"name":"x","resourceVersion":"0x12","uid":"","generation":"1"}}',
    "a version beyond 64 bits": lambda: b'{"metadata":{"name":"x","resourceVersion":"99999999999999999999"}}',
    "a namespace that is none": lambda: b'{"metadata":{"name":"x","namespace":{"a":1}}}',
    "an empty namespace": lambda: b'{"metadata":{"name":"x","namespace":""}}',
}


def enumerate_texts() -> Iterable[tuple[str, str]]:
    return ((f"t{i}", text) for i, text in enumerate(TEXTS))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_objects_come_back(name: str) -> None:
    """First of their kind, and again, beside ordinary ones; they can be read, and deleted."""
    raw = HOSTILE[name]()
    log = WatchLog()
    cache = Cache({"node": "spec.nodeName", "uid": "metadata.ownerReferences[0].uid"}, log=log)
    cursor = log.cursor()
    for item in [*replicas(3), raw, *replicas(5), raw]:
        comes_back(cache, item)
    view = cache.get(key_of(orjson.loads(raw)))
    assert view is not None
    assert equal(view.to_dict(), orjson.loads(raw) if b"deep" in raw else json.loads(raw))
    assert view.get_path("spec.nodeName") == Object(raw).get_path("spec.nodeName")
    for selector in ("app=web0", "a", "!a", "a in (b),!x"):
        for obj in cache.list(label_selector=selector):
            assert obj.raw in (raw, *replicas(5))
    cache.replace([], 1_000)
    assert {event.object.resource_version for event in cursor.next_batch() if event.type == "DELETED"} == {1_000}
    exactly(view, raw)
    assert len(cache) == 0


def test_an_object_may_have_labels_by_the_thousand() -> None:
    """So many that some look alike to whatever finds them."""
    cache = Cache()
    cache.list(label_selector="a=b")
    for number in range(100 if FULL else 12):
        labels = {f"l{i}": f"{number}-{i}" for i in range(3_000)}
        comes_back(cache, compact({"metadata": {"name": f"o{number}", "labels": labels}}))
        for i in range(0, 3_000, 500):
            assert [obj.name for obj in cache.list(label_selector=f"l{i}={number}-{i}")] == [f"o{number}"]


def test_objects_with_nothing_in_common_come_back() -> None:
    raws = [_unique(number) for number in range(2_000 if FULL else 300)]
    cache = held(raws)
    assert {obj.raw for obj in cache.list()} == set(raws)
    for raw in reversed(raws):
        comes_back(cache, raw)
        cache.apply("DELETED", raw)
    assert len(cache) == 0


@pytest.mark.parametrize("brackets", ["{}", "[]"])
def test_nesting_ends_at_a_bound(brackets: str) -> None:
    cache = Cache()
    comes_back(cache, _nested(MAX_DEPTH, brackets))
    with pytest.raises(ValueError, match="deep"):
        cache.apply("ADDED", _nested(MAX_DEPTH + 1, brackets))
    with pytest.raises(ValueError, match="deep"):
        cache.apply("ADDED", _nested(1_000_000, brackets))


# --- Refusals ---------------------------------------------------------------------------------------------------------

REFUSED = {
    "nothing": (b"", r".+"),
    "an array": (b'[{"metadata":{"name":"x"}}]', "JSON object"),
    "a text": (b'"metadata"', "JSON object"),
    "null": (b"null", "JSON object"),
    "no metadata": (b"{}", "metadata.name"),
    "metadata that is none": (b'{"metadata":[]}', "metadata.name"),
    "no name": (b'{"metadata":{"namespace":"a"}}', "metadata.name"),
    "an empty name": (b'{"metadata":{"name":""}}', "metadata.name"),
    "a name that is no text": (b'{"metadata":{"name":7}}', "metadata.name"),
    "a name in the wrong place": (b'{"name":"x","spec":{"metadata":{"name":"x"}}}', "metadata.name"),
    "a key twice": (b'{"metadata":{"name":"x"},"spec":{"a":1,"b":[0,{"c":1,"d":2,"c":3}]}}', r"spec\.b\[1\]\.c"),
    "a key twice, spelled twice": (b'{"metadata":{"name":"x"},"spec":{"a":1,"\\u0061":2}}', r"spec\.a"),
    "two metadata": (b'{"metadata":{"name":"x"},"metadata":{"name":"y"}}', "metadata"),
    "a control character": (b'{"metadata":{"name":"x"},"a":"b\nc"}', "(2[4-9]|3[01])"),
    "a control character in a key": (b'{"metadata":{"name":"x"},"a\x00":1}', "2[4-9]"),
    "a byte that is no UTF-8": (b'{"metadata":{"name":"x"},"a":"\xff"}', "[23][0-9]"),
    "half a surrogate pair": (b'{"metadata":{"name":"x"},"a":"\\ud800"}', "[23][0-9]"),
    "a surrogate in UTF-8": (b'{"metadata":{"name":"x"},"a":"\xed\xa0\x80"}', "[23][0-9]"),
    "a number beyond a double": (b'{"metadata":{"name":"x"},"a":1e400}', "[23][0-9]"),
    "a leading zero": (b'{"metadata":{"name":"x"},"a":01}', "[23][0-9]"),
    "NaN": (b'{"metadata":{"name":"x"},"a":NaN}', "[23][0-9]"),
    "a comma too many": (b'{"metadata":{"name":"x"},}', "2[4-6]"),
    "an end too early": (b'{"metadata":{"name":"x"}', "2[3-5]"),
    "something behind": (b'{"metadata":{"name":"x"}} x', "2[4-7]"),
    "a byte order mark": (b'\xef\xbb\xbf{"metadata":{"name":"x"}}', "0"),
    "a comment": (b'{"metadata":{"name":"x"}/**/}', "2[4-5]"),
    "single quotes": (b"{'metadata':{'name':'x'}}", "1"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_a_strict_parser_refuses_is_refused_and_told_where(why: str) -> None:
    raw, told = REFUSED[why]
    cache = held(replicas(3))
    before = [obj.raw for obj in cache.list()]
    for change in (
        lambda: cache.apply("ADDED", raw),
        lambda: cache.apply_batch([("ADDED", raw)]),
        lambda: cache.replace([raw], 99),
        lambda: cache.replacement(99).add([raw]),
    ):
        with pytest.raises(ValueError, match=told):
            change()
    assert [obj.raw for obj in cache.list()] == before


# --- Fuzz -------------------------------------------------------------------------------------------------------------

BYTES = [bytes([value]) for value in b'"\\{}[],:0129-+.eEtfnu/aAzZ \n\x00\x1f\x7f\x80\xc3\xe2\xff']
BITS = [
    b'"', b'\\"', b"\\u0041", b"\\ud83d", b"\\ude00", b"\xc3\xa9", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"00",
    b"1e400",
    b"true", b"null", b"{}", b"[]", b",", b'"a":1,', b'"name":"x",', b"}{", b"]]", b" ", b"-", b"\x00",
]  # fmt: skip


def verdict(raw: bytes) -> str | None:
    """The key under which a cache must hold it; None: it must be refused."""
    try:
        document = strict(raw)
    except (ValueError, RecursionError):
        return None
    return key_of(document) if named(document) else None


def judge(cache: Cache, raw: bytes) -> None:
    expected = verdict(raw)
    try:
        cache.apply("MODIFIED", raw)
    except ValueError:
        assert expected is None, raw
        return
    assert expected is not None, raw
    found = cache.get(expected)
    assert found is not None, raw
    exactly(found, raw)
    found_by_paths(cache, found, strict(raw))


def found_by_paths(cache: Cache, found: Object, document: Any) -> None:
    for text, path in WATCHED.items():
        value = at(document, path)
        assert found.get_path(text) == value, (text, found.raw)
        for posted in [value] if isinstance(value, str) else []:
            assert cache.index_size(text, posted) > 0, (text, found.raw)
            if cache.index_size(text, posted) < 100:
                assert found.key in cache.index_keys(text, posted), (text, found.raw)
        if value is None:
            assert found.key not in cache.index_keys(text, "n1"), (text, found.raw)


def mutant(raw: bytes, random: Random) -> bytes:
    """A few bytes changed, taken out, put in, doubled or swapped."""
    for _ in range(random.choice([1, 1, 1, 2, 5])):
        start = random.randrange(len(raw))
        end = start + random.choice([0, 1, 1, 2, 4, 20])
        piece = raw[start:end]
        new = random.choice([random.choice(BYTES), random.choice(BITS), b"", piece * 2, bytes([random.randrange(256)])])
        raw = raw[:start] + new + raw[end:]
        if not raw:
            return b"{}"
    return raw


def test_every_byte_of_a_pod_changed_is_judged_as_a_strict_parser_does() -> None:
    """Beside many like it: what is compared with them is not looked at less closely than the first was."""
    siblings = replicas(40)
    subject = made(Spec(0, 500), 77)
    cache = held([*siblings, subject])
    changes = [*BYTES, b""] if FULL else [b'"', b"\\", b"\x00", b"0", b"}", b"\xff", b""]
    for place, byte in enumerate(subject):
        before, behind = subject[:place], subject[place + 1 :]
        for new in changes:
            judge(cache, before + new + behind)
        judge(cache, before + bytes([byte ^ 1 << place % 8]) + behind)
        judge(cache, before + BITS[place % len(BITS)] + subject[place:])
        if place % 5 == 0:
            judge(cache, before)
        if place % 200 == 0:
            cache.apply("MODIFIED", subject)
    assert [cache.get(key_of(json.loads(raw))) is not None for raw in siblings] == [True] * len(siblings)


def test_mutants_are_judged_as_a_strict_parser_does() -> None:
    random = Random(20_26)
    subjects = [made(Spec(owner, 600, style=style), 78) for owner in range(2) for style in STYLES]
    subjects += [raw() for name, raw in HOSTILE.items() if "1 MB" not in name and "1,000" not in name]
    subjects = [raw for raw in subjects if len(raw) < 4_000]
    cache = watching()
    for number in range(MUTANTS):
        if number % 5_000 == 0:
            cache.replace(replicas(40) + replicas(20, 1), number)
        judge(cache, mutant(random.choice(subjects), random))


def test_mutants_of_changed_pods_are_judged_as_a_strict_parser_does() -> None:
    """The changed pods stand in the cache, so that mutants are near to them as well."""
    random = Random(7)
    cache = held(replicas(10))
    for number in range(MUTANTS // 60):
        change = Change(random.choice(sorted(CHANGES)), random.randrange(100), random.randrange(len(VALUES)))
        subjects = [compact(changed(pod(Spec(0, i), number), (change,))) for i in range(3)]
        for raw in subjects:
            judge(cache, raw)
        for _ in range(20):
            judge(cache, mutant(random.choice(subjects), random))


# --- Numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_is_what_was_written(text: str) -> None:
    """Integers of any size stay integers, doubles stay the same double; the bytes stay as they are."""
    raw = b'{"metadata":{"name":"x"},"spec":{"n":%s,"list":[%s]}}' % (text.encode(), text.encode())
    expected = json.loads(text)
    for siblings in ([], [b'{"metadata":{"name":"%d"},"spec":{"n":%d,"list":[0]}}' % (i, i) for i in range(20)]):
        cache = Cache(columns=["spec.other"])
        for item in [*siblings, raw]:
            comes_back(cache, item)
        obj = cache.get("x")
        assert obj is not None
        for found in (obj.to_dict()["spec"]["n"], obj["spec"]["n"], obj.get_path("spec.list[0]")):
            assert (type(found), repr(found)) == (type(expected), repr(expected))


@pytest.mark.parametrize("text", ["1e309", "-1e400", "1" + "0" * 309 + ".0", "2e308", "1" * 4_301])
def test_a_number_that_nothing_holds_is_refused(text: str) -> None:
    cache = Cache()
    with pytest.raises(ValueError, match=r".+"):
        cache.apply("ADDED", b'{"metadata":{"name":"x"},"spec":{"n":%s}}' % text.encode())
    assert len(cache) == 0


def test_equal_numbers_and_texts_written_otherwise_are_told_apart() -> None:
    """1, 1.0 and "1" are one to nobody; "a" and "\\u0061" are one value in two spellings."""
    spellings = [b"1", b"1.0", b"1e0", b'"1"', b'"\\u0031"', b"true", b"0.1e1"]
    raws = [b'{"metadata":{"name":"o%d"},"spec":{"n":%s}}' % (i, text) for i, text in enumerate(spellings * 5)]
    cache = Cache({"n": "spec.n"})
    for raw in raws:
        comes_back(cache, raw)
    assert [obj.raw for obj in sorted(cache.list(), key=lambda obj: int(obj.name[1:]))] == raws
    by_text = {"1": [0, 3, 4], "1.0": [1, 2, 6], "true": [5]}
    for text, places in by_text.items():
        expected = sorted(f"o{i}" for i in range(len(raws)) if i % len(spellings) in places)
        assert cache.index_keys("n", text) == expected
        assert [obj.key for obj in cache.list(field_selector=f"spec.n={text}")] == expected


# --- Keys and shapes that read alike ----------------------------------------------------------------------------------


@pytest.mark.parametrize("slash", ["/", "\\/", "\\u002f"])
@pytest.mark.parametrize("member", ["name", "namespace"])
def test_a_name_or_a_namespace_with_a_slash_is_refused(member: str, slash: str) -> None:
    """Its key would read like another object's, which `list` of a namespace finds."""

    def item(name: str, namespace: str) -> bytes:
        text = '{"metadata":{"name":"%s","namespace":"%s","labels":{"app":"web"}},"spec":{"is":"of no matter"}}'
        return (text % (name, namespace)).encode()

    cache = Cache()
    cache.apply_batch([("ADDED", item(f"b-{number}", "a")) for number in range(20)])
    slashed = item(f"b{slash}1", "a") if member == "name" else item("b-1", f"a{slash}b")
    for add in (lambda: cache.apply("ADDED", slashed), lambda: cache.replace([slashed], 9)):
        with pytest.raises(ValueError, match=f"metadata.{member} '.*/.*': must not have a slash in it"):
            add()
    assert len(cache) == 20


def test_wide_maps_with_other_keys_are_packed_as_well() -> None:
    """As ConfigMaps of several applications are, with as many keys each."""

    def item(family: str, number: int) -> bytes:
        data = {f"{family}.key.{key}": f"what all of them have, number {key}" for key in range(100)}
        return compact({"metadata": {"name": f"{family}-{number}", "namespace": "d"}, "data": data})

    cache = Cache()
    items = [item(family, number) for family in "abcde" for number in range(300)]
    for raw in items:
        cache.apply("ADDED", raw)
    assert [obj.raw for obj in cache.list()] == sorted(items, key=lambda raw: Object(raw).key)
    assert cache.stats()["record_bytes"] < 0.15 * sum(map(len, items))


def test_shapes_that_nobody_needs_any_more_make_room() -> None:
    """However many there were: they are let go of when objects of other shapes come."""

    def item(family: int, number: int) -> bytes:
        random = Random(family)
        spec = {f"key-{key}": ("value" * 8 if random.random() < 0.5 else 1234567890) for key in range(1000)}
        return compact({"metadata": {"name": f"s{family}-{number}"}, "spec": spec})

    def other(number: int) -> bytes:
        spec = {f"other-{key}": f"what all of them have, number {key}" for key in range(50)}
        return compact({"metadata": {"name": f"other-{number}"}, "spec": spec})

    cache = Cache()
    for family in range(900):
        for number in range(2):
            cache.apply("ADDED", item(family, number))
    for obj in cache.list():
        cache.apply("DELETED", obj)
    before = cache.nbytes
    for number in range(2000):
        cache.apply("ADDED", other(number))
    assert cache.nbytes - before < 0.3 * sum(len(other(number)) for number in range(2000))


def test_changes_back_and_forth_make_no_template_for_each_object() -> None:
    """What objects of one owner share is said once for each shape they take, however often they move between shapes."""

    def item(owner: int, number: int, state: int) -> bytes:
        started = {"running": {"startedAt": f"2026-01-01T00:{number % 60:02}:{owner:02}Z"}}
        ended = {"terminated": {"containerID": f"containerd://{number:032x}{owner:032x}", "exitCode": number % 3}}
        status = {
            "phase": "Running",
            "containers": [
                {"name": f"container-of-{owner}", "image": f"registry.example/team/image-{owner}:1.{owner}"}
            ],
            "state": [started, {**ended, **started}, {"waiting": {"reason": "CrashLoopBackOff"}, **ended}][state],
        }
        return compact({"metadata": {"name": f"web{owner}-{number:05}", "namespace": "d"}, "status": status})

    cache = Cache()
    random = Random(1)
    for owner in range(10):
        cache.apply_batch([("ADDED", item(owner, number, 0)) for number in range(50)])
    for _ in range(3_000):
        owner, number = random.randrange(10), random.randrange(50)
        raw = item(owner, number, random.randrange(3))
        cache.apply("MODIFIED", raw)
        assert cache.get(f"d/web{owner}-{number:05}").raw == raw
    assert cache.stats()["templates"] < 10 * 3 * 3


def test_siblings_that_move_to_another_shape_share_what_they_shared_before() -> None:
    """An owner's texts stand once whatever shapes its objects take, and as long as one of them needs them."""

    def item(owner: int, number: int, state: int) -> bytes:
        ended = {"terminated": {"containerID": f"containerd://{number:032x}{owner:032x}", "exitCode": number % 3}}
        started = {"running": {"startedAt": f"2026-01-01T00:{number:02}:{owner:02}Z"}}
        image = Random(owner).randbytes(IMAGE // 2).hex()
        return compact(
            {
                "metadata": {"name": f"web{owner}-{number:05}", "namespace": "d"},
                "status": {"image": image, "state": [started, {**ended, **started}][state]},
            }
        )

    def template_bytes(change: Literal["ADDED", "MODIFIED", "DELETED"], state: int, numbers: range) -> int:
        for owner in range(OWNERS):
            for number in numbers:
                cache.apply(change, item(owner, number, state))
        return cache.stats()["template_bytes"]

    cache = Cache()
    one_shape = template_bytes("ADDED", 0, range(50))
    templates = cache.stats()["templates"]
    two_shapes = template_bytes("MODIFIED", 1, range(25))
    assert cache.stats()["templates"] >= templates + OWNERS
    assert two_shapes < one_shape + 0.6 * OWNERS * IMAGE
    template_bytes("MODIFIED", 1, range(25, 50))
    for owner in range(OWNERS):
        for number in range(50):
            exactly(cache.get(f"d/web{owner}-{number:05}"), item(owner, number, 1))
    template_bytes("DELETED", 1, range(50))
    assert cache.stats()["templates"] <= cache.stats()["shapes"]
