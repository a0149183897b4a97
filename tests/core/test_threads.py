"""Calls from other threads or from inside a call are safe or refused: never a crash, nor two moments in one answer."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from engine import Cache, Object, WatchLog
from tests.core.documents import Spec, made

SECONDS = 20.0 if os.environ.get("ENGINE_FULL") else 0.6
READERS = 4
OBJECTS = 60
LONG_NUMBER = b"123456789012345678901234567890"  # parsed by Python code, where threads take turns


@pytest.fixture(autouse=True)
def threads_take_turns_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def moment(number: int, count: int = OBJECTS) -> list[bytes]:
    """All objects at one time: each tells the time in all that is indexed."""
    return [
        b'{"metadata":{"name":"o%03d","namespace":"%s","resourceVersion":"%d","labels":{"moment":"m%d","all":"yes"}},'
        b'"spec":{"nodeName":"m%d","big":%s%d},"status":{"phase":"m%d"}}'
        % (i, b"ab"[i % 2 : i % 2 + 1], number * 1000 + i, number, number, LONG_NUMBER, number, number)
        for i in range(count)
    ]


def moments_of(found: Iterable[Object]) -> set[str]:
    return {obj.get_path("spec.nodeName") for obj in found}


def slowly(obj: Object) -> list[str]:
    """An index function that lets other threads go on."""
    time.sleep(0)
    return [obj.labels["moment"]]


def in_a_thread(work: Callable[[], Any]) -> BaseException | None:
    """What it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised[0] if raised else None


# --- Writers ----------------------------------------------------------------------------------------------------------

WRITES: dict[str, Callable[[Cache, WatchLog, Any], Any]] = {
    "apply": lambda cache, log, pages: cache.apply("ADDED", moment(2)[0]),
    "a deletion": lambda cache, log, pages: cache.apply("DELETED", moment(2)[0]),
    "apply_batch": lambda cache, log, pages: cache.apply_batch([("ADDED", item) for item in moment(2)]),
    "replace": lambda cache, log, pages: cache.replace(moment(2), 9_999),
    "finish": lambda cache, log, pages: pages.finish(),
    "add_index": lambda cache, log, pages: cache.add_index("phase", "status.phase"),
    "advance": lambda cache, log, pages: cache.advance(9_999),
    "append": lambda cache, log, pages: log.append("ADDED", Object(moment(2)[0]), None),
    "the log's advance": lambda cache, log, pages: log.advance(9_999),
    "expire": lambda cache, log, pages: log.expire(),
    "close": lambda cache, log, pages: log.close(),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_second_thread_does_not_write(name: str) -> None:
    log = WatchLog()
    cache = Cache({"node": "spec.nodeName"}, log=log)
    cursor = log.cursor()
    cache.replace(moment(1), 1_999)
    cursor.next_batch()
    pages = cache.replacement(5_000)
    pages.add(moment(3))
    assert isinstance(in_a_thread(lambda: WRITES[name](cache, log, pages)), RuntimeError)
    assert [obj.raw for obj in cache.list()] == sorted(moment(1), key=lambda raw: Object(raw).key)
    assert (cache.resource_version, log.resource_version) == (1_999, 1_999)
    assert cursor.next_batch() == []
    with pytest.raises(KeyError):
        cache.index_keys("phase", "m1")
    cache.apply("ADDED", moment(2)[0])  # the first thread goes on


def test_pages_from_a_second_thread_are_taken_or_refused() -> None:
    cache = Cache()
    cache.replace(moment(1), 1_999)
    pages = cache.replacement(2_999)
    error = in_a_thread(lambda: pages.add(moment(2)))
    assert error is None or isinstance(error, RuntimeError)
    assert moments_of(cache.list()) == {"m1"}
    pages.finish()
    assert moments_of(cache.list()) == (set() if error else {"m2"})


# --- Readers ----------------------------------------------------------------------------------------------------------


class Crowd:
    """Readers that go on until the writer has written for a while; what they raise is raised here."""

    def __init__(self, *reads: Callable[[], None]) -> None:
        self.errors: list[BaseException] = []
        self.rounds = [0] * len(reads)
        self.done = threading.Event()
        self.threads = [
            threading.Thread(target=self._read, args=(number, read), daemon=True) for number, read in enumerate(reads)
        ]

    def _read(self, number: int, read: Callable[[], None]) -> None:
        while not self.done.is_set():
            try:
                read()
            except BaseException as error:
                self.errors.append(error)
                return
            self.rounds[number] += 1

    def while_writing(self, write: Callable[[int], None]) -> None:
        for thread in self.threads:
            thread.start()
        end = time.monotonic() + SECONDS
        number = 1
        while (time.monotonic() < end or not all(self.rounds)) and not self.errors:
            number += 1
            write(number)
        self.done.set()
        for thread in self.threads:
            thread.join(30)
        if self.errors:
            raise self.errors[0]
        assert all(self.rounds)


def _list(cache: Cache) -> None:
    found = cache.list()
    assert (len(found), len(moments_of(found))) == (OBJECTS, 1)


def _list_by_labels(cache: Cache) -> None:
    found = cache.list("a", "all in (yes),moment")
    assert (len(found), len(moments_of(found))) == (OBJECTS // 2, 1)


def _list_by_fields(cache: Cache) -> None:
    now = str(cache.list(limit=1)[0].get_path("status.phase"))
    for found in (cache.list(field_selector=f"spec.nodeName={now}"), cache.list(field_selector=f"status.phase={now}")):
        assert len(found) in (0, OBJECTS)  # it may have passed
        assert moments_of(found) <= {now}


def _get(cache: Cache) -> None:
    keys = [f"{'ab'[i % 2]}/o{i:03d}" for i in range(OBJECTS)]
    found = [obj for obj in cache.get_many(keys) if obj is not None]
    assert (len(found), len(moments_of(found))) == (OBJECTS, 1)
    one = cache.get(keys[7])
    assert one is not None
    assert one.key == keys[7]
    assert str(one.to_dict()["spec"]["big"]).startswith(LONG_NUMBER.decode())


def _by_index(cache: Cache) -> None:
    for name in ("node", "slow"):
        values = cache.index_values(name)
        assert len(values) == 1
        found = cache.by_index(name, values[0])
        assert len(found) in (0, OBJECTS)
        assert moments_of(found) <= set(values)
        assert len(cache.index_keys(name, values[0])) in (0, OBJECTS)
        assert cache.index_size(name, values[0]) in (0, OBJECTS)


def _snapshot(cache: Cache) -> None:
    snapshot = cache.snapshot()
    first = [obj.raw for obj in snapshot.list()]
    assert (len(first), len(moments_of(map(Object, first)))) == (OBJECTS, 1)
    time.sleep(0)
    assert [obj.raw for obj in snapshot.list()] == first
    assert len(snapshot.list(label_selector="all=yes,!none")) == len(snapshot.keys()) == len(snapshot) == OBJECTS


def _count(cache: Cache) -> None:
    assert len(cache) == len(cache.keys()) == len(cache.column("spec.nodeName")) == OBJECTS
    assert cache.nbytes > 0
    assert cache.stats()["objects"] == OBJECTS
    assert "objects looked at" in cache.explain("a", "moment=m1")


READS = [_list, _list_by_labels, _list_by_fields, _get, _by_index, _snapshot, _count]


@pytest.mark.parametrize("read", READS, ids=lambda read: read.__name__.strip("_"))
def test_readers_see_one_moment_while_the_content_is_replaced(read: Callable[[Cache], None]) -> None:
    cache = Cache({"node": "spec.nodeName", "slow": slowly}, columns=["spec.nodeName"], log=WatchLog(max_events=500))
    cache.replace(moment(1), 1_999)
    crowd = Crowd(*[lambda: read(cache)] * READERS)
    crowd.while_writing(lambda number: cache.replace(moment(number), number * 1000 + 999))


def test_readers_of_all_kinds_survive_writes_of_all_kinds() -> None:
    """Objects come, change and go in any order: answers differ, but each object is whole and readers never break."""
    cache = Cache({"node": "spec.nodeName", "slow": slowly}, columns=["spec.nodeName"], log=WatchLog(max_events=200))
    cache.replace(moment(1), 1_999)
    kept: deque[Object] = deque(maxlen=300)

    def whole(found: Iterable[Object]) -> None:
        for obj in found:
            told = obj.get_path("spec.nodeName")
            assert obj.labels["moment"] == told == obj.to_dict()["status"]["phase"]
            kept.append(obj)

    def lists() -> None:
        for obj in cache.list(label_selector="all", limit=20):
            whole([obj])

    def gets() -> None:
        whole(obj for obj in cache.get_many(cache.keys()) if obj is not None)

    def indexes() -> None:
        for value in cache.index_values("slow"):
            whole(cache.by_index("slow", value))

    def snapshots() -> None:
        snapshot = cache.snapshot()
        keys = snapshot.keys()
        whole(obj for obj in snapshot.list("b"))
        assert snapshot.keys() == keys

    def write(number: int) -> None:
        items = moment(number, OBJECTS + number % 30)
        if number % 10 == 0:
            cache.replace(items[number % 7 :], number * 1000 + 999)
        elif number % 10 == 1:
            cache.add_index(f"late{number % 50}", "status.phase")
        else:
            cache.apply_batch(
                [("DELETED" if i % 3 == number % 3 else "MODIFIED", item) for i, item in enumerate(items)]
            )
            for item in items[::5]:
                cache.apply("ADDED", item)

    Crowd(lists, gets, indexes, snapshots).while_writing(write)


def test_cursors_of_other_threads_are_told_everything_in_order() -> None:
    log = WatchLog(max_events=10_000_000)
    cache = Cache(log=log)
    told: list[list[int]] = [[] for _ in range(READERS)]
    cursors = [
        log.cursor(),
        log.cursor(label_selector="even"),
        log.cursor(field_selector="spec.nodeName=n1"),
        log.cursor(),
    ]

    def reads(number: int) -> Callable[[], None]:
        def read() -> None:
            for event in cursors[number].next_batch(50):
                assert event.encoded.endswith(event.object.raw + b"}\n")
                told[number].append(event.revision)

        return read

    written = [0]

    def write(_: int) -> None:
        for _ in range(20):
            written[0] += 1
            version = written[0]
            spec = Spec(0, version % 9, node=f"n{version % 3}", labels=(("even", ""),) if version % 2 == 0 else ())
            cache.apply("ADDED", made(spec._replace(number=version), version))

    Crowd(*map(reads, range(READERS))).while_writing(write)
    for number in range(READERS):
        reads(number)()
        while cursors[number].pending:
            reads(number)()
    everything = list(range(1, written[0] + 1))
    assert told[0] == told[3] == everything
    assert told[1] == everything[1::2]
    assert told[2] == everything[::3]


def test_views_are_dropped_and_read_in_other_threads_after_the_cache_is_gone() -> None:
    handed: deque[Any] = deque()

    def drop() -> None:
        try:
            raw, held = handed.popleft()
        except IndexError:
            time.sleep(0)
            return
        if isinstance(held, Object):
            assert held.raw == raw
            assert held.to_dict()["metadata"]["name"] == held.name
        else:
            assert held.list()[0].raw == raw

    def write(number: int) -> None:
        if len(handed) > 2_000:
            time.sleep(0.001)
            return
        cache = Cache({"slow": slowly})
        items = moment(number, 10)
        cache.apply_batch([("ADDED", item) for item in items])
        handed.extend((item, cache.get(Object(item).key)) for item in items)
        handed.append((items[0], cache.snapshot()))

    Crowd(*[drop] * READERS).while_writing(write)


# --- Calls from inside a call -----------------------------------------------------------------------------------------


class Meddler:
    """Does something to the cache that is asking."""

    def __init__(self, deed: Callable[[Cache], Any]) -> None:
        self.deed = deed
        self.cache: Cache | None = None
        self.raised: list[BaseException] = []

    def __call__(self, obj: Object) -> list[str]:
        cache, self.cache = self.cache, None
        if cache is not None:
            try:
                self.deed(cache)
            except Exception as error:
                self.raised.append(error)
                raise
            finally:
                self.cache = cache
        return [obj.name]


DEEDS: dict[str, Callable[[Cache], Any]] = {
    "apply": lambda cache: cache.apply("MODIFIED", moment(5)[0]),
    "a deletion": lambda cache: cache.apply("DELETED", moment(5)[1]),
    "apply_batch": lambda cache: cache.apply_batch([("DELETED", item) for item in moment(5)]),
    "replace": lambda cache: cache.replace([], 9_999),
    "add_index": lambda cache: cache.add_index("late", "status.phase"),
}
ASKED: dict[str, Callable[[Cache], Any]] = {
    "apply": lambda cache: cache.apply("MODIFIED", moment(2)[0]),
    "apply_batch": lambda cache: cache.apply_batch([("MODIFIED", item) for item in moment(2)]),
    "replace": lambda cache: cache.replace(moment(2), 2_999),
}


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("asked", ASKED)
def test_a_write_from_an_index_function_is_refused_and_nothing_is_changed(asked: str, deed: str) -> None:
    meddler = Meddler(DEEDS[deed])
    log = WatchLog()
    cache = Cache({"meddler": meddler, "node": "spec.nodeName"}, log=log)
    cache.replace(moment(1), 1_999)
    cursor = log.cursor()
    meddler.cache = cache
    with pytest.raises((ValueError, RuntimeError)):
        ASKED[asked](cache)
    assert isinstance(meddler.raised[0], RuntimeError)
    meddler.cache = None
    assert moments_of(cache.list()) == {"m1"}
    assert (len(cache), cache.index_size("node", "m1"), cursor.next_batch()) == (OBJECTS, OBJECTS, [])
    cache.replace(moment(3), 3_999)
    assert (moments_of(cache.list()), cache.index_size("node", "m3")) == ({"m3"}, OBJECTS)


def test_an_index_function_may_read() -> None:
    meddler = Meddler(lambda cache: [_list(cache), _snapshot(cache), cache.list(label_selector="all=yes"), len(cache)])
    cache = Cache({"meddler": meddler}, columns=["spec.nodeName"])
    cache.replace(moment(1), 1_999)
    meddler.cache = cache
    cache.replace(moment(2), 2_999)
    meddler.cache = None
    assert moments_of(cache.list()) == {"m2"}


def consistent(cache: Cache) -> None:
    """Rows, order and indexes tell the same."""
    found = cache.list()
    assert [obj.key for obj in found] == cache.keys() == sorted(cache.keys())
    assert len(found) == len(cache)
    by_value: dict[str, list[str]] = {}
    for obj in found:
        assert cache.get(obj.key) == obj
        by_value.setdefault(str(obj.get_path("spec.nodeName")), []).append(obj.key)
    assert {value: cache.index_keys("node", value) for value in cache.index_values("node")} == by_value


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("asked", ["apply_batch", "replace", "add"])
def test_a_write_while_items_are_being_taken_is_refused_or_done_whole(asked: str, deed: str) -> None:
    cache = Cache({"node": "spec.nodeName"}, log=WatchLog())
    cache.replace(moment(1), 1_999)

    def items() -> Iterator[bytes]:
        yield from moment(2)[:20]
        DEEDS[deed](cache)
        yield from moment(2)[20:]

    pages = cache.replacement(2_999)
    calls: dict[str, Callable[[], Any]] = {
        "apply_batch": lambda: cache.apply_batch(("MODIFIED", item) for item in items()),
        "replace": lambda: cache.replace(items(), 2_999),
        "add": lambda: pages.add(items()),
    }
    try:
        calls[asked]()
    except RuntimeError:
        assert moments_of(cache.list()) == {"m1"}
    consistent(cache)
    if asked == "add":
        pages.finish()
        consistent(cache)


def test_a_clock_that_writes_is_refused_or_served() -> None:
    """The log asks for the time while a change is under way."""
    deeds: list[Callable[[], Any]] = []

    def clock() -> float:
        if deeds:
            deeds.pop()()
        return 0.0

    cache = Cache({"node": "spec.nodeName"}, log=WatchLog(clock=clock))
    cache.replace(moment(1), 1_999)
    for deed in DEEDS.values():
        deeds.append(lambda deed=deed: deed(cache))
        try:
            cache.apply("MODIFIED", moment(2)[3])
        except RuntimeError:
            deeds.clear()
        consistent(cache)
