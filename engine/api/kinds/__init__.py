"""The kinds that a control plane serves: data, one file per kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.api.kind import Kind
from engine.api.kinds import (
    configmap,
    deployment,
    event,
    job,
    lease,
    namespace,
    node,
    pod,
    replicaset,
    secret,
    service,
    serviceaccount,
)


class KindTable:
    """The kinds of one control plane, in the order of discovery. Two control planes in one process may differ."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        """Raises ValueError when two kinds claim the same resource or the same group, version and kind."""
        self._by_plural: dict[tuple[str, str, str], Kind] = {}
        self._by_kind: dict[tuple[str, str, str], Kind] = {}
        for kind in kinds:
            resource = kind.resource
            plural_key = (resource.group, resource.version, resource.plural)
            kind_key = (resource.group, resource.version, resource.kind)
            if plural_key in self._by_plural or kind_key in self._by_kind:
                raise ValueError(f"{resource.name} of {resource.api_version} is there twice")
            self._by_plural[plural_key] = self._by_kind[kind_key] = kind

    @classmethod
    def builtin(cls) -> KindTable:
        """Every kind that the engine knows."""
        return cls(
            (
                configmap.kind(),
                event.kind(),
                namespace.kind(),
                node.kind(),
                pod.kind(),
                secret.kind(),
                serviceaccount.kind(),
                service.kind(),
                deployment.kind(),
                replicaset.kind(),
                job.kind(),
                lease.kind(),
            )
        )

    def by_plural(self, group: str, version: str, plural: str) -> Kind | None:
        return self._by_plural.get((group, version, plural))

    def by_kind(self, group: str, version: str, kind: str) -> Kind | None:
        return self._by_kind.get((group, version, kind))

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._by_plural.values())

    def __len__(self) -> int:
        return len(self._by_plural)
