"""What is particular to etcd: the layout, several stores on one server, and a server that goes away."""

from __future__ import annotations

import asyncio
import json

import pytest

from engine._object import Object
from engine.api.resource import PODS
from engine.storage import etcd_wire as wire
from engine.storage.etcd import EtcdStore
from engine.storage.store import EMPTY, StorageError, Write
from tests.storage.servers import Etcd, eventually, free_port
from tests.storage.writes import RESOURCES, create, delete, pod, refused, stored, update


def new_store(server: Etcd, *, deadline_seconds: float = 10.0, compact_seconds: float | None = None) -> EtcdStore:
    return EtcdStore(RESOURCES, [server.endpoint], deadline_seconds=deadline_seconds, compact_seconds=compact_seconds)


async def test_objects_lie_where_kubernetes_puts_them_and_without_a_version(etcd_server: Etcd) -> None:
    etcd_server.wipe()
    store = new_store(etcd_server)
    await store.start()
    await stored(store, create("a", node="n1"))
    document = json.loads(etcd_server.get("/registry/pods/default/a"))
    assert document["spec"] == {"nodeName": "n1"}
    assert "resourceVersion" not in document["metadata"]
    await store.close()


async def test_keys_of_other_programs_are_left_alone(etcd_server: Etcd) -> None:
    etcd_server.wipe()
    etcd_server.put("/registry/unknown/default/x", b"k8s\0binary")
    etcd_server.put("/registry/pods", b"no key")
    store = new_store(etcd_server)
    await store.start()
    etcd_server.put("/registry/unknown/default/y", b"k8s\0binary")
    await stored(store, create("a"))
    assert store.table(PODS).cache.keys() == ["default/a"]
    await store.close()


async def test_a_value_that_is_no_object_is_skipped_by_the_watch(etcd_server: Etcd) -> None:
    etcd_server.wipe()
    store = new_store(etcd_server)
    await store.start()
    etcd_server.put("/registry/pods/default/bad", b"k8s\0binary")
    await stored(store, create("a"))
    assert store.table(PODS).cache.keys() == ["default/a"]
    await store.close()


async def test_a_list_longer_than_a_page_is_read_whole(etcd_server: Etcd) -> None:
    etcd_server.wipe()
    writer = new_store(etcd_server)
    await writer.start()
    await writer.commit([create(f"p{number:04}") for number in range(1100)])
    reader = new_store(etcd_server)
    await reader.start()
    assert reader.table(PODS).cache.keys() == writer.table(PODS).cache.keys()
    assert reader.revision == writer.revision
    await writer.close()
    await reader.close()


async def test_two_stores_see_each_others_writes_in_the_same_order(etcd_server: Etcd) -> None:
    etcd_server.wipe()
    one, two = new_store(etcd_server), new_store(etcd_server)
    await one.start()
    await two.start()
    start = one.revision
    await asyncio.gather(
        *(store.commit([create(f"{side}{i}") for i in range(50)]) for side, store in (("a", one), ("b", two)))
    )
    last = max(one.revision, two.revision)
    await eventually(lambda: one.revision == two.revision == last)
    first, second = (
        [(event.type, event.key, event.revision) for event in store.table(PODS).log.cursor(start).next_batch(1000)]
        for store in (one, two)
    )
    assert first == second
    assert len(first) == 100
    await one.close()
    await two.close()


async def test_a_conflict_with_another_store_is_in_the_cache_when_it_is_told(etcd_server: Etcd) -> None:
    etcd_server.wipe()
    one, two = new_store(etcd_server), new_store(etcd_server)
    await one.start()
    await two.start()
    made = await stored(one, create("a"))
    for round in range(20):
        made = await stored(one, update("a", made, node=f"n{round}"))
        assert (await refused(two, create("a"))).current == made
        assert two.newest(PODS, "default/a") == made
    await stored(one, delete("a", made))
    assert (await refused(two, update("a", made))).current is None
    assert two.newest(PODS, "default/a") is None
    await one.close()
    await two.close()


async def test_racing_stores_never_overwrite_each_other(etcd_server: Etcd) -> None:
    etcd_server.wipe()
    stores = [new_store(etcd_server) for _ in range(3)]
    for store in stores:
        await store.start()
    await stored(stores[0], Write(PODS, "default/a", pod("a", count="0"), EMPTY))

    async def increment(store: EtcdStore) -> None:
        for _ in range(10):
            while True:
                now = store.newest(PODS, "default/a")
                if now is None:
                    await asyncio.sleep(0.001)
                    continue
                write = update("a", now, count=str(int(now.labels["count"]) + 1))
                if isinstance((await store.commit([write]))[0], Object):
                    break

    await asyncio.gather(*(increment(store) for store in stores))
    await eventually(lambda: len({store.revision for store in stores}) == 1)
    for store in stores:
        now = store.newest(PODS, "default/a")
        assert now is not None
        assert now.labels["count"] == "30"
        await store.close()


async def test_writes_wait_for_an_etcd_that_restarts_and_nothing_is_lost(own_etcd: Etcd) -> None:
    store, other = new_store(own_etcd), new_store(own_etcd)
    await store.start()
    await other.start()
    start = store.revision
    before = await stored(store, create("before"))
    own_etcd.kill()
    waiting = asyncio.create_task(store.commit([create("while"), update("before", before, node="n1")]))
    await asyncio.to_thread(own_etcd.start)
    answers = await waiting
    assert all(isinstance(answer, Object) for answer in answers)
    await stored(store, create("after"))
    await eventually(lambda: other.revision == store.revision)
    told = [event.key for event in other.table(PODS).log.cursor(start).next_batch()]
    assert sorted(told) == ["default/after", "default/before", "default/before", "default/while"]
    await store.close()
    await other.close()


async def test_writes_under_load_over_a_restart_are_each_told_the_truth(own_etcd: Etcd) -> None:
    store = new_store(own_etcd, deadline_seconds=20)
    await store.start()
    start = store.revision

    async def writer(number: int) -> list[Object]:
        return [await stored(store, create(f"p{number}-{round}")) for round in range(40)]

    writers = [asyncio.create_task(writer(number)) for number in range(10)]
    await eventually(lambda: len(store.table(PODS).cache) > 50)
    own_etcd.kill()
    await asyncio.to_thread(own_etcd.start)
    made = [obj for objects in await asyncio.gather(*writers) for obj in objects]
    assert {obj.key: obj.resource_version for obj in made} == {
        obj.key: obj.resource_version for obj in store.table(PODS).cache.list()
    }
    events = store.table(PODS).log.cursor(start).next_batch(1000)
    assert len(events) == len({event.key for event in events}) == 400
    await store.close()


async def test_an_etcd_that_stays_away_is_a_storage_error_after_the_deadline(own_etcd: Etcd) -> None:
    store = new_store(own_etcd, deadline_seconds=0.3)
    await store.start()
    made = await stored(store, create("a"))
    own_etcd.kill()
    with pytest.raises(StorageError, match="does not answer"):
        await store.commit([create("b")])
    assert store.newest(PODS, "default/a") == made  # readers keep what they have
    await store.close()


async def test_no_etcd_at_the_start_is_a_storage_error_that_names_the_endpoint() -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    store = EtcdStore(RESOURCES, [endpoint], deadline_seconds=0.3)
    with pytest.raises(StorageError, match=endpoint):
        await store.start()


async def test_an_endpoint_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="https://etcd:2379"):
        EtcdStore(RESOURCES, ["https://etcd:2379"])


async def test_a_second_endpoint_serves_when_the_first_is_away(own_etcd: Etcd) -> None:
    store = EtcdStore(RESOURCES, [f"http://127.0.0.1:{free_port()}", own_etcd.endpoint], compact_seconds=None)
    await store.start()
    await stored(store, create("a"))
    await store.close()


async def test_history_that_was_compacted_away_is_healed_by_a_list(own_etcd: Etcd) -> None:
    store, other = new_store(own_etcd), new_store(own_etcd)
    await store.start()
    kept = await stored(store, create("kept"))
    doomed = await stored(store, create("doomed"))
    await other.start()
    cursor = other.table(PODS).log.cursor()
    # `other` misses what happens while its watch is away, and the history of it is gone when it comes back.
    for task in other._tasks:
        task.cancel()
    await stored(store, delete("doomed", doomed))
    await stored(store, update("kept", kept, node="n1"))
    made = await stored(store, create("new"))
    own_etcd.compact(made.resource_version)
    other._tasks[:] = [asyncio.create_task(other._follow())]
    await eventually(lambda: other.revision == store.revision)
    assert other.table(PODS).cache.list() == store.table(PODS).cache.list()
    assert sorted((event.type, event.key) for event in cursor.next_batch()) == [
        ("ADDED", "default/new"),
        ("DELETED", "default/doomed"),
        ("MODIFIED", "default/kept"),
    ]
    await stored(other, create("later"))
    await store.close()
    await other.close()


async def test_old_history_is_dropped_regularly(own_etcd: Etcd) -> None:
    store = new_store(own_etcd, compact_seconds=0.05)
    await store.start()
    first = await stored(store, create("a"))
    await stored(store, update("a", first, node="n1"))

    await eventually(lambda: own_etcd.metric("etcd_debugging_mvcc_db_compaction_keys_total") > 0)
    await stored(store, create("b"))
    await store.close()


async def test_an_object_larger_than_etcd_takes_is_a_storage_error(etcd_server: Etcd) -> None:
    store = new_store(etcd_server)
    await store.start()
    with pytest.raises(StorageError, match="too large"):
        await store.commit([create("a", note="x" * 2_000_000)])
    await store.close()


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**31, 2**63 - 1])
def test_varints_survive_the_wire(value: int) -> None:
    assert list(wire.read(wire.message((6, value), (7, b"after")))) == [(6, value), (7, b"after")]


def test_a_message_that_was_cut_off_is_a_value_error() -> None:
    whole = wire.message((1, b"0123456789"), (2, 300))
    complete = {0, 12}  # after no field, after the first
    for size in set(range(len(whole))) - complete:
        with pytest.raises(ValueError, match=r"cut off|at byte"):
            list(wire.read(whole[:size]))
