"""The sqlite journal: groups, durability, failures, the data directory."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from engine._object import Object
from engine.api.resource import PODS
from engine.storage import open_store
from engine.storage.embedded import EmbeddedStore
from engine.storage.journal import Record
from engine.storage.sqlite import FORMAT_VERSION, SqliteJournal
from engine.storage.store import EMPTY, IncompatibleData, StorageError, Store, Write
from tests.storage.servers import eventually, wait_until
from tests.storage.writes import RESOURCES, create, pod, stored, update


class Watched(SqliteJournal):
    """The real journal, which counts its groups, and can be held up and made to fail."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self.groups: list[int] = []
        self.failing = False
        self.passing = threading.Event()
        self.passing.set()
        self.limit_pages = False

    def open(self) -> int:
        revision = super().open()
        if self.limit_pages:
            self._opened().execute("PRAGMA max_page_count = 40")
        return revision

    def commit(self, records: Sequence[Record]) -> None:
        self.groups.append(len(records))
        assert self.passing.wait(10)
        if self.failing:
            raise StorageError("the disk is on fire")
        super().commit(records)


@pytest.fixture
def journal(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "data")


@pytest_asyncio.fixture
async def store(journal: Watched) -> AsyncIterator[EmbeddedStore]:
    store = EmbeddedStore(RESOURCES, journal)
    await store.start()
    yield store
    await store.close()


async def test_concurrent_writers_share_a_sync(store: EmbeddedStore, journal: Watched) -> None:
    async def writer(number: int) -> None:
        for round in range(5):
            await stored(store, create(f"p{number}-{round}"))

    await asyncio.gather(*(writer(number) for number in range(200)))
    assert sum(journal.groups) == 1000
    assert len(journal.groups) <= 12


async def test_a_lone_write_goes_at_once(store: EmbeddedStore, journal: Watched) -> None:
    await stored(store, create("a"))
    assert journal.groups == [1]


async def test_nothing_is_readable_or_watchable_before_it_is_durable(store: EmbeddedStore, journal: Watched) -> None:
    journal.passing.clear()
    writing = asyncio.create_task(store.commit([create("a")]))
    await eventually(lambda: journal.groups == [1])
    assert store.newest(PODS, "default/a") is not None
    assert store.table(PODS).cache.get("default/a") is None
    assert store.table(PODS).log.cursor(0).next_batch() == []
    assert store.revision == 0
    journal.passing.set()
    await writing
    assert store.table(PODS).cache.get("default/a") is not None


async def test_a_write_may_build_on_one_that_is_not_durable(store: EmbeddedStore, journal: Watched) -> None:
    journal.passing.clear()
    first = asyncio.create_task(store.commit([create("a")]))
    await eventually(lambda: journal.groups == [1])
    pending = store.newest(PODS, "default/a")
    assert pending is not None
    second = asyncio.create_task(stored(store, update("a", pending, node="n1")))
    await asyncio.sleep(0)
    journal.passing.set()
    updated = await second
    assert first.done()
    assert journal.groups == [1, 1]
    assert store.table(PODS).cache.get("default/a") == updated


async def test_a_conflict_with_a_write_that_is_not_durable_waits_for_it(store: EmbeddedStore, journal: Watched) -> None:
    journal.passing.clear()
    first = asyncio.create_task(store.commit([create("a")]))
    await eventually(lambda: journal.groups == [1])
    second = asyncio.create_task(store.commit([create("a")]))
    await asyncio.sleep(0.01)
    assert not second.done()
    journal.passing.set()
    await second
    assert store.table(PODS).cache.get("default/a") is not None
    assert first.done()
    assert journal.groups == [1]


async def test_when_a_group_fails_all_that_is_pending_fails_and_nothing_of_it_is_seen(
    store: EmbeddedStore, journal: Watched
) -> None:
    kept = await stored(store, create("kept"))
    journal.failing = True
    journal.passing.clear()
    first = asyncio.create_task(store.commit([create("a"), update("kept", kept, node="n9")]))
    await eventually(lambda: len(journal.groups) == 2)
    pending = store.newest(PODS, "default/a")
    assert pending is not None
    dependent = asyncio.create_task(store.commit([update("a", pending)]))
    await asyncio.sleep(0)
    journal.passing.set()
    for failed in (first, dependent):
        with pytest.raises(StorageError, match="on fire"):
            await failed
    assert store.newest(PODS, "default/a") is None
    assert store.newest(PODS, "default/kept") == kept
    assert store.table(PODS).cache.keys() == ["default/kept"]
    assert len(store.table(PODS).log) == 1


async def test_after_a_failed_group_the_store_works_on_and_revisions_are_not_used_again(
    store: EmbeddedStore, journal: Watched
) -> None:
    journal.failing = True
    with pytest.raises(StorageError):
        await store.commit([create("a"), create("b")])
    journal.failing = False
    made = await stored(store, create("a"))
    assert made.resource_version == 3


async def test_a_full_disk_is_a_storage_error_and_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    journal = Watched(tmp_path / "data")
    journal.limit_pages = True
    store = EmbeddedStore(RESOURCES, journal)
    await store.start()
    acknowledged: list[str] = []

    async def fill() -> None:
        for number in range(1000):
            made = await stored(store, create(f"p{number:03}", note="x" * 2000))
            acknowledged.append(made.key)

    with pytest.raises(StorageError, match="full"):
        await fill()
    assert store.table(PODS).cache.keys() == acknowledged
    first = store.newest(PODS, acknowledged[0])
    assert first is not None
    await stored(store, Write(PODS, first.key, first.to_dict(), first.resource_version, delete=True))
    await store.close()
    again = open_store("sqlite", RESOURCES, data_dir=tmp_path / "data")
    await again.start()
    assert again.table(PODS).cache.keys() == acknowledged[1:]
    await again.close()


async def test_a_second_process_on_the_same_directory_is_told_so(tmp_path: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from engine.storage.sqlite import SqliteJournal
journal = SqliteJournal(Path({str(tmp_path)!r}))
journal.open()
print("open", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        store = open_store("sqlite", RESOURCES, data_dir=tmp_path)
        with pytest.raises(IncompatibleData, match="in use by another process"):
            await store.start()
        other.kill()
    await store.start()  # the lock went with its holder
    await store.close()


async def test_data_of_another_format_version_is_refused_with_both_versions(tmp_path: Path) -> None:
    await _once(tmp_path)
    with sqlite3.connect(tmp_path / "store.sqlite") as connection:
        connection.execute("UPDATE meta SET value = 99 WHERE name = 'format'")
    connection.close()
    with pytest.raises(IncompatibleData, match=f"99.*{FORMAT_VERSION}"):
        await _once(tmp_path)


async def test_a_sqlite_file_of_something_else_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store.sqlite") as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    with pytest.raises(IncompatibleData, match="not written by this program"):
        await _once(tmp_path)


async def test_a_corrupt_file_is_incompatible_data_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_bytes(os.urandom(100_000))
    with pytest.raises(IncompatibleData) as raised:
        await _once(tmp_path)
    assert "store.sqlite" in str(raised.value)
    assert "\n" not in str(raised.value)


async def test_a_directory_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot open"):
        await _once(tmp_path / "file" / "data")


NAMES = 7  # per writer, in turn
WRITER = """
import asyncio, sys
NAMES = int(sys.argv[2])
from engine._object import Object
from engine.api.resource import PODS
from engine.storage import open_store
from tests.storage.writes import RESOURCES, create, delete, stored, update

async def writer(store, number):
    round = 0
    while True:
        name = f"p{number}-{round % NAMES}"
        now = store.newest(PODS, f"default/{name}")
        if now is None:
            write = create(name, round=str(round))
        elif round % 3:
            write = update(name, now, round=str(round))
        else:
            write = delete(name, now)
        done = await stored(store, write)
        print(name, "-" if write.delete else round, done.resource_version, flush=True)
        round += 1

async def main():
    store = open_store("sqlite", RESOURCES, data_dir=sys.argv[1])
    await store.start()
    await asyncio.gather(*(writer(store, number) for number in range(20)))

asyncio.run(main())
"""


@pytest.mark.parametrize("kill_after_lines", [1, 200, 1500])
async def test_what_was_acknowledged_before_kill_9_is_there_after(tmp_path: Path, kill_after_lines: int) -> None:
    told = tmp_path / "told"
    with told.open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "-c", WRITER, str(tmp_path / "data"), str(NAMES)], stdout=output
        )
    try:
        wait_until(lambda: told.read_bytes().count(b"\n") >= kill_after_lines or process.poll() is not None)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    lines = told.read_text().split("\n")[:-1]
    expected: dict[str, tuple[str, int]] = {}
    for name, round, revision in map(str.split, lines):
        expected[name] = (round, int(revision))
    store = open_store("sqlite", RESOURCES, data_dir=tmp_path / "data")
    await store.start()
    for name, (round, revision) in expected.items():
        found = store.newest(PODS, f"default/{name}")
        deleted_next = round != "-" and (int(round) + NAMES) % 3 == 0
        if (found is not None and found.resource_version > revision) or (found is None and deleted_next):
            continue  # a later write was durable, and its answer on the way when the process died
        assert ("-" if found is None else found.labels["round"]) == round
    assert store.revision >= max(revision for _, revision in expected.values())
    await store.close()


async def test_the_counter_survives_when_the_newest_write_is_a_deletion(tmp_path: Path) -> None:
    store = open_store("sqlite", RESOURCES, data_dir=tmp_path)
    await store.start()
    made = await stored(store, create("a"))
    await stored(store, Write(PODS, made.key, made.to_dict(), made.resource_version, delete=True))
    await store.close()
    assert await _once(tmp_path) == 2


async def test_integers_beyond_64_bits_are_kept(tmp_path: Path) -> None:
    document = pod("a")
    document["spec"]["big"] = 2**80
    store = open_store("sqlite", RESOURCES, data_dir=tmp_path)
    await store.start()
    await stored(store, Write(PODS, "default/a", document, EMPTY))
    await store.close()
    again = open_store("sqlite", RESOURCES, data_dir=tmp_path)
    await again.start()
    found = again.newest(PODS, "default/a")
    assert found is not None
    assert found.get_path("spec.big") == 2**80
    await again.close()


async def test_a_deletion_costs_what_it_deletes_and_not_what_is_stored(tmp_path: Path) -> None:
    def steps_of_ten_deletions(data_dir: Path, stored_rows: int) -> int:
        journal = SqliteJournal(data_dir)
        journal.open()
        objects = [Object(pod(f"p{number:05}")) for number in range(stored_rows)]
        records = [Record(PODS, each.key, "ADDED", each, number) for number, each in enumerate(objects, 1)]
        journal.commit(records)
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        journal._opened().set_progress_handler(count, 1)
        journal.commit([Record(PODS, each.key, "DELETED", each.object, 9999) for each in records[:10]])
        journal._opened().set_progress_handler(None, 0)
        assert sum(len(page) for page in journal.load(PODS)) == stored_rows - 10
        journal.close()
        return steps

    assert steps_of_ten_deletions(tmp_path / "large", 2000) < 1.5 * steps_of_ten_deletions(tmp_path / "small", 50)


def test_nobody_else_can_read_the_store_since_secrets_are_in_it(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "data")
    journal.open()
    modes = {path.name: path.stat().st_mode & 0o077 for path in (tmp_path / "data").glob("store.sqlite*")}
    journal.close()
    assert modes == {"store.sqlite": 0, "store.sqlite-shm": 0, "store.sqlite-wal": 0}


async def _once(data_dir: Path) -> int:
    """Opens and closes; the revision that was found."""
    store: Store = open_store("sqlite", RESOURCES, data_dir=data_dir)
    await store.start()
    revision = store.revision
    await store.close()
    return revision
