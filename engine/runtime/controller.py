"""Interface of the controller loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from engine._workqueue import WorkQueue
from engine.informers.informer import Change, Informer


@dataclass(frozen=True, slots=True)
class Requeue:
    """Reconcile this key again after so many seconds."""

    after_seconds: float


# What one key's reconcile came to: None is done, Requeue asks for another time, an exception is retried with backoff.
Result = None | Requeue | Exception
Reconcile = Callable[[Sequence[str]], Awaitable[Mapping[str, Result]]]
Mapper = Callable[[Change], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Source:
    """Changes of one informer, turned into keys to reconcile."""

    informer: Informer
    keys: Mapper


def own_key(change: Change) -> Iterable[str]:
    """The changed object itself."""
    return (change.key,)


class Controller:
    """Drains its sources into a work queue and hands batches of keys to `reconcile`.

    One task, whatever the number of keys: never two reconciles of one key at a time. A key missing from the answer is
    done. An exception raised by `reconcile` itself retries the whole batch, key by key. Keys wait until every source is
    synced and its initial changes have been drained.
    """

    queue: WorkQueue

    def __init__(
        self,
        name: str,
        sources: Sequence[Source],
        reconcile: Reconcile,
        *,
        batch: int = 100,
    ) -> None:
        raise NotImplementedError

    async def run(self) -> None:
        """Until cancelled; a batch in progress is finished first."""
        raise NotImplementedError


def controller_of(kind: str) -> Mapper:
    """Maps a change to the key of the owner of this kind that is its controller, of the old and the new object both."""
    raise NotImplementedError
