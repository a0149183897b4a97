"""The verbs, over HTTPS and in process alike, against the real server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine._object import Object
from engine.api.errors import StatusError
from engine.api.resource import CONFIGMAPS, DEPLOYMENTS, NODES, PODS, Resource
from engine.client.client import Client
from engine.client.https import HTTPSTransport
from engine.client.kubeconfig import ClusterConfig, load
from engine.client.transport import WatchEvent
from tests.client.live import Live, config_map, live

TRANSPORTS = pytest.mark.parametrize("side", ["remote", "local"])


def client_of(server: Live, side: str) -> Client:
    return server.remote if side == "remote" else server.local


@TRANSPORTS
async def test_create_get_update_patch_delete(tmp_path: Path, side: str) -> None:
    async with live(tmp_path) as server:
        client = client_of(server, side)
        made = await client.create(CONFIGMAPS, "default", config_map("a", x="1"))
        assert made.uid
        got = await client.get(CONFIGMAPS, "default", "a")
        assert (got.kind, got.api_version, got["data"]["x"]) == ("ConfigMap", "v1", "1")
        edited = got.to_dict()
        edited["data"]["y"] = "2"
        updated = await client.update(CONFIGMAPS, "default", edited)
        assert updated.resource_version > made.resource_version
        patched = await client.patch(CONFIGMAPS, "default", "a", {"data": {"x": None}})
        assert dict(patched["data"]) == {"y": "2"}
        patched = await client.patch(
            CONFIGMAPS, "default", "a", [{"op": "add", "path": "/data/z", "value": "3"}], type="json"
        )
        assert dict(patched["data"]) == {"y": "2", "z": "3"}
        await client.delete(CONFIGMAPS, "default", "a", propagationPolicy="Background")
        with pytest.raises(StatusError) as caught:
            await client.get(CONFIGMAPS, "default", "a")
        assert (caught.value.code, caught.value.reason) == (404, "NotFound")


@TRANSPORTS
async def test_a_stale_update_is_a_409_with_the_servers_words(tmp_path: Path, side: str) -> None:
    async with live(tmp_path) as server:
        client = client_of(server, side)
        made = await client.create(CONFIGMAPS, "default", config_map("a"))
        await client.patch(CONFIGMAPS, "default", "a", {"data": {"x": "1"}})
        with pytest.raises(StatusError) as caught:
            await client.update(CONFIGMAPS, "default", made)
        assert (caught.value.code, caught.value.reason) == (409, "Conflict")
        assert "the object has been modified" in caught.value.message
        assert caught.value.details["name"] == "a"


@TRANSPORTS
async def test_the_causes_of_a_422_name_the_fields(tmp_path: Path, side: str) -> None:
    async with live(tmp_path) as server:
        with pytest.raises(StatusError) as caught:
            await client_of(server, side).create(CONFIGMAPS, "default", config_map("Not A Name"))
        assert caught.value.code == 422
        assert [cause.field for cause in caught.value.causes] == ["metadata.name"]


@TRANSPORTS
async def test_lists_come_in_pages_with_complete_objects(tmp_path: Path, side: str) -> None:
    async with live(tmp_path) as server:
        client = client_of(server, side)
        for number in range(5):
            await client.create(CONFIGMAPS, "default", config_map(f"c{number}"))
        page = await client.list(CONFIGMAPS, "default", limit="2")
        assert [obj.name for obj in page.items] == ["c0", "c1"]
        assert page.remaining == 3
        rest = await client.list(CONFIGMAPS, "default", limit="9", continue_=page.continue_token)
        assert [obj.name for obj in rest.items] == ["c2", "c3", "c4"]
        assert rest.continue_token == ""
        assert rest.resource_version == page.resource_version > 0
        assert {(obj.kind, obj.api_version) for obj in rest.items} == {("ConfigMap", "v1")}
        selected = await client.list(CONFIGMAPS, None, fieldSelector="metadata.name=c3")
        assert [obj.name for obj in selected.items] == ["c3"]


@TRANSPORTS
async def test_a_batch_answers_in_order_and_refusals_are_values(tmp_path: Path, side: str) -> None:
    async with live(tmp_path, max_requests=8) as server:
        client = client_of(server, side)
        operations = [client.creating(CONFIGMAPS, "default", config_map(f"c{number % 90}")) for number in range(100)]
        answers = await client.batch(operations)
        assert [answer.name for answer in answers[:90] if isinstance(answer, Object)] == [f"c{n}" for n in range(90)]
        assert [answer.reason for answer in answers[90:] if isinstance(answer, StatusError)] == ["AlreadyExists"] * 10
        assert await client.batch([]) == []


@TRANSPORTS
async def test_a_binding_gives_a_pod_its_node(tmp_path: Path, side: str) -> None:
    async with live(tmp_path) as server:
        client = client_of(server, side)
        await client.create(NODES, None, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}})
        spec = {"containers": [{"name": "c", "image": "i"}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
        await client.create(PODS, "default", pod)
        await client.bind("default", "p", "n1")
        assert (await client.get(PODS, "default", "p")).get_path("spec.nodeName") == "n1"


@TRANSPORTS
async def test_scale_is_read_and_written_as_a_subresource(tmp_path: Path, side: str) -> None:
    async with live(tmp_path) as server:
        client = client_of(server, side)
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
        deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}
        await client.create(DEPLOYMENTS, "default", deployment)
        scale = await client.patch(DEPLOYMENTS, "default", "d", {"spec": {"replicas": 3}}, subresource="scale")
        assert scale.kind == "Scale"
        assert (await client.get(DEPLOYMENTS, "default", "d", subresource="scale"))["spec"]["replicas"] == 3


@TRANSPORTS
async def test_a_watch_tells_what_happens_after_its_version(tmp_path: Path, side: str) -> None:
    async with live(tmp_path) as server:
        client = client_of(server, side)
        first = await client.create(CONFIGMAPS, "default", config_map("a"))
        query = {"resourceVersion": str(first.resource_version), "timeoutSeconds": "30"}
        stream = client.transport.watch(CONFIGMAPS, None, query=query)
        await client.create(CONFIGMAPS, "default", config_map("b", x="1"))
        await client.patch(CONFIGMAPS, "default", "b", {"data": {"x": "2"}})
        await client.delete(CONFIGMAPS, "default", "b")
        told: list[WatchEvent] = []
        while len(told) < 3:
            told += await anext(stream)
        await stream.aclose()
        assert [event.type for event in told] == ["ADDED", "MODIFIED", "DELETED"]
        versions = [event.object.resource_version for event in told]
        assert versions == sorted(set(versions))
        assert told[1].object["data"]["x"] == "2"


@TRANSPORTS
async def test_a_watch_list_ends_its_initial_events_with_a_mark(tmp_path: Path, side: str) -> None:
    async with live(tmp_path) as server:
        client = client_of(server, side)
        await client.create(CONFIGMAPS, "default", config_map("a"))
        query = {
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": "30",
        }
        stream = client.transport.watch(CONFIGMAPS, "default", query=query)
        told: list[WatchEvent] = []
        while not told or not told[-1].initial_end:
            told += await anext(stream)
        await stream.aclose()
        assert [(event.type, event.object.name) for event in told] == [("ADDED", "a"), ("BOOKMARK", "")]
        assert told[-1].object.resource_version >= told[0].object.resource_version


@TRANSPORTS
async def test_a_watch_ends_when_its_time_is_over(tmp_path: Path, side: str) -> None:
    async with live(tmp_path) as server:
        stream = client_of(server, side).transport.watch(CONFIGMAPS, None, query={"timeoutSeconds": "1"})
        async with asyncio.timeout(10):
            assert [batch async for batch in stream] == []


@TRANSPORTS
async def test_an_unknown_resource_is_a_404_and_is_not_lent(tmp_path: Path, side: str) -> None:
    async with live(tmp_path) as server:
        client = client_of(server, side)
        unknown = Resource("example.com", "v1", "gadgets", "Gadget")
        assert client.transport.shared(unknown) is None
        with pytest.raises(StatusError) as caught:
            await client.list(unknown)
        assert caught.value.code == 404


async def test_only_the_local_transport_lends_the_servers_own_structures(tmp_path: Path) -> None:
    async with live(tmp_path) as server:
        lent = server.local.transport.shared(CONFIGMAPS)
        assert lent is not None
        assert lent.cache is server.api.store.table(CONFIGMAPS).cache
        assert lent.log is server.api.store.table(CONFIGMAPS).log
        assert server.remote.transport.shared(CONFIGMAPS) is None


async def test_watches_are_not_starved_by_requests_nor_requests_by_watches(tmp_path: Path) -> None:
    async with live(tmp_path, max_requests=2) as server:
        streams = [server.remote.transport.watch(CONFIGMAPS, None, query={"timeoutSeconds": "60"}) for _ in range(20)]
        waiting = [asyncio.ensure_future(anext(stream)) for stream in streams]
        await asyncio.sleep(0)
        await server.remote.create(CONFIGMAPS, "default", config_map("a"))
        async with asyncio.timeout(10):
            told = await asyncio.gather(*waiting)
        assert all(batch[0].object.name == "a" for batch in told)
        for stream in streams:
            await stream.aclose()


async def test_a_wrong_token_is_a_401(tmp_path: Path) -> None:
    async with live(tmp_path) as server:
        known = load(server.kubeconfig)
        transport = HTTPSTransport(ClusterConfig(known.server, ca=known.ca, token="wrong"))
        with pytest.raises(StatusError) as caught:
            await transport.list(CONFIGMAPS, None)
        assert caught.value.code == 401
        await transport.close()


async def test_a_server_that_is_not_there_is_an_oserror_that_names_it(tmp_path: Path) -> None:
    async with live(tmp_path) as server:
        await server.front.stop()
        address = load(server.kubeconfig).server
        with pytest.raises(OSError, match=address):
            await server.remote.list(CONFIGMAPS)
        with pytest.raises(OSError, match=address):
            await server.remote.batch([server.remote.creating(CONFIGMAPS, "default", config_map("a"))] * 5)
        with pytest.raises(OSError, match=address):
            await anext(server.remote.transport.watch(CONFIGMAPS, None))


async def test_a_server_with_another_authority_is_not_trusted(tmp_path: Path) -> None:
    async with live(tmp_path) as server:
        transport = HTTPSTransport(ClusterConfig(load(server.kubeconfig).server))
        with pytest.raises(OSError, match="certificate"):
            await transport.list(CONFIGMAPS, None)
        await transport.close()


async def test_a_closed_transport_is_an_oserror(tmp_path: Path) -> None:
    async with live(tmp_path) as server:
        await server.remote.list(CONFIGMAPS)
        await server.remote.transport.close()
        with pytest.raises(OSError, match="was closed"):
            await server.remote.list(CONFIGMAPS)
