"""What the rows of a Cache promise: key order, snapshots, and memory that comes back."""

from __future__ import annotations

import gc
import json
import random
from typing import Any

import pytest

from engine import Cache, Object
from engine.bench.machine import resident_bytes

ROWS = 3000  # several chunks and pages
PAGE_ROWS = 512


def raw(key: str, version: int = 1) -> bytes:
    namespace, _, name = key.rpartition("/")
    metadata: dict[str, Any] = {"name": name, "resourceVersion": str(version)}
    return Object({"metadata": metadata | ({"namespace": namespace} if namespace else {})}).raw


def keys_of(count: int, seed: int = 0) -> list[str]:
    """In no order, with namespaces and without."""
    chosen = random.Random(seed)
    numbers = chosen.sample(range(10 * count), count)
    return [f"{namespace}o{number}" for number in numbers for namespace in [chosen.choice(["", "a/", "a-b/", "b/"])]]


def filled(keys: list[str]) -> Cache:
    cache = Cache()
    cache.apply_batch([("ADDED", raw(key)) for key in keys])
    return cache


@pytest.mark.parametrize("order", ["rising", "falling", "mixed"])
def test_keys_stand_in_order_however_they_come(order: str) -> None:
    keys = keys_of(ROWS)
    if order != "mixed":
        keys.sort(reverse=order == "falling")
    cache = filled(keys)
    assert cache.keys() == sorted(keys)
    assert [obj.key for obj in cache.list()] == sorted(keys)
    gone = set(random.Random(1).sample(keys, ROWS - 50))
    cache.apply_batch([("DELETED", raw(key)) for key in gone])
    assert cache.keys() == sorted(set(keys) - gone)
    cache.apply_batch([("ADDED", raw(key)) for key in gone])
    assert cache.keys() == sorted(keys)


def test_rows_that_come_in_order_fill_their_chunks() -> None:
    rising = filled([f"o{i:05d}" for i in range(ROWS)]).stats()["row_bytes"]
    falling = filled([f"o{i:05d}" for i in reversed(range(ROWS))]).stats()["row_bytes"]
    assert rising < falling


def test_get_finds_what_is_there_and_nothing_else() -> None:
    keys = keys_of(ROWS)
    cache = filled(keys)
    wanted = [key for pair in zip(keys, keys_of(ROWS, 1), strict=True) for key in pair]
    there = set(keys)
    assert [obj and obj.key for obj in cache.get_many(wanted)] == [key if key in there else None for key in wanted]
    for key in wanted[:200]:
        found = cache.get(key)
        assert (found and found.key) == (key if key in there else None)
        assert (key in cache) == (key in there)


@pytest.mark.parametrize("key", ["", "a/", "/", "a", "日本/x", "日本/犬", "\ud800", "a/\udfff", "x" * 20_000])
def test_any_text_may_be_asked_for(key: str) -> None:
    cache = filled(["日本/犬", "a/o"])
    expected = key if key == "日本/犬" else None
    assert [obj and obj.key for obj in (cache.get(key), *cache.get_many([key]))] == [expected, expected]
    found = cache.snapshot().get(key)
    assert (found and found.key) == expected
    assert [obj.key for obj in cache.list(after=key)] == [known for known in ["a/o", "日本/犬"] if known > key]


def test_a_key_that_is_no_text_is_a_type_error() -> None:
    cache = filled(["a/o"])
    with pytest.raises(TypeError):
        cache.get(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        cache.get_many(["a/o", None])  # type: ignore[list-item]


def test_a_snapshot_is_one_moment_whatever_is_written() -> None:
    keys = keys_of(ROWS)
    cache = filled(keys)
    moments = []
    changes = random.Random(2)
    version = 1
    for _ in range(8):
        snapshot = cache.snapshot()
        moments.append((snapshot, {obj.key: obj.raw for obj in snapshot.list()}))
        for key in changes.sample(keys, 300):
            version += 1
            cache.apply(changes.choice(["ADDED", "DELETED"]), raw(key, version))
        del moments[changes.randrange(len(moments))]
        for held, content in moments:
            assert {obj.key: obj.raw for obj in held.list()} == content
            assert held.keys() == sorted(content)
            assert len(held) == len(content)


def test_versions_that_only_snapshots_see_go_with_them() -> None:
    cache = filled([f"o{i}" for i in range(1000)])
    before = cache.stats()
    first, second = cache.snapshot(), cache.snapshot()
    for version in (2, 3):
        cache.apply_batch([("MODIFIED", raw(f"o{i}", version)) for i in range(1000)])
    assert (cache.stats()["records"], cache.stats()["snapshots"]) == (2000, 2)  # those between are nobody's
    assert cache.stats()["row_bytes"] > before["row_bytes"]
    del second
    assert cache.stats()["records"] == 2000
    del first
    assert (cache.stats()["records"], cache.stats()["snapshots"]) == (1000, 0)
    assert cache.stats()["row_bytes"] <= before["row_bytes"] + 1024


def test_a_write_after_a_snapshot_copies_what_it_touches() -> None:
    cache = filled([f"o{i:06d}" for i in range(20_000)])
    before = cache.stats()["row_bytes"]
    snapshot = cache.snapshot()
    cache.apply("MODIFIED", raw("o010000", 2))
    assert cache.stats()["row_bytes"] - before < 8192
    assert len(snapshot) == 20_000


def test_a_snapshot_works_when_the_cache_is_gone() -> None:
    cache = filled(["a/o1", "a/o2", "b/o1"])
    snapshot = cache.snapshot()
    cache.replace([raw("c/o1", 2)], 2)
    del cache
    assert snapshot.keys() == ["a/o1", "a/o2", "b/o1"]
    assert [obj.key for obj in snapshot.list("a", limit=1)] == ["a/o1"]


def test_deletes_give_memory_back() -> None:
    cache = Cache()
    empty = cache.stats()["row_bytes"]
    keys = keys_of(ROWS)
    for _ in range(3):
        cache.apply_batch([("ADDED", raw(key)) for key in keys])
        full = cache.stats()["row_bytes"]
        cache.apply_batch([("DELETED", raw(key)) for key in keys[10:]])
        few = cache.stats()["row_bytes"]
        cache.apply_batch([("DELETED", raw(key)) for key in keys[:10]])
        assert few < full / 2
        assert cache.stats()["row_bytes"] < empty + 4096


def test_rows_that_are_left_close_the_gaps_of_those_that_went() -> None:
    def pod(key: str, version: int) -> bytes:
        number = int(key[-5:])
        labels = {"app": f"a{number % 7}", "own": key[2:], **({"few": f"{number // 3}"} if number % 2 else {})}
        return json.dumps(
            {
                "metadata": {"name": key[2:], "namespace": "a", "resourceVersion": str(version), "labels": labels},
                "spec": {"nodeName": f"n{number % 50}", "own": key, "count": number % 5 or None},
            }
        ).encode()

    keys = [f"a/o{number:05}" for number in range(12_000)]
    dice = random.Random(1)
    dice.shuffle(keys)
    indexes = {"node": "spec.nodeName", "own": "spec.own", "count": "spec.count"}
    cache = Cache({**indexes, "parity": lambda pod: [str(int(pod.name[1:]) % 2)]}, ("spec.nodeName",))
    cache.apply_batch([("ADDED", pod(key, 1)) for key in keys])
    full = cache.stats()["column_bytes"]
    views = cache.get_many(keys[:50])
    left, gone = set(keys[:100]) | set(dice.sample(keys, 600)), [key for key in keys if key not in set(keys[:100])]
    gone = [key for key in gone if key not in left]
    snapshot = cache.snapshot()
    for at in range(0, len(gone), 64):
        cache.apply_batch([("DELETED", pod(key, 2)) for key in gone[at : at + 64]])
    assert cache.stats()["column_bytes"] > full / 3  # a snapshot may still look at them
    assert len(snapshot) == len(keys)
    del snapshot
    for _ in range(10):  # each write moves some
        cache.apply_batch([("MODIFIED", pod(key, 3)) for key in left])
    assert cache.stats()["column_bytes"] < full / 5
    fresh = Cache({**indexes, "parity": lambda pod: [str(int(pod.name[1:]) % 2)]})
    fresh.apply_batch([("ADDED", pod(key, 3)) for key in left])
    for selector in ("app=a3", "own in (o00007,o00500)", "few", "!few", "app!=a1,few"):
        assert [obj.raw for obj in cache.list("a", selector)] == [obj.raw for obj in fresh.list("a", selector)]
    for name in (*indexes, "parity"):
        assert cache.index_values(name) == fresh.index_values(name)
        for value in fresh.index_values(name):
            assert cache.index_keys(name, value) == fresh.index_keys(name, value)
    assert [obj.get_path("spec.nodeName") for obj in cache.list()] == [f"n{int(key[-5:]) % 50}" for key in sorted(left)]
    assert [view.get_path("spec.nodeName") for view in views if view] == [f"n{int(key[-5:]) % 50}" for key in keys[:50]]
    cache.apply_batch([("DELETED", pod(key, 4)) for key in left])
    assert (len(cache), cache.index_values("node"), cache.list(label_selector="app")) == (0, [], [])


def numbered(number: int, version: int = 1) -> bytes:
    metadata = {"name": f"o{number:06}", "resourceVersion": str(version)}
    return json.dumps({"metadata": metadata, "spec": {"own": f"n{number}"}}).encode()


@pytest.mark.parametrize("order", [1, -1])
def test_gaps_close_within_as_many_writes_as_rows_are_left(order: int) -> None:
    count = 100 * PAGE_ROWS
    cache = Cache({"own": "spec.own"})
    cache.apply_batch([("ADDED", numbered(number)) for number in range(count)])
    full = cache.stats()["column_bytes"]
    left = range(0, count, 50)
    for number in range(count)[::order]:
        if number % 50:
            cache.apply("DELETED", numbered(number, 2))
    for number in left:
        cache.apply("MODIFIED", numbered(number, 3))
    assert cache.stats()["column_bytes"] < full / 10
    assert [obj.raw for obj in cache.list()] == [numbered(number, 3) for number in left]


def test_rows_never_move_to_a_page_that_only_a_snapshot_kept() -> None:
    cache = Cache({"own": "spec.own"})
    cache.apply_batch([("ADDED", numbered(number)) for number in range(20 * PAGE_ROWS)])

    def remove(first: int, last: int) -> None:
        cache.apply_batch([("DELETED", numbered(number, 2)) for number in range(first * PAGE_ROWS, last * PAGE_ROWS)])

    older = cache.snapshot()  # nothing moves as long as it is there
    remove(0, 10)
    remove(18, 19)  # it stays, empty, as there is one behind
    newer = cache.snapshot()
    remove(19, 20)  # now there is none, but the snapshot sees it
    del older, newer
    left = range(10 * PAGE_ROWS, 18 * PAGE_ROWS)
    for number in left:
        cache.apply("MODIFIED", numbered(number, 3))
    assert [obj.raw for obj in cache.list()] == [numbered(number, 3) for number in left]
    assert all(cache.index_keys("own", f"n{number}") == [f"o{number:06}"] for number in left)


def test_the_garbage_collector_sees_nothing_of_the_rows() -> None:
    cache = Cache()
    gc.collect()
    before = len(gc.get_objects())
    cache.apply_batch([("ADDED", raw(f"o{i}")) for i in range(ROWS)])
    gc.collect()
    assert len(gc.get_objects()) - before < 100


def unlike(key: str, version: int) -> bytes:
    """Of many lengths, and another one in each version: records of all sizes."""
    text = f"{key} {version} " * (1 + hash_of(key, version) % 8)
    return raw(key, version)[:-2] + b',"annotations":{"text":"' + text.encode() + b'"}}}'


def hash_of(key: str, version: int) -> int:
    return random.Random(f"{key} {version}").randrange(1 << 30)


@pytest.mark.parametrize("held", ["nothing", "a snapshot", "views"])
def test_what_is_left_of_many_objects_is_moved_together(held: str) -> None:
    keys = sorted(f"a/o{number:05}" for number in range(20_000))
    cache = Cache()
    cache.apply_batch([("ADDED", unlike(key, 1)) for key in keys])
    full = cache.nbytes
    some = cache.get_many(keys[::100])
    kept = cache.snapshot() if held == "a snapshot" else some if held == "views" else None
    del some
    left = set(random.Random(5).sample(keys, 1_000)) | set(keys[::100])
    gone = [key for key in keys if key not in left]
    random.Random(6).shuffle(gone)
    for at in range(0, len(gone), 100):
        cache.apply_batch([("DELETED", raw(key, 2)) for key in gone[at : at + 100]])
    for version in range(3, 9):
        cache.apply_batch([("MODIFIED", unlike(key, version)) for key in left])
    assert [obj.raw for obj in cache.list()] == [unlike(key, 8) for key in sorted(left)]
    assert all(
        obj is not None and obj.key == key for obj, key in zip(cache.get_many(sorted(left)), sorted(left), strict=True)
    )
    if isinstance(kept, list):
        assert [obj and obj.raw for obj in kept] == [unlike(key, 1) for key in keys[::100]]
    elif kept is not None:
        assert [obj.raw for obj in kept.list()] == [unlike(key, 1) for key in keys]
    else:  # what views and snapshots look at stays where it is
        stats = cache.stats()
        assert stats["spare_bytes"] < 4 * stats["record_bytes"]
        assert cache.nbytes < full / 3


def test_a_cache_that_goes_gives_all_its_memory_back() -> None:
    def fill_and_forget() -> None:
        cache = Cache()
        cache.apply_batch([("ADDED", unlike(f"a/o{number:05}", 1)) for number in range(20_000)])
        cache.apply(
            "ADDED", raw("a/p")[:-2] + b',"annotations":{"text":"' + random.randbytes(4_000).hex().encode() + b'"}}}'
        )

    fill_and_forget()
    before = resident_bytes()
    for _ in range(12):
        fill_and_forget()
    assert resident_bytes() - before < 4_000_000
