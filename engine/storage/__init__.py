"""Where objects live: revisions, preconditions, durability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine.api.resource import Resource
from engine.storage.embedded import EmbeddedStore
from engine.storage.journal import MemoryJournal
from engine.storage.sqlite import SqliteJournal
from engine.storage.store import StorageError, Store

if TYPE_CHECKING:
    from engine._cache import IndexSource

__all__ = ["open_store"]

StoreKind = Literal["sqlite", "memory", "etcd"]


def open_store(
    kind: StoreKind,
    resources: Mapping[Resource, Mapping[str, IndexSource]],
    *,
    data_dir: str | Path | None = None,
    endpoints: Sequence[str] = (),
) -> Store:
    """A store of these resources, each with its indexes (name → path); `start()` opens and loads it.

    `sqlite` keeps everything in `data_dir`; `etcd` takes one or more `endpoints` (`http://127.0.0.1:2379`); `memory`
    forgets everything with the process. ValueError when what the kind needs is missing, StorageError
    when a package is.
    """
    if kind == "memory":
        return EmbeddedStore(resources, MemoryJournal())
    if kind == "sqlite":
        if data_dir is None:
            raise ValueError("storage sqlite needs a data directory")
        return EmbeddedStore(resources, SqliteJournal(Path(data_dir)))
    if not endpoints:
        raise ValueError("storage etcd needs at least one endpoint")
    try:
        from engine.storage.etcd import EtcdStore
    except ModuleNotFoundError as error:
        why = f"storage etcd needs what `pip install 'reconcile-engine[etcd]'` brings: {error}"
        raise StorageError(why) from error
    return EtcdStore(resources, endpoints)
