"""What the server serves, told in both of Kubernetes' discovery formats."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from engine.api.kind import SUBRESOURCES, Kind
from engine.server.negotiation import JSON, clauses
from engine.server.request import Response

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Discovery:
    """The answers, made once: they change with the kinds only. Paths are without a trailing slash."""

    def __init__(self, kinds: Iterable[Kind], *, address: str = "") -> None:
        """`address` is HOST:PORT as clients reach it, for the legacy answer of `/api`."""
        groups: dict[str, dict[str, list[Kind]]] = {}
        for kind in sorted(kinds, key=lambda kind: (kind.resource.group, kind.resource.plural)):
            groups.setdefault(kind.resource.group, {}).setdefault(kind.resource.version, []).append(kind)
        self._address = address
        self._answers: dict[str, bytes] = {}
        self._aggregated: dict[str, bytes] = {
            "/api": orjson.dumps(_aggregated({"": groups.get("", {})})),
            "/apis": orjson.dumps(_aggregated({group: v for group, v in groups.items() if group})),
        }
        self._etags = {path: _etag(body) for path, body in self._aggregated.items()}
        named = [_group(group, list(versions)) for group, versions in groups.items() if group]
        self._answers["/apis"] = orjson.dumps({"kind": "APIGroupList", "apiVersion": "v1", "groups": named})
        for group in named:
            body = {"kind": "APIGroup", "apiVersion": "v1", **group}
            self._answers[f"/apis/{group['name']}"] = orjson.dumps(body)
        for group_name, versions in groups.items():
            for version, members in versions.items():
                path = f"/apis/{group_name}/{version}" if group_name else f"/api/{version}"
                self._answers[path] = orjson.dumps(_resource_list(members))
        self._core_versions = list(groups.get("", {}))

    def answer(self, path: str, headers: Mapping[str, str]) -> Response | None:
        """None when `path` is no discovery document."""
        if path in self._aggregated and _wants_aggregated(headers.get("accept", "")):
            etag = self._etags[path]
            if headers.get("if-none-match", "") == etag:
                return Response(304, b"", AGGREGATED, {"ETag": etag})
            return Response(200, self._aggregated[path], AGGREGATED, {"ETag": etag, "Vary": "Accept"})
        if path == "/api":
            return Response(200, self._legacy_versions(), JSON)
        body = self._answers.get(path)
        return Response(200, body, JSON) if body is not None else None

    def reached_at(self, address: str) -> None:
        """The server listens at HOST:PORT now."""
        self._address = address

    def _legacy_versions(self) -> bytes:
        addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": self._address}]
        body = {"kind": "APIVersions", "versions": self._core_versions, "serverAddressByClientCIDRs": addresses}
        return orjson.dumps(body)


def _wants_aggregated(accept: str) -> bool:
    for media, parameters in clauses(accept):
        if media == JSON and parameters.get("as") == "APIGroupDiscoveryList":
            if (parameters.get("g"), parameters.get("v")) == ("apidiscovery.k8s.io", "v2"):
                return True
        elif media in (JSON, "*/*", "application/*"):
            return False
    return False


def _aggregated(groups: Mapping[str, Mapping[str, list[Kind]]]) -> dict[str, Any]:
    items = []
    for group, versions in groups.items():
        told = [
            {"version": version, "resources": [_discovered(kind) for kind in members], "freshness": "Current"}
            for version, members in versions.items()
        ]
        items.append({"metadata": {"name": group} if group else {}, "versions": told})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _discovered(kind: Kind) -> dict[str, Any]:
    resource = kind.resource
    told: dict[str, Any] = {
        "resource": resource.plural,
        # An empty group and version mean the surrounding ones.
        "responseKind": {"group": "", "version": "", "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": sorted(kind.verbs),
    }
    if kind.short_names:
        told["shortNames"] = list(kind.short_names)
    if kind.categories:
        told["categories"] = list(kind.categories)
    parts = []
    for name in kind.all_subresources:
        part = SUBRESOURCES[name]
        response = {"group": part.group, "version": part.version, "kind": part.kind or resource.kind}
        parts.append({"subresource": name, "responseKind": response, "verbs": list(part.verbs)})
    if parts:
        told["subresources"] = parts
    return told


def _resource_list(kinds: list[Kind]) -> dict[str, Any]:
    told: list[dict[str, Any]] = []
    for kind in kinds:
        resource = kind.resource
        entry: dict[str, Any] = {
            "name": resource.plural,
            "singularName": kind.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": sorted(kind.verbs),
        }
        if kind.short_names:
            entry["shortNames"] = list(kind.short_names)
        if kind.categories:
            entry["categories"] = list(kind.categories)
        entry["storageVersionHash"] = kind.storage_version_hash
        told.append(entry)
        for name in kind.all_subresources:
            part = SUBRESOURCES[name]
            entry = {"name": f"{resource.plural}/{name}", "singularName": "", "namespaced": resource.namespaced}
            if part.group:
                entry |= {"group": part.group, "version": part.version}
            told.append({**entry, "kind": part.kind or resource.kind, "verbs": list(part.verbs)})
    resource = kinds[0].resource
    head: dict[str, Any] = {"kind": "APIResourceList"}
    if resource.group:
        head["apiVersion"] = "v1"  # the core group's list is without, as it was before groups were
    return {**head, "groupVersion": resource.api_version, "resources": told}


def _group(name: str, versions: list[str]) -> dict[str, Any]:
    told = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": told, "preferredVersion": told[0]}


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest().upper()}"'
