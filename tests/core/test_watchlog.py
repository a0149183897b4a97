"""What a WatchLog and its cursors promise, against a list of records."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engine import Cache, Cursor, Event, Expired, FieldSelector, LabelSelector, Object, WatchLog
from engine._object import forget
from engine._store import live

SELECTORS = [
    {},
    {"namespace": "a"},
    {"label_selector": "app=x"},
    {"field_selector": "spec.nodeName=n1"},
    {"field_selector": "spec.nodeName="},
    {"field_selector": "spec.nodeName!=n1"},
    {"namespace": "b", "label_selector": "app!=x", "field_selector": "spec.nodeName=n2"},
]


def pod(name: str, version: int, node: str = "", app: str = "x", namespace: str = "a") -> Object:
    metadata = {"name": name, "namespace": namespace, "resourceVersion": str(version), "labels": {"app": app}}
    return Object({"metadata": metadata, "spec": {"nodeName": node} if node else {}})


@dataclass
class Record:
    type: str
    object: Object
    old: Object | None
    seconds: float

    def seen(self, selector: dict[str, str]) -> tuple[str, Object] | None:
        """The transition that a reader with this selector is told."""

        def wanted(obj: Object | None) -> bool:
            return (
                obj is not None
                and selector.get("namespace", obj.namespace) == obj.namespace
                and LabelSelector.parse(selector.get("label_selector", "")).matches(obj.labels)
                and FieldSelector.parse(selector.get("field_selector", "")).matches(obj)
            )

        before, now = wanted(self.old), wanted(self.object) and self.type != "DELETED"
        if now:
            return ("MODIFIED" if before else "ADDED"), self.object
        if not before or self.old is None:
            return None
        if self.type == "DELETED":
            return "DELETED", self.object
        last = self.old.to_dict()
        last["metadata"]["resourceVersion"] = str(self.object.resource_version)
        return "DELETED", Object(last)


@dataclass
class Reader:
    cursor: Cursor
    selector: dict[str, str]
    read: int  # records that it read or slept through
    task: asyncio.Task[None] | None = None  # while parked


class LogMachine(RuleBasedStateMachine):
    """Appends of every kind, time that passes, cursors that lag or are parked, eviction by time, count and bytes."""

    max_events = 300
    max_bytes = 1 << 30

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.log = WatchLog(
            min_seconds=10,
            max_events=self.max_events,
            max_bytes=self.max_bytes,
            resource_version=5,
            clock=lambda: self.now,
        )
        self.loop = asyncio.new_event_loop()
        self.records: list[Record] = []
        self.rows: dict[str, Object] = {}
        self.version = 5
        self.readers: list[Reader] = []

    def teardown(self) -> None:
        for reader in self.readers:
            if reader.task is not None:
                reader.task.cancel()
        self.loop.run_until_complete(turns())
        self.loop.close()

    @rule(
        count=st.sampled_from([1, 1, 1, 50, 200]),
        name=st.integers(0, 4),
        node=st.sampled_from(["", "n1", "n2"]),
        app=st.sampled_from("xy"),
        gone=st.booleans(),
    )
    def append(self, count: int, name: int, node: str, app: str, gone: bool) -> None:
        for i in range(count):
            obj = pod(f"p{name}", self.version + 1, node if i % 2 else "n1", app, "ab"[name % 2])
            old = self.rows.pop(obj.key, None)
            if gone and old is None:
                continue
            self.version += 1
            type = "DELETED" if gone else "ADDED" if old is None else "MODIFIED"
            if not gone:
                self.rows[obj.key] = obj
            self.log.append(type, obj, old)
            self.records.append(Record(type, obj, old, self.now))
        self.loop.run_until_complete(turns())
        for reader in self.readers:
            if reader.task is None:
                continue
            unread = range(reader.read, len(self.records))
            concerned = [number for number in unread if self.records[number].seen(reader.selector)]
            assert reader.task.done() == bool(concerned)
            reader.read = concerned[0] if concerned else len(self.records)
            if concerned:
                reader.task = None

    @rule(seconds=st.sampled_from([1.0, 11.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def advance(self) -> None:
        self.version += 1
        self.log.advance(self.version)

    @rule()
    def expire(self) -> None:
        self.log.expire()

    @rule(selector=st.sampled_from(SELECTORS), back=st.sampled_from([None, 0, 1, 5, 100, 100_000]))
    def open_cursor(self, selector: dict[str, str], back: int | None) -> None:
        version = None if back is None else max(self.version - back, 0)
        if version is not None and version < self.log.oldest:
            with pytest.raises(Expired):
                self.log.cursor(version, **selector)
            return
        cursor = self.log.cursor(version, **selector)
        read = len(self.records)
        while version is not None and read and self.records[read - 1].object.resource_version > version:
            read -= 1
        self.readers.append(Reader(cursor, selector, read))
        if len(self.readers) > 6 and self.readers[0].task is None:
            del self.readers[0]

    @rule(which=st.integers(0, 5))
    def park(self, which: int) -> None:
        if which >= len(self.readers) or self.readers[which].task is not None:
            return
        reader = self.readers[which]
        task = self.loop.create_task(reader.cursor.wait())
        self.loop.run_until_complete(turns())
        if task.done():
            assert reader.read < len(self.records)
            return
        kept = len(self.records) - len(self.log)
        assert reader.read >= kept
        assert not any(record.seen(reader.selector) for record in self.records[reader.read :])
        reader.read = len(self.records)
        reader.task = task

    @rule(which=st.integers(0, 5))
    def give_up_waiting(self, which: int) -> None:
        if which < len(self.readers) and (task := self.readers[which].task) is not None:
            task.cancel()
            self.loop.run_until_complete(turns())
            self.readers[which].task = None

    @rule(which=st.integers(0, 5), limit=st.sampled_from([1, 3, 1000]))
    def read(self, which: int, limit: int) -> None:
        if which >= len(self.readers):
            return
        reader = self.readers[which]
        if reader.task is not None:
            assert reader.cursor.next_batch(limit) == []
            return
        if reader.read < len(self.records) - len(self.log):
            with pytest.raises(Expired):
                reader.cursor.next_batch(limit)
            del self.readers[which]
            return
        wanted: list[tuple[str, Object]] = []
        while reader.read < len(self.records) and len(wanted) < limit:
            told = self.records[reader.read].seen(reader.selector)
            reader.read += 1
            if told is not None:
                wanted.append(told)
        events = reader.cursor.next_batch(limit)
        assert [(event.type, event.object) for event in events] == wanted
        for event in events:
            assert orjson.loads(event.encoded) == {"type": event.type, "object": event.object.to_dict()}
        if len(wanted) < limit:
            assert reader.cursor.next_batch() == []
            assert (reader.cursor.resource_version, reader.cursor.pending) == (self.version, 0)

    @invariant()
    def bounds_hold(self) -> None:
        assert len(self.log) <= self.max_events
        assert self.log.resource_version == self.version


class SmallLogMachine(LogMachine):
    max_events = 40
    max_bytes = 6000


TestLogMachine = LogMachine.TestCase
TestLogMachine.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
TestSmallLogMachine = SmallLogMachine.TestCase
TestSmallLogMachine.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)


# --- The ring ---------------------------------------------------------------------------------------------------------


def test_records_younger_than_min_seconds_are_kept_while_the_other_bounds_allow() -> None:
    now = [0.0]
    log = WatchLog(min_seconds=10, clock=lambda: now[0])
    for version in range(1, 1001):
        log.append("ADDED", pod("p", version), None)
    assert (len(log), log.oldest) == (1000, 0)
    now[0] = 11
    for version in range(1001, 3001):
        log.append("ADDED", pod("p", version), None)
    assert log.oldest >= 1000
    assert len(log) >= 2000


def test_the_ring_never_holds_more_than_max_events() -> None:
    log = WatchLog(max_events=10)
    for version in range(1, 26):
        log.append("ADDED", pod("p", version), None)
    assert (len(log), log.oldest) == (10, 15)
    with pytest.raises(Expired):
        log.cursor(14)
    assert [event.revision for event in log.cursor(15).next_batch()] == list(range(16, 26))


def test_the_ring_never_holds_more_than_max_bytes_but_its_newest_record() -> None:
    log = WatchLog(max_bytes=20_000)
    chance = random.Random(1)
    for version in range(1, 101):
        data = chance.randbytes(500).hex()
        log.append("ADDED", Object({"metadata": {"name": "p", "resourceVersion": str(version)}, "data": data}), None)
    assert 10 < len(log) < 40
    data = chance.randbytes(50_000).hex()
    log.append("ADDED", Object({"metadata": {"name": "p", "resourceVersion": "101"}, "data": data}), None)
    assert len(log) == 1


def test_the_ring_gives_memory_back_once_less_comes_in_the_time_it_keeps() -> None:
    now = [0.0]
    log = WatchLog(min_seconds=10, clock=lambda: now[0])
    cursor = log.cursor(field_selector="spec.nodeName=n1")
    small = log.nbytes
    for version in range(1, 5001):
        log.append("ADDED", pod("p", version), None)
    large = log.nbytes
    for version in range(5001, 6001):
        now[0] += 1
        log.append("ADDED", pod("p", version, f"n{version % 2}"), None)
        assert len(log) >= min(version, 11)
    assert len(log) <= 128
    assert log.nbytes - small < (large - small) / 10
    later = log.cursor(log.oldest, field_selector="spec.nodeName=n1")
    assert [event.revision for event in later.next_batch()] == list(range(log.oldest + 1 | 1, 6001, 2))
    with pytest.raises(Expired):
        cursor.next_batch()


def test_expire_gives_the_memory_back() -> None:
    log = WatchLog()
    for version in range(1, 5001):
        log.append("ADDED", pod("p", version), None)
    full = log.nbytes
    assert full > 5000 * 40
    log.expire()
    assert log.nbytes < full / 5


@pytest.mark.parametrize("bounds", [{"max_events": 0}, {"max_bytes": 0}, {"min_seconds": -1}])
def test_bounds_must_be_positive(bounds: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        WatchLog(**bounds)


def test_history_starts_behind_the_given_version() -> None:
    log = WatchLog(resource_version=50)
    with pytest.raises(Expired, match="too old resource version: 49"):
        log.cursor(49)
    assert log.cursor(50).next_batch() == []


def test_expire_forgets_history_but_not_readers_at_the_end() -> None:
    log = WatchLog()
    behind, at_end = log.cursor(), log.cursor()
    log.append("ADDED", pod("p", 7), None)
    at_end.next_batch()
    log.expire()
    assert (len(log), log.oldest, at_end.next_batch()) == (0, 7, [])
    with pytest.raises(Expired):
        behind.next_batch()


def test_all_cursors_share_one_event_and_its_bytes() -> None:
    log = WatchLog()
    cursors = [log.cursor(), log.cursor(), log.cursor(namespace="a"), log.cursor(field_selector="spec.nodeName=n1")]
    old = pod("p", 1, "n1")
    log.append("ADDED", old, None)
    log.append("MODIFIED", pod("p", 2, "n1"), old)
    first, *others = [cursor.next_batch() for cursor in cursors]
    for events in others:
        for mine, theirs in zip(events, first, strict=True):
            assert mine is theirs
            assert mine.encoded is theirs.encoded
    left = [log.cursor(0, label_selector="app=x") for _ in range(2)]
    log.append("MODIFIED", pod("p", 3, "n1", app="y"), first[1].object)
    one, two = [cursor.next_batch()[-1] for cursor in left]
    assert one is two
    assert one.type == "DELETED"


def test_readers_share_events_while_these_are_among_the_last_that_were_read() -> None:
    log = WatchLog()
    one, two = log.cursor(), log.cursor()
    obj = pod("p", 1)
    for _ in range(20_000):
        log.append("MODIFIED", obj, None)
    mine, theirs = one.next_batch(20_000), two.next_batch(20_000)
    shared = [event is other for event, other in zip(mine, theirs, strict=True)]
    assert not shared[0]  # it made room, and another one was made
    again = log.cursor()
    log.append("MODIFIED", obj, None)
    assert again.next_batch()[0] is one.next_batch()[0] is two.next_batch()[0]
    assert mine[0].key == theirs[0].key == "a/p"


def test_the_lines_that_are_kept_have_a_bound_in_bytes() -> None:
    log = WatchLog()
    cursor, late = log.cursor(), log.cursor()
    obj = Object({"metadata": {"name": "p"}, "data": "x" * 1_000_000})
    for _ in range(50):
        log.append("MODIFIED", obj, None)
    before = log.nbytes
    lines = {id(event): event.encoded for event in cursor.next_batch()}
    assert len(lines) == 50
    assert 20_000_000 < log.nbytes - before < 40_000_000
    events = late.next_batch()
    assert id(events[-1]) in lines
    assert [event.encoded for event in events] == list(lines.values())


def test_nothing_that_the_garbage_collector_walks_stands_for_a_record() -> None:
    log = WatchLog()
    cursors = [log.cursor(), log.cursor(label_selector="app=x"), log.cursor(field_selector="spec.nodeName=n1")]
    obj, old = pod("p", 2, "n1"), pod("p", 1)
    log.append("MODIFIED", obj, old)
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(5000):
        log.append("MODIFIED", obj, old)
    assert len(gc.get_objects()) < before + 100
    for cursor in cursors:
        events = cursor.next_batch(5001)
        assert len(events) == 5001
        assert not any(gc.is_tracked(event) for event in events)


def test_nothing_is_left_when_log_and_readers_are_gone() -> None:
    def counts() -> dict[str, int]:
        gc.collect()
        forget()
        return live()

    before = counts()
    log = WatchLog(max_events=100)
    cursors = [log.cursor(), log.cursor(label_selector="app=x"), log.cursor(field_selector="spec.nodeName=n1")]
    old = pod("p", 1)
    for version in range(2, 200):
        obj = pod("p", version, f"n{version % 3}", "xy"[version % 2])
        log.append("MODIFIED", obj, old)
        old = obj
    kept = [
        event for cursor in (log.cursor(150), log.cursor(150, label_selector="app=x")) for event in cursor.next_batch()
    ]
    del log, cursors, obj, old
    assert kept[-1].encoded.startswith(b'{"type":"')
    assert kept[-1].object.key == "a/p"
    del kept
    assert counts() == before


def test_an_object_that_is_deleted_as_it_stood_is_told_with_the_revision_of_its_end() -> None:
    log = WatchLog()
    cursor = log.cursor()
    obj = pod("p", 1)
    log.append("ADDED", obj, None)
    log.advance(7)
    log.append("DELETED", obj, obj)
    event = cursor.next_batch()[-1]
    assert (event.type, event.revision, event.object.resource_version, event.old) == ("DELETED", 7, 7, obj)
    assert b'"resourceVersion":"7"' in event.encoded


def test_an_event_reads_as_one_line_of_a_watch() -> None:
    log = WatchLog()
    cursor = log.cursor()
    log.append("ADDED", Object(b'{"metadata":{"name":"p"}}'), None)
    assert cursor.next_batch()[0].encoded == b'{"type":"ADDED","object":{"metadata":{"name":"p"}}}\n'


def test_a_cursor_on_a_later_version_skips_what_comes_before() -> None:
    log = WatchLog()
    cursor = log.cursor(10)
    for version in (9, 10, 11):
        log.append("ADDED", pod("p", version), None)
    assert [event.revision for event in cursor.next_batch()] == [11]


def test_a_version_is_passed_only_when_all_records_of_it_were_handed_out() -> None:
    log = WatchLog()
    cache = Cache(log=log)
    cursor = log.cursor()
    cache.replace([pod("p1", 1), pod("p2", 2)], 9)
    cursor.next_batch(1)
    assert cursor.resource_version == 8
    cursor.next_batch(1)
    assert cursor.resource_version == 9


def test_a_change_at_the_newest_version_reaches_a_cursor_that_stands_there() -> None:
    log = WatchLog()
    cache = Cache(log=log)
    cache.replace([pod("p1", 1)], 9)
    now, there = log.cursor(), log.cursor(9)
    cache.replace([pod("p2", 2)], 9)
    for cursor in (now, there):
        assert [(event.type, event.key) for event in cursor.next_batch()] == [("DELETED", "a/p1"), ("ADDED", "a/p2")]


def test_only_one_thread_appends() -> None:
    log = WatchLog()
    log.append("ADDED", pod("p", 1), None)
    errors: list[RuntimeError] = []

    def append() -> None:
        try:
            log.append("ADDED", pod("p", 2), None)
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=append)
    thread.start()
    thread.join()
    assert len(errors) == len(log) == 1


def test_a_type_is_one_of_three() -> None:
    with pytest.raises(ValueError, match="none of ADDED, MODIFIED, DELETED"):
        WatchLog().append("BOOKMARK", pod("p", 1), None)


def test_events_and_cursors_are_not_made_by_hand() -> None:
    for made in (Event, Cursor):
        with pytest.raises(TypeError):
            made()


# --- Waiting ----------------------------------------------------------------------------------------------------------


async def parked(cursor: Cursor) -> asyncio.Task[None]:
    task = asyncio.ensure_future(cursor.wait())
    await asyncio.sleep(0)
    return task


async def turns() -> None:
    """Lets everything run that can."""
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("selector", "deaf", "heard"),
    [
        ({}, None, {}),
        ({"namespace": "b"}, {"namespace": "a"}, {"namespace": "b"}),
        ({"label_selector": "app=x"}, {"app": "y"}, {"app": "x"}),
        ({"field_selector": "spec.nodeName=n1"}, {"node": "n2"}, {"node": "n1"}),
        ({"field_selector": "spec.nodeName="}, {"node": "n2"}, {}),
        ({"field_selector": "spec.nodeName!=n1"}, {"node": "n1"}, {"node": "n2"}),
        ({"field_selector": "metadata.name=p,spec.nodeName=n1"}, {"node": "n2"}, {"node": "n1"}),
        ({"namespace": "b", "field_selector": "spec.nodeName=n1"}, {"node": "n1"}, {"node": "n1", "namespace": "b"}),
    ],
)
async def test_a_parked_cursor_is_woken_by_what_it_would_see(selector: Any, deaf: Any, heard: Any) -> None:
    log = WatchLog()
    cursor = log.cursor(**selector)
    waiting = await parked(cursor)
    if deaf is not None:
        log.append("ADDED", pod("p", 8, **deaf), None)
        await turns()
        assert not waiting.done()
        assert (cursor.next_batch(), cursor.pending, cursor.resource_version) == ([], 0, 8)
    log.append("ADDED", pod("p", 9, **heard), None)
    await asyncio.wait_for(waiting, 5)
    assert [event.object for event in cursor.next_batch()] == [pod("p", 9, **heard)]


@pytest.mark.parametrize(
    "value", ["n1", "", "true", "12", "1.5", 'with "quotes"', "ü€𝄞", "longer than a word of the machine"]
)
async def test_values_of_every_kind_are_found_by_the_text_that_selectors_see(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
    known = {"true": True, "12": 12, "1.5": 1.5, "": None}
    log = WatchLog()
    cursor = log.cursor(field_selector=f"spec.x={escaped}")
    other = log.cursor(field_selector="spec.x=other")
    waiting, deaf = await parked(cursor), await parked(other)
    obj = Object({"metadata": {"name": "p"}, "spec": {"x": known.get(value, value)}})
    log.append("ADDED", obj, None)
    await asyncio.wait_for(waiting, 5)
    assert [event.object for event in cursor.next_batch()] == [obj]
    await turns()
    assert not deaf.done()
    deaf.cancel()


async def test_a_thousand_cursors_on_values_of_their_own_wake_for_these_alone() -> None:
    log = WatchLog()
    cursors = [log.cursor(field_selector=f"spec.nodeName=n{i}") for i in range(1000)]
    tasks = [await parked(cursor) for cursor in cursors]
    await turns()
    log.append("MODIFIED", pod("p", 1, "n7"), pod("p", 0, "n500"))
    log.append("ADDED", pod("p", 2, "n1000"), None)
    await turns()
    assert [i for i, task in enumerate(tasks) if task.done()] == [7, 500]
    assert [event.type for i in (7, 500) for event in cursors[i].next_batch()] == ["ADDED", "DELETED"]
    log.close()
    await asyncio.gather(*tasks)


def test_each_value_is_read_in_order_however_many_there_are() -> None:
    log = WatchLog()
    values = 9000
    cursors = {i: log.cursor(field_selector=f"spec.nodeName=n{i}") for i in range(0, values, 300)}
    chance = random.Random(1)
    wanted: dict[int, list[int]] = {i: [] for i in range(values)}
    for version in range(1, 20_001):
        value = chance.randrange(values) // chance.choice([1, 300]) * 300 % values
        log.append("ADDED", pod("p", version, f"n{value}"), None)
        wanted[value].append(version)
    for i, cursor in cursors.items():
        told = [event.revision for _ in range(len(wanted[i]) + 1) for event in cursor.next_batch(1)]
        assert told == wanted[i]


def test_selectors_on_more_paths_than_a_store_watches_select_as_well() -> None:
    log = WatchLog()
    cursors = [log.cursor(field_selector=f"spec.f{i}=yes") for i in range(100)]
    obj = Object({"metadata": {"name": "p"}, "spec": {"f5": "yes", "f95": "yes"}})
    log.append("ADDED", obj, None)
    assert [i for i, cursor in enumerate(cursors) if cursor.next_batch()] == [5, 95]


@pytest.mark.parametrize("selector", SELECTORS)
def test_parked_readers_and_their_log_are_collected_together(selector: Any) -> None:
    gc.collect()
    forget()
    before = live()
    loop = asyncio.new_event_loop()
    log = WatchLog()
    log.append("ADDED", pod("p", 1), None)
    task = loop.create_task(log.cursor(**selector).wait())
    loop.run_until_complete(turns())
    task.set_name("lost")
    loop.set_exception_handler(lambda loop, context: None)  # "Task was destroyed but it is pending!"
    del log, task
    gc.collect()
    forget()
    assert live() == before
    loop.close()


def test_a_reader_in_a_loop_that_was_closed_does_not_fail_the_writer() -> None:
    log = WatchLog()
    loop = asyncio.new_event_loop()
    cursor = log.cursor()
    task = loop.create_task(cursor.wait())
    loop.run_until_complete(turns())
    loop.close()
    log.append("ADDED", pod("p", 1), None)
    assert not task.done()
    assert len(cursor.next_batch()) == 1


async def test_an_object_that_leaves_the_selector_wakes_as_well() -> None:
    log = WatchLog()
    cursor = log.cursor(field_selector="spec.nodeName=n1")
    waiting = await parked(cursor)
    log.append("MODIFIED", pod("p", 2, "n2"), pod("p", 1, "n1"))
    await asyncio.wait_for(waiting, 5)
    (event,) = cursor.next_batch()
    assert (event.type, event.revision, event.object.resource_version) == ("DELETED", 2, 2)
    assert event.object.get_path("spec.nodeName") == "n1"


async def test_a_cursor_that_sleeps_through_the_events_of_others_does_not_expire() -> None:
    log = WatchLog(max_events=10)
    cursor = log.cursor(field_selector="spec.nodeName=n1")
    waiting = await parked(cursor)
    for version in range(1, 100):
        log.append("ADDED", pod("p", version, "n2"), None)
    await turns()
    assert not waiting.done()
    log.append("ADDED", pod("p", 100, "n1"), None)
    await asyncio.wait_for(waiting, 5)
    assert [event.revision for event in cursor.next_batch()] == [100]


async def test_wait_returns_at_once_when_something_is_there() -> None:
    log = WatchLog()
    cursor = log.cursor()
    log.append("ADDED", pod("p", 1), None)
    await asyncio.wait_for(cursor.wait(), 5)
    assert len(cursor.next_batch()) == 1


async def test_wait_passes_over_records_of_other_values() -> None:
    log = WatchLog()
    cursor = log.cursor(field_selector="spec.nodeName=n1")
    log.append("ADDED", pod("p", 1, "n2"), None)
    waiting = await parked(cursor)
    assert not waiting.done()
    log.append("ADDED", pod("p", 2, "n1"), None)
    await asyncio.wait_for(waiting, 5)
    assert len(cursor.next_batch()) == 1


async def test_a_burst_wakes_a_cursor_once() -> None:
    log = WatchLog()
    cursor = log.cursor()
    waiting = await parked(cursor)
    for version in range(1, 101):
        log.append("ADDED", pod("p", version), None)
    await asyncio.wait_for(waiting, 5)
    assert len(cursor.next_batch()) == 100


async def test_a_cancelled_wait_loses_nothing() -> None:
    log = WatchLog()
    cursor = log.cursor(label_selector="app=x")
    waiting = await parked(cursor)
    log.append("ADDED", pod("p", 1, app="y"), None)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert cursor.pending == 0
    log.append("ADDED", pod("p", 2), None)
    waiting = await parked(cursor)
    await asyncio.wait_for(waiting, 5)
    assert [event.revision for event in cursor.next_batch()] == [2]


async def test_a_wait_cancelled_after_its_wake_up_keeps_the_event() -> None:
    log = WatchLog()
    cursor = log.cursor()
    waiting = await parked(cursor)
    log.append("ADDED", pod("p", 1), None)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert len(cursor.next_batch()) == 1


async def test_one_waiter_at_a_time() -> None:
    cursor = WatchLog().cursor()
    waiting = await parked(cursor)
    with pytest.raises(RuntimeError, match="another task waits"):
        await cursor.wait()
    waiting.cancel()


@pytest.mark.parametrize("selector", SELECTORS)
async def test_close_wakes_every_parked_cursor(selector: Any) -> None:
    log = WatchLog()
    cursors = [log.cursor(**selector) for _ in range(3)]
    waiting = [await parked(cursor) for cursor in cursors]
    log.close()
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert log.closed
    assert [cursor.next_batch() for cursor in cursors] == [[], [], []]
    await asyncio.wait_for(cursors[0].wait(), 5)


async def test_a_value_that_nobody_reads_any_more_is_not_filed() -> None:
    log = WatchLog(max_events=50)
    cursor = log.cursor(field_selector="spec.nodeName=n1")
    for version in range(1, 200):
        log.append("ADDED", pod("p", version, f"n{version % 3}"), None)
    with pytest.raises(Expired):
        cursor.next_batch()
    fresh = log.cursor(log.oldest, field_selector="spec.nodeName=n1")
    wanted = [version for version in range(150, 200) if version % 3 == 1]
    assert [event.revision for event in fresh.next_batch()] == wanted
    del cursor, fresh
    gc.collect()
    for version in range(200, 300):
        log.append("ADDED", pod("p", version, "n1"), None)
    again = log.cursor(log.oldest, field_selector="spec.nodeName=n1")
    assert len(again.next_batch()) == 50


def test_a_log_belongs_to_one_cache() -> None:
    """An empty one too: its records will be those of one store."""
    log = WatchLog()
    cache = Cache(log=log)
    with pytest.raises(ValueError, match="another store"):
        Cache(log=log)
    cache.apply("ADDED", b'{"metadata":{"name":"one","resourceVersion":"1"}}')
    assert [event.key for event in log.cursor(0).next_batch()] == ["one"]
