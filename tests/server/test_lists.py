"""Lists: pages of one moment, selectors, versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.api.kinds import KindTable
from engine.api.resource import CONFIGMAPS as CONFIGMAP_RESOURCE
from engine.server import lists
from engine.server.lists import Lists
from engine.server.refusals import ExpiredList
from engine.storage import open_store
from engine.storage.store import Store, Write
from tests.server.objects import CONFIGMAPS, PODS, configmap, pod
from tests.server.serving import Serving


def names(page: dict[str, list[dict[str, dict[str, str]]]]) -> list[str]:
    return [item["metadata"]["name"] for item in page["items"]]


async def filled(served: Serving, count: int) -> None:
    for number in range(count):
        await served.ask("POST", CONFIGMAPS, configmap(f"c{number}"))


async def test_pages_are_of_one_moment_whatever_is_written_between_them(served: Serving) -> None:
    await filled(served, 5)
    first = (await served.ask("GET", f"{CONFIGMAPS}?limit=2")).json
    assert (names(first), first["metadata"]["remainingItemCount"]) == (["c0", "c1"], 3)
    await served.ask("DELETE", f"{CONFIGMAPS}/c3")
    await served.ask("POST", CONFIGMAPS, configmap("c22"))
    second = (await served.ask("GET", f"{CONFIGMAPS}?limit=2&continue={first['metadata']['continue']}")).json
    assert (names(second), second["metadata"]["remainingItemCount"]) == (["c2", "c3"], 1)
    third = (await served.ask("GET", f"{CONFIGMAPS}?limit=2&continue={second['metadata']['continue']}")).json
    assert names(third) == ["c4"]
    assert third["metadata"].keys() == {"resourceVersion"}
    versions = {page["metadata"]["resourceVersion"] for page in (first, second, third)}
    assert len(versions) == 1


async def test_a_list_that_fits_its_limit_is_not_continued(served: Serving) -> None:
    await filled(served, 2)
    page = (await served.ask("GET", f"{CONFIGMAPS}?limit=2")).json
    assert page["metadata"].keys() == {"resourceVersion"}


async def test_a_selected_page_does_not_count_what_remains(served: Serving) -> None:
    for number in range(3):
        await served.ask("POST", CONFIGMAPS, configmap(f"c{number}", labels={"a": "b"}))
    page = (await served.ask("GET", f"{CONFIGMAPS}?limit=1&labelSelector=a")).json
    assert "remainingItemCount" not in page["metadata"]
    rest = (await served.ask("GET", f"{CONFIGMAPS}?labelSelector=a&continue={page['metadata']['continue']}")).json
    assert names(rest) == ["c1", "c2"]


async def test_all_namespaces_are_paged_in_the_order_of_keys(served: Serving) -> None:
    await filled(served, 2)
    await served.ask("POST", "/api/v1/namespaces/kube-system/configmaps", configmap("a"))
    page = (await served.ask("GET", "/api/v1/configmaps?limit=2")).json
    rest = (await served.ask("GET", f"/api/v1/configmaps?continue={page['metadata']['continue']}")).json
    assert (names(page), names(rest)) == (["c0", "c1"], ["a"])


async def test_a_table_is_paged_too(served: Serving) -> None:
    await filled(served, 3)
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    page = (await served.ask("GET", f"{CONFIGMAPS}?limit=2", accept=table)).json
    assert [row["cells"][0] for row in page["rows"]] == ["c0", "c1"]
    assert page["metadata"]["remainingItemCount"] == 1


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def store() -> Store:
    kinds = KindTable.builtin()
    made = open_store("memory", {kind.resource: kind.indexes for kind in kinds})
    await made.start()
    return made


async def put(store: Store, name: str) -> None:
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "d"}}
    await store.commit([Write(CONFIGMAP_RESOURCE, f"d/{name}", document, 0)])


async def test_an_old_moment_is_gone_and_a_token_goes_on_without_it(store: Store) -> None:
    clock = Clock()
    served = Lists(store, clock=clock)
    kind = next(kind for kind in KindTable.builtin() if kind.resource == CONFIGMAP_RESOURCE)
    for name in ("a", "b", "c"):
        await put(store, name)
    first = served.page(kind, "d", {"limit": "1"})
    await put(store, "bb")
    clock.now += lists.MAX_PIN_SECONDS + 1
    with pytest.raises(ExpiredList) as gone:
        served.page(kind, "d", {"limit": "1", "continue": first.continue_token})
    status = gone.value.to_dict()
    assert (status["code"], status["reason"]) == (410, "Expired")
    rest = served.page(kind, "d", {"continue": status["metadata"]["continue"]})
    assert [found.name for found in rest.items] == ["b", "bb", "c"]


async def test_moments_are_bounded(store: Store) -> None:
    served = Lists(store)
    kind = next(kind for kind in KindTable.builtin() if kind.resource == CONFIGMAP_RESOURCE)
    tokens = []
    for number in range(lists.MAX_PINS + 3):
        await put(store, f"c{number:03d}")
        tokens.append(served.page(kind, "d", {"limit": "1"}).continue_token)
    asked = [token for token in tokens if token]
    with pytest.raises(ExpiredList):
        served.page(kind, "d", {"limit": "1", "continue": asked[0]})
    assert served.page(kind, "d", {"limit": "1", "continue": asked[-1]}).items


async def test_a_token_of_another_making_is_refused(served: Serving) -> None:
    for token in ("xyz", "e30", "eyJ2Ijoib3RoZXIifQ", "%00"):
        answer = await served.ask("GET", f"{CONFIGMAPS}?continue={token}")
        assert (answer.status, answer.json["reason"]) == (400, "BadRequest")


async def test_field_selectors_are_those_of_the_kind(served: Serving) -> None:
    await served.ask("POST", PODS, pod("free"))
    await served.ask("POST", PODS, pod("bound", node="n1"))
    assert names((await served.ask("GET", f"{PODS}?fieldSelector=spec.nodeName=n1")).json) == ["bound"]
    assert names((await served.ask("GET", f"{PODS}?fieldSelector=spec.host=n1")).json) == ["bound"]
    assert names((await served.ask("GET", f"{PODS}?fieldSelector=spec.nodeName=,status.phase!=Failed")).json) == [
        "free"
    ]
    assert names((await served.ask("GET", f"{PODS}?fieldSelector=metadata.name=free,spec.nodeName=n1")).json) == []
    answer = await served.ask("GET", f"{PODS}?fieldSelector=spec.priority=0")
    assert answer.json["message"] == "field label not supported: spec.priority"


async def test_a_version_is_a_lower_bound_unless_it_is_to_be_exact(served: Serving) -> None:
    await filled(served, 1)
    version = (await served.ask("GET", CONFIGMAPS)).json["metadata"]["resourceVersion"]
    exact = f"{CONFIGMAPS}?resourceVersion={version}&resourceVersionMatch=Exact"
    assert (await served.ask("GET", exact)).status == 200
    await served.ask("POST", CONFIGMAPS, configmap("later"))
    assert (await served.ask("GET", exact)).json["reason"] == "Expired"
    assert len((await served.ask("GET", f"{CONFIGMAPS}?resourceVersion={version}")).json["items"]) == 2
    assert len((await served.ask("GET", f"{CONFIGMAPS}?resourceVersion=0")).json["items"]) == 2


async def test_a_large_list_is_compressed_for_who_accepts_it(served: Serving) -> None:
    for number in range(3):
        await served.ask("POST", CONFIGMAPS, configmap(f"c{number}", {"a": "x" * 100_000}))
    for encoding in ("gzip", "identity"):
        answer = await served.ask("GET", CONFIGMAPS, headers={"Accept-Encoding": encoding})
        assert answer.headers.get("Content-Encoding", "identity") == encoding
        assert len(answer.json["items"]) == 3


async def test_a_list_in_yaml(served: Serving, pki: Path) -> None:
    await filled(served, 1)
    answer = await served.ask("GET", CONFIGMAPS, accept="application/yaml")
    assert answer.content_type == "application/yaml"
    assert b"kind: ConfigMapList" in answer.body
