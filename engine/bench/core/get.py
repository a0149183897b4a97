"""Looking objects up by key, against a dict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from engine.bench.core.filled import shared
from engine.bench.core.settings import CoreSettings
from engine.bench.figure import Figure, spread
from engine.bench.timing import memory_read_seconds, ratio

LOOKUPS = 200_000
AT_ONCE = 1_000  # keys of one get_many


def get(settings: CoreSettings) -> Iterator[Figure]:
    """Keys at random over all. Fresh keys are strings whose hash nobody has computed; "the same" are the very objects
    that the dict has as its keys. The dict holds an empty dict for each key."""
    cache = shared(settings)
    held: dict[str, dict[str, object]] = {key: {} for key in cache.keys()}  # noqa: SIM118 (a Cache is no dict)
    random = Random(f"get {settings.seed}")
    own_keys = list(held)
    count = min(LOOKUPS, 10 * len(held))
    cache_get, cache_get_many = cache.get, cache.get_many

    def same() -> list[str]:
        return random.choices(own_keys, k=count)

    def fresh() -> list[str]:
        return [key.encode().decode() for key in same()]

    def ours(keys: list[str]) -> None:
        for key in keys:
            cache_get(key)

    def ours_many(keys: list[str]) -> None:
        for at in range(0, len(keys), AT_ONCE):
            cache_get_many(keys[at : at + AT_ONCE])

    def theirs(keys: list[str]) -> None:
        for key in keys:
            held[key]

    def theirs_many(keys: list[str]) -> None:
        for at in range(0, len(keys), AT_ONCE):
            [held[key] for key in keys[at : at + AT_ONCE]]

    def compared(
        name: str,
        one: Callable[[list[str]], None],
        other: Callable[[list[str]], None],
        keys: Callable[[], list[str]],
        bar: float,
        aim: float,
    ) -> Figure:
        found, own = ratio(one, other, keys, settings.rounds)
        note = f"{own.median / count * 1e9:,.0f} ns each, among {len(held):,}"
        return Figure("get", name, found.median, "x", count, found.rounds, found.low, found.high, bar, aim, note=note)

    wait = spread(1e9 * each for each in memory_read_seconds(LOOKUPS, settings.rounds))
    note = "what a lookup among many cannot do without, some times over"
    yield Figure(
        "get", "one read of memory at random", wait.median, "ns", LOOKUPS, wait.rounds, wait.low, wait.high, note=note
    )
    yield compared("get, fresh keys", ours, theirs, fresh, 0.8, 0.5)
    yield compared("get, the same key objects", ours, theirs, same, 1.2, 1.0)
    yield compared("get_many, fresh keys", ours_many, theirs_many, fresh, 0.3, 0.2)
