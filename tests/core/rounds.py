"""What the core's memory does over many rounds of use, told as JSON: a program, alone in its process.

    python rounds.py ROUNDS

Each kind of use is run until it has settled; then ROUNDS, ROUNDS again and twice ROUNDS are measured. What is told are
bytes that the C library has handed out meanwhile; with PYTHONMALLOC=malloc, Python's own are among them.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

from engine import Cache, Expired, Object, WatchLog
from engine._object import forget
from tests.core.documents import Change, Spec, made

OBJECTS = 20


class Mallinfo(ctypes.Structure):
    """glibc's struct mallinfo2."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"
        )
    ]  # fmt: skip


mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Mallinfo


def handed_out() -> int:
    forget()
    gc.collect()
    found = mallinfo2()
    return int(found.uordblks + found.hblkhd)


PODS = [
    [
        made(Spec(n % 3, n, "ab"[n % 2], f"n{(n + form) % 4}", changes=(Change("replace", n, n),) * (n % 2)), n + form)
        for n in range(OBJECTS)
    ]
    for form in range(4)
]
REFUSED = [
    b"",
    b"{",
    b"[]",
    b"{}",
    b'{"metadata":{"name":7}}',
    PODS[0][0][:-1],
    PODS[0][0].replace(b'"kind"', b'"spec"'),
]
REFUSED += [PODS[0][0].replace(b'"phase"', b'"ph\nase"'), PODS[0][3].replace(b'"n3"', b'"n\xff"')]


def words(obj: Object) -> list[str]:
    return [obj.name, *obj.labels.values()]


def new_cache(log: WatchLog | None = None) -> Cache:
    return Cache({"node": "spec.nodeName", "words": words}, columns=["status.phase", "spec.priority"], log=log)


CACHE = new_cache(WatchLog(max_events=100, min_seconds=0))
LOG = WatchLog(max_events=100, min_seconds=0)
LOGGED = new_cache(LOG)


def apply(number: int) -> None:
    """Objects change, go and come back."""
    pods = PODS[number % 4]
    CACHE.apply_batch([("MODIFIED", pod) for pod in pods])
    for pod in pods[:5]:
        CACHE.apply("DELETED", pod)
        CACHE.apply("ADDED", Object(pod))


def grow_and_shrink(number: int) -> None:
    CACHE.apply_batch([("ADDED", made(Spec(0, 1_000 + n), n)) for n in range(100)])
    CACHE.replace(PODS[number % 4], number + 1)


def pages(number: int) -> None:
    replacement = CACHE.replacement(number + 1)
    replacement.add(PODS[number % 4][:10])
    replacement.add(PODS[number % 3])
    if number % 2:
        replacement.finish()


def read(number: int) -> None:
    for selector in ("app=web0", "app!=web1,pod-template-hash", "!app", "app in (web0,web2)"):
        for obj in CACHE.list("a", selector, limit=5):
            assert obj.labels["app"] == obj.to_dict()["metadata"]["labels"]["app"]
    for obj in CACHE.list(field_selector="spec.nodeName=n1,status.phase!=Failed"):
        assert obj.get_path("spec.containers[0].image") == obj["spec"]["containers"][0]["image"]
    for value in CACHE.index_values("words"):
        assert len(CACHE.by_index("words", value)) == CACHE.index_size("words", value)
    assert len(CACHE.column("status.phase")) == len(CACHE.column("spec.priority")) == len(CACHE.keys())
    assert len(CACHE.get_many(["a/x", "b/y"])) == 2
    assert CACHE.explain("a", "app") != str(CACHE.stats())


def caches(number: int) -> None:
    """Made, filled and dropped, with what hangs on them."""
    log = WatchLog()
    cache = new_cache(log)
    cursor = log.cursor(0, field_selector="spec.nodeName=n1")
    cache.replace(PODS[number % 4], number + 1)
    cache.add_index("phase", "status.phase")
    assert cursor.next_batch()


def outliving(number: int) -> None:
    """Views, snapshots and events that stay when the cache is gone."""
    log = WatchLog()
    cache = new_cache(log)
    cursor = log.cursor()
    cache.apply_batch([("ADDED", pod) for pod in PODS[number % 4]])
    views, snapshot = cache.list(), cache.snapshot()
    cache.replace([], 10_000)
    del cache, log
    assert [obj.raw for obj in snapshot.list("a")] == [obj.raw for obj in views if obj.namespace == "a"]
    assert {event.key for event in cursor.next_batch()} == {obj.key for obj in views}


def snapshots(number: int) -> None:
    held = []
    for pod in PODS[number % 4][:8]:
        held.append(CACHE.snapshot())
        CACHE.apply("MODIFIED", pod)
    assert len({len(snapshot) for snapshot in held}) == 1
    assert held[0].list(label_selector="app=web0") is not None


def cursors(number: int) -> None:
    readers = [LOG.cursor(), LOG.cursor(namespace="a"), LOG.cursor(label_selector="app=web0")]
    readers += [LOG.cursor(field_selector=f"spec.nodeName=n{i}") for i in range(4)]
    late = LOG.cursor()
    LOGGED.apply_batch([("MODIFIED", pod) for pod in PODS[number % 4]])
    for reader in readers:
        for event in reader.next_batch(7):
            assert event.object.raw in event.encoded
    for _ in range(6):
        LOGGED.apply_batch([("MODIFIED", pod) for pod in PODS[number % 4]])
    with suppress(Expired):
        late.next_batch()
        raise AssertionError("the cursor did not fall off")
    if number % 3 == 0:
        LOG.expire()


def parked(number: int) -> None:
    async def run() -> None:
        cursor = LOG.cursor(field_selector="spec.nodeName=n1")
        other = LOG.cursor()
        waiting = asyncio.create_task(cursor.wait())
        cancelled = asyncio.create_task(other.wait())
        await asyncio.sleep(0)
        cancelled.cancel()
        LOGGED.apply_batch([("MODIFIED", pod) for pod in PODS[number % 4]])
        await waiting

    LOOP.run_until_complete(run())


LOOP = asyncio.new_event_loop()


def errors(number: int) -> None:
    """Everything that is refused."""
    refused = REFUSED[number % len(REFUSED)]
    good = PODS[number % 4]
    calls: list[Callable[[], object]] = [
        lambda: CACHE.apply("ADDED", refused),
        lambda: CACHE.apply("BOOKMARK", good[0]),  # type: ignore[arg-type]
        lambda: CACHE.apply_batch([("ADDED", good[0]), ("DELETED", good[1]), ("ADDED", refused)]),
        lambda: CACHE.replace([*good, refused], 9),
        lambda: CACHE.replacement(9).add([good[0], refused]),
        lambda: CACHE.list(label_selector="a in b"),
        lambda: CACHE.by_index("unknown", "x"),
        lambda: CACHE.column("unknown"),
        lambda: CACHE.add_index("node", "spec.other"),
        lambda: CACHE.add_index(f"failing{number}", lambda obj: [obj.name, 7]),  # type: ignore[list-item]
        lambda: Object(refused),
        lambda: Object(good[0]).get_path("a..b"),
        lambda: Object(good[0])["nothing"],
        lambda: LOG.cursor(-1),
    ]
    for call in calls:
        with suppress(ValueError, KeyError, Expired):
            call()


KINDS = [apply, grow_and_shrink, pages, read, caches, outliving, snapshots, cursors, parked, errors]


def growth(use: Callable[[int], None], rounds: int) -> list[int]:
    marks = [handed_out()]
    for count in (rounds, rounds, 2 * rounds):
        for number in range(count):
            use(number)
        marks.append(handed_out())
    return [after - before for before, after in pairwise(marks)]


def main(rounds: int) -> None:
    CACHE.replace(PODS[0], 1)
    for use in KINDS:
        for number in range(3 * rounds):
            use(number)
    print(json.dumps({use.__name__: growth(use, rounds) for use in KINDS}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
