"""From a URL path to what it names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.api.kind import Kind
from engine.server.refusals import unknown_resource

MAX_CACHED_PATHS = 4096


@dataclass(frozen=True, slots=True)
class Target:
    """One resource, or one object of it, or one subresource of that. `namespace` is None for all namespaces and for
    cluster-scoped resources; `name` is "" for the collection."""

    kind: Kind
    namespace: str | None
    name: str
    subresource: str


class Router:
    """Parses each path once: the last few thousand answers are kept."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self._kinds = {(kind.resource.group, kind.resource.version, kind.resource.plural): kind for kind in kinds}
        self._versions = {(group, version) for group, version, _ in self._kinds}
        self._parsed: dict[str, Target | None] = {}

    def resolve(self, path: str) -> Target | None:
        """None when the path is outside every group and version that is served. Raises StatusError 404 for a resource
        that its version does not have."""
        try:
            return self._parsed[path]
        except KeyError:
            pass
        target = self._parse(path)
        if len(self._parsed) >= MAX_CACHED_PATHS:
            self._parsed.clear()
        self._parsed[path] = target
        return target

    def _parse(self, path: str) -> Target | None:
        parts = path.strip("/").split("/")
        if parts[0] == "api" and len(parts) > 2:
            group, version, rest = "", parts[1], parts[2:]
        elif parts[0] == "apis" and len(parts) > 3:
            group, version, rest = parts[1], parts[2], parts[3:]
        else:
            return None
        if (group, version) not in self._versions:
            return None
        if "" in rest:
            raise unknown_resource()
        namespace: str | None = None
        if rest[0] == "namespaces" and len(rest) > 2 and (group, version, rest[2]) in self._kinds:
            namespace, rest = rest[1], rest[2:]
        kind = self._kinds.get((group, version, rest[0]))
        name = rest[1] if len(rest) > 1 else ""
        subresource = "/".join(rest[2:])
        if kind is None or (namespace is not None) > kind.resource.namespaced:
            raise unknown_resource()
        if kind.resource.namespaced and namespace is None and name:
            raise unknown_resource()
        if subresource and subresource not in kind.all_subresources:
            raise unknown_resource()
        return Target(kind, namespace, name, subresource)
