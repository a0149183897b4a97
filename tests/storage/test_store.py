"""What every store promises: the same tests on memory, sqlite and etcd."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.api.resource import CONFIGMAPS, NODES, PODS, SECRETS
from engine.storage.store import EMPTY, StorageError, Store, Write
from tests.storage.conftest import Opener
from tests.storage.servers import eventually
from tests.storage.writes import create, delete, pod, refused, stored, update


def seen(store: Store, revision: int) -> list[tuple[str, str, int]]:
    events = store.table(PODS).log.cursor(revision).next_batch(10_000)
    return [(event.type, event.key, event.revision) for event in events]


async def test_a_created_object_is_readable_by_its_key(store: Store) -> None:
    made = await stored(store, create("a", app="web"))
    found = store.table(PODS).cache.get("default/a")
    assert found == made
    assert found is not None
    assert found.labels["app"] == "web"
    assert found.resource_version == store.revision


async def test_stored_bytes_begin_with_type_and_metadata(store: Store) -> None:
    made = await stored(store, create("a"))
    begin = '{"apiVersion":"v1","kind":"Pod","metadata":{"resourceVersion":"'
    assert made.raw.startswith(f'{begin}{made.resource_version}",'.encode())


async def test_indexes_find_what_was_written(store: Store) -> None:
    await stored(store, create("a", node="n1"))
    await stored(store, create("b", node="n2"))
    assert [obj.key for obj in store.table(PODS).cache.by_index("node", "n2")] == ["default/b"]


async def test_creating_what_exists_conflicts_and_shows_it(store: Store) -> None:
    made = await stored(store, create("a"))
    assert (await refused(store, create("a"))).current == made


async def test_updating_a_stale_version_conflicts_and_changes_nothing(store: Store) -> None:
    first = await stored(store, create("a"))
    second = await stored(store, update("a", first, node="n1"))
    assert (await refused(store, update("a", first, node="n2"))).current == second
    assert store.newest(PODS, "default/a") == second


async def test_updating_what_is_not_there_conflicts_with_nothing(store: Store) -> None:
    first = await stored(store, create("a"))
    await stored(store, delete("a", first))
    assert (await refused(store, update("a", first))).current is None


async def test_deleting_a_stale_version_conflicts(store: Store) -> None:
    first = await stored(store, create("a"))
    await stored(store, update("a", first, node="n1"))
    await refused(store, delete("a", first))
    assert "default/a" in store.table(PODS).cache


async def test_a_deleted_name_can_be_created_again(store: Store) -> None:
    first = await stored(store, create("a"))
    await stored(store, delete("a", first))
    assert store.table(PODS).cache.get("default/a") is None
    second = await stored(store, create("a"))
    assert second.resource_version > first.resource_version


async def test_one_counter_runs_over_all_resources(store: Store) -> None:
    node: dict[str, Any] = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
    revisions = []
    for round in range(3):
        revisions.append((await stored(store, create(f"p{round}"))).resource_version)
        revisions.append((await stored(store, Write(NODES, f"n{round}", dict(node), EMPTY))).resource_version)
    assert revisions == list(range(revisions[0], revisions[0] + 6))
    assert store.revision == revisions[-1]


async def test_a_write_brings_every_table_to_its_revision(store: Store) -> None:
    made = await stored(store, create("a"))
    for resource in (PODS, NODES, CONFIGMAPS):
        table = store.table(resource)
        assert table.cache.resource_version == table.log.resource_version == made.resource_version


async def test_the_log_tells_each_change_once_in_the_order_of_revisions(store: Store) -> None:
    start = store.revision
    first = await stored(store, create("a"))
    second = await stored(store, update("a", first, node="n1"))
    other = await stored(store, create("b"))
    gone = await stored(store, delete("a", second))
    assert seen(store, start) == [
        ("ADDED", "default/a", first.resource_version),
        ("MODIFIED", "default/a", second.resource_version),
        ("ADDED", "default/b", other.resource_version),
        ("DELETED", "default/a", gone.resource_version),
    ]


async def test_a_deletion_carries_the_last_state_and_its_own_revision(store: Store) -> None:
    made = await stored(store, create("a", node="n1"))
    gone = await stored(store, delete("a", made))
    assert gone.resource_version == made.resource_version + 1
    (event,) = store.table(PODS).log.cursor(made.resource_version).next_batch()
    assert event.object.resource_version == gone.resource_version
    assert event.object.get_path("spec.nodeName") == "n1"
    assert event.old == made


async def test_concurrent_writers_are_told_the_truth_each(store: Store) -> None:
    first = await stored(store, create("a"))
    start = store.revision
    answers = await asyncio.gather(*(store.commit([update("a", first, node=f"n{i}")]) for i in range(20)))
    winners = [answer[0] for answer in answers if not hasattr(answer[0], "current")]
    assert len(winners) == 1
    assert store.newest(PODS, "default/a") == winners[0]
    assert len(seen(store, start)) == 1


async def test_a_commit_of_many_answers_in_their_order(store: Store) -> None:
    names = [f"p{i}" for i in range(600)]
    start = store.revision
    answers = await store.commit([create(name) for name in names])
    assert [getattr(answer, "name", None) for answer in answers] == names
    assert len(store.table(PODS).cache) == 600
    revisions = [revision for _, _, revision in seen(store, start)]
    assert revisions == list(range(start + 1, start + 601))


async def test_a_refused_write_does_not_hold_up_the_others_of_its_commit(store: Store) -> None:
    await stored(store, create("a"))
    answers = await store.commit([create("b"), create("a"), create("c")])
    assert [hasattr(answer, "current") for answer in answers] == [False, True, False]
    assert store.table(PODS).cache.keys() == ["default/a", "default/b", "default/c"]


async def test_writes_to_one_key_in_one_commit_run_in_order(store: Store) -> None:
    first, second = await store.commit([create("a", node="n1"), create("a", node="n2")])
    assert not hasattr(first, "current")
    assert getattr(second, "current", None) == first


async def test_a_document_that_json_cannot_hold_stores_nothing_of_its_commit(store: Store) -> None:
    start = store.revision
    bad = pod("b")
    bad["spec"]["when"] = object()
    with pytest.raises(ValueError, match="JSON"):
        await store.commit([create("a"), Write(PODS, "default/b", bad, EMPTY)])
    assert store.newest(PODS, "default/a") is None
    await stored(store, create("c"))
    assert [key for _, key, _ in seen(store, start)] == ["default/c"]


async def test_a_cancelled_writer_harms_nobody(store: Store) -> None:
    writer = asyncio.create_task(store.commit([create("a")]))
    other = asyncio.create_task(store.commit([create("b")]))
    await asyncio.sleep(0)
    writer.cancel()
    await other
    await stored(store, create("c"))
    assert "default/b" in store.table(PODS).cache


async def test_a_resource_the_store_was_not_made_for_is_a_key_error(store: Store) -> None:
    with pytest.raises(KeyError):
        store.table(SECRETS)


async def test_closing_waits_for_accepted_writes_and_ends_the_logs(opener: Opener) -> None:
    store = await opener()
    writing = [asyncio.create_task(store.commit([create(f"p{i}")])) for i in range(50)]
    await asyncio.sleep(0)
    await store.close()
    assert all(task.done() for task in writing)
    assert not any(task.exception() for task in writing)
    assert store.table(PODS).log.closed
    with pytest.raises(StorageError):
        await store.commit([create("late")])


async def test_a_reader_that_waits_is_woken_by_a_write(store: Store) -> None:
    cursor = store.table(PODS).log.cursor()
    waiting = asyncio.create_task(cursor.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    await stored(store, create("a"))
    async with asyncio.timeout(5):
        await waiting
    assert [event.key for event in cursor.next_batch()] == ["default/a"]


@pytest.mark.parametrize("opener", ["sqlite", "etcd"], indirect=True)
async def test_reopened_it_holds_what_was_stored_and_counts_on(opener: Opener) -> None:
    store = await opener()
    kept = await stored(store, create("kept", node="n1"))
    doomed = await stored(store, create("doomed"))
    gone = await stored(store, delete("doomed", doomed))
    await store.close()
    again = await opener()
    assert again.revision == gone.resource_version
    assert again.newest(PODS, "default/kept") == kept
    assert again.newest(PODS, "default/doomed") is None
    assert [obj.key for obj in again.table(PODS).cache.by_index("node", "n1")] == ["default/kept"]
    assert (await stored(again, create("next"))).resource_version == gone.resource_version + 1


@pytest.mark.parametrize("opener", ["sqlite", "etcd"], indirect=True)
async def test_what_was_loaded_is_no_news(opener: Opener) -> None:
    store = await opener()
    await stored(store, create("a"))
    await store.close()
    again = await opener()
    assert seen(again, again.revision) == []
    assert len(again.table(PODS).log) == 0
    await eventually(lambda: again.table(PODS).cache.resource_version == again.revision)
