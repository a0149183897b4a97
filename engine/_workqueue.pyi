"""client-go's work queue, in batches."""

from collections.abc import Callable, Iterable
from typing import final

@final
class WorkQueue:
    """Keys to work on. Never two workers on one key, no lost add, at most one pending copy: a key added while it waits
    is one entry; added while it is being worked on, it comes again after `done`.

    Per-key backoff is base * 2**failures seconds, at most `max_delay_seconds`. Namespaces ("a" of "a/b") take turns
    among keys of the same priority; a higher priority goes first.
    """

    def __init__(
        self,
        *,
        base_delay_seconds: float = 0.005,
        max_delay_seconds: float = 1000.0,
        clock: Callable[[], float] = ...,
    ) -> None: ...
    def add(self, key: str, priority: int = 0) -> None: ...
    def add_many(self, keys: Iterable[str], priority: int = 0) -> None: ...
    def add_after(self, key: str, seconds: float, priority: int = 0) -> None:
        """The earlier deadline wins; 0 or less is `add`."""

    def add_rate_limited(self, key: str, priority: int = 0) -> float:
        """Adds after the key's backoff, counts a failure, returns the delay in seconds."""

    def forget(self, key: str) -> None: ...
    def failures(self, key: str) -> int: ...
    async def get_batch(self, max_keys: int) -> list[str]:
        """Waits for at least one key; [] only after `shut_down` when nothing is left. Several may wait at once."""

    def take(self, max_keys: int) -> list[str]:
        """What is ready now, without waiting."""

    def done(self, keys: Iterable[str]) -> None: ...
    def shut_down(self) -> None:
        """Later adds are ignored; what is queued is still handed out; waiters return."""

    @property
    def next_deadline(self) -> float | None: ...
    def __len__(self) -> int: ...  # ready keys, without those in process
