"""Watches: where they start, what they tell, how they end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from engine.api.resource import CONFIGMAPS as CONFIGMAP_RESOURCE
from engine.server import watch
from tests.server.objects import CONFIGMAPS, MERGE, PODS, configmap, pod
from tests.server.serving import Serving

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
DEADLINE_SECONDS = 10.0


class Watching:
    """An open watch that is read event by event."""

    def __init__(self, got: Any) -> None:
        self.got = got

    async def next(self) -> dict[str, Any]:
        line = await asyncio.wait_for(self.got.content.readline(), DEADLINE_SECONDS)
        return json.loads(line) if line else {"type": "END"}

    async def told(self, count: int) -> list[tuple[str, str]]:
        events = [await self.next() for _ in range(count)]
        return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


@asynccontextmanager
async def watching(served: Serving, path: str, accept: str = "application/json") -> AsyncIterator[Watching]:
    headers = {"Authorization": f"Bearer {served.certificates.token}", "Accept": accept}
    async with served.session.get(f"{served.url}{path}", headers=headers) as got:
        assert got.status == 200
        yield Watching(got)


async def version(served: Serving) -> str:
    return str((await served.ask("GET", CONFIGMAPS)).json["metadata"]["resourceVersion"])


async def test_from_a_version_comes_what_happened_after_it(served: Serving) -> None:
    await served.ask("POST", CONFIGMAPS, configmap("before"))
    start = await version(served)
    await served.ask("POST", CONFIGMAPS, configmap("x"))
    async with watching(served, f"{CONFIGMAPS}?watch=true&resourceVersion={start}") as open_watch:
        assert await open_watch.told(1) == [("ADDED", "x")]
        await served.ask("PATCH", f"{CONFIGMAPS}/x", {"data": {"a": "1"}}, content_type=MERGE)
        await served.ask("DELETE", f"{CONFIGMAPS}/x")
        assert await open_watch.told(2) == [("MODIFIED", "x"), ("DELETED", "x")]


async def test_without_a_version_it_starts_with_what_is_there(served: Serving) -> None:
    await served.ask("POST", CONFIGMAPS, configmap("x"))
    for start in ("", "&resourceVersion=0"):
        async with watching(served, f"{CONFIGMAPS}?watch=true{start}") as open_watch:
            assert await open_watch.told(1) == [("ADDED", "x")]
            await served.ask("PATCH", f"{CONFIGMAPS}/x", {"data": {"a": start}}, content_type=MERGE)
            assert await open_watch.told(1) == [("MODIFIED", "x")]


async def test_initial_events_end_with_a_bookmark_that_says_so(served: Serving) -> None:
    await served.ask("POST", CONFIGMAPS, configmap("x"))
    query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with watching(served, f"{CONFIGMAPS}?{query}") as open_watch:
        assert (await open_watch.next())["type"] == "ADDED"
        bookmark = await open_watch.next()
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["metadata"] == {
            "resourceVersion": await version(served),
            "annotations": {"k8s.io/initial-events-end": "true"},
        }
        await served.ask("POST", CONFIGMAPS, configmap("y"))
        assert await open_watch.told(1) == [("ADDED", "y")]


async def test_no_initial_events_are_sent_to_who_wants_none(served: Serving) -> None:
    await served.ask("POST", CONFIGMAPS, configmap("x"))
    query = "watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan"
    async with watching(served, f"{CONFIGMAPS}?{query}") as open_watch:
        await served.ask("POST", CONFIGMAPS, configmap("y"))
        assert await open_watch.told(1) == [("ADDED", "y")]


async def test_initial_events_need_their_match(served: Serving) -> None:
    answer = await served.ask("GET", f"{CONFIGMAPS}?watch=true&sendInitialEvents=true")
    assert (answer.status, answer.json["reason"]) == (422, "Invalid")
    answer = await served.ask("GET", f"{CONFIGMAPS}?watch=true&resourceVersionMatch=NotOlderThan")
    assert (answer.status, answer.json["reason"]) == (422, "Invalid")


async def test_an_object_that_crosses_the_selector_comes_and_goes(served: Serving) -> None:
    start = await version(served)
    await served.ask("POST", CONFIGMAPS, configmap("x"))
    await served.ask("PATCH", f"{CONFIGMAPS}/x", {"metadata": {"labels": {"w": "1"}}}, content_type=MERGE)
    await served.ask("PATCH", f"{CONFIGMAPS}/x", {"metadata": {"labels": None}}, content_type=MERGE)
    query = f"watch=true&labelSelector=w&resourceVersion={start}"
    async with watching(served, f"{CONFIGMAPS}?{query}") as open_watch:
        added, deleted = await open_watch.next(), await open_watch.next()
    assert (added["type"], deleted["type"]) == ("ADDED", "DELETED")
    assert deleted["object"]["metadata"]["labels"] == {"w": "1"}
    assert int(deleted["object"]["metadata"]["resourceVersion"]) > int(added["object"]["metadata"]["resourceVersion"])


async def test_one_object_is_watched_by_its_name(served: Serving) -> None:
    await served.ask("POST", CONFIGMAPS, configmap("x"))
    async with watching(served, f"{CONFIGMAPS}?watch=true&fieldSelector=metadata.name=y") as open_watch:
        await served.ask("POST", CONFIGMAPS, configmap("z"))
        await served.ask("POST", CONFIGMAPS, configmap("y"))
        assert await open_watch.told(1) == [("ADDED", "y")]


async def test_pods_are_watched_by_node(served: Serving) -> None:
    async with watching(served, "/api/v1/pods?watch=true&fieldSelector=spec.nodeName=n1") as open_watch:
        await served.ask("POST", PODS, pod("a", node="n2"))
        await served.ask("POST", PODS, pod("b"))
        binding = {"metadata": {"name": "b"}, "target": {"kind": "Node", "name": "n1"}}
        await served.ask("POST", f"{PODS}/b/binding", binding)
        assert await open_watch.told(1) == [("ADDED", "b")]


async def test_history_that_is_gone_is_an_error_event_in_a_good_answer(served: Serving) -> None:
    await served.ask("POST", CONFIGMAPS, configmap("x"))
    served.api.table(CONFIGMAP_RESOURCE).log.expire()
    async with watching(served, f"{CONFIGMAPS}?watch=true&resourceVersion=1") as open_watch:
        event = await open_watch.next()
        assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert await open_watch.next() == {"type": "END"}


async def test_a_version_that_is_still_to_come_times_out(served: Serving) -> None:
    answer = await served.ask("GET", f"{CONFIGMAPS}?watch=true&resourceVersion=99999")
    assert (answer.status, answer.json["details"]["retryAfterSeconds"]) == (504, 1)
    assert answer.headers["Retry-After"] == "1"


async def test_it_ends_when_its_time_is_over(served: Serving) -> None:
    async with watching(served, f"{CONFIGMAPS}?watch=true&timeoutSeconds=1") as open_watch:
        assert await open_watch.next() == {"type": "END"}


async def test_bookmarks_come_in_a_while_and_before_the_end(served: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "BOOKMARK_SECONDS", 0.05)
    monkeypatch.setattr(watch, "LAST_BOOKMARK_SECONDS", 0.5)
    start = await version(served)
    query = f"watch=true&allowWatchBookmarks=true&timeoutSeconds=1&resourceVersion={start}"
    async with watching(served, f"{CONFIGMAPS}?{query}") as open_watch:
        event = await open_watch.next()
        assert event["object"]["metadata"] == {"resourceVersion": start}
        # A write to another resource moves the bookmark on, though nothing of this one happened.
        await served.ask("POST", PODS, pod("p"))
        while event["type"] == "BOOKMARK" and event["object"]["metadata"]["resourceVersion"] == start:
            event = await open_watch.next()
        assert (event["type"], int(event["object"]["metadata"]["resourceVersion"])) == ("BOOKMARK", int(start) + 1)


async def test_a_table_names_its_columns_once(served: Serving) -> None:
    await served.ask("POST", CONFIGMAPS, configmap("x"))
    await served.ask("POST", CONFIGMAPS, configmap("y"))
    async with watching(served, f"{CONFIGMAPS}?watch=true", TABLE) as open_watch:
        first, second = await open_watch.next(), await open_watch.next()
    assert [first["object"]["rows"][0]["cells"][0], second["object"]["rows"][0]["cells"][0]] == ["x", "y"]
    assert first["object"]["columnDefinitions"][0]["name"] == "Name"
    assert second["object"]["columnDefinitions"] is None


async def test_metadata_alone_can_be_watched(served: Serving) -> None:
    await served.ask("POST", CONFIGMAPS, configmap("x", {"a": "b"}))
    async with watching(served, f"{CONFIGMAPS}?watch=true", METADATA) as open_watch:
        event = await open_watch.next()
    assert event["object"].keys() == {"kind", "apiVersion", "metadata"}
    assert event["object"]["kind"] == "PartialObjectMetadata"


async def test_all_watchers_see_one_order(served: Serving) -> None:
    start = await version(served)
    path = f"{CONFIGMAPS}?watch=true&resourceVersion={start}"
    async with watching(served, path) as one, watching(served, path) as other:
        await asyncio.gather(*(served.ask("POST", CONFIGMAPS, configmap(f"c{number}")) for number in range(20)))
        told = await one.told(20)
        assert told == await other.told(20)
    assert sorted(told) == sorted(("ADDED", f"c{number}") for number in range(20))


async def test_a_client_that_leaves_ends_its_watch(served: Serving) -> None:
    async with watching(served, f"{CONFIGMAPS}?watch=true"):
        assert served.api.metrics.open_requests("WATCH", "configmaps") == 1
    deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
    while served.api.metrics.open_requests("WATCH", "configmaps"):
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)


async def test_a_server_that_stops_ends_its_watches_in_good_order(served: Serving) -> None:
    async with watching(served, f"{CONFIGMAPS}?watch=true") as open_watch:
        stopping = asyncio.create_task(served.front.stop())
        assert await open_watch.next() == {"type": "END"}
        await asyncio.wait_for(stopping, DEADLINE_SECONDS)
