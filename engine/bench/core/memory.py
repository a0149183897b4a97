"""What pods cost in memory. Each figure comes from a process of its own that holds the cache and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from random import Random
from time import monotonic
from typing import Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from engine._cache import Cache
from engine._object import Object
from engine.bench.alone import alone
from engine.bench.core.filled import PAGE, empty, fill, in_pages, settle
from engine.bench.core.settings import FULL_COUNT, CoreSettings
from engine.bench.figure import Figure
from engine.bench.machine import resident_bytes
from engine.bench.objects import pods, status_changed, successor, unique

EventType = Literal["ADDED", "MODIFIED", "DELETED"]
Changing = Callable[[bytes], list[tuple[EventType, bytes]]]

BARS = {120: (250.0, 190.0), 10: (400.0, 300.0), 1: (650.0, 450.0)}  # bytes per pod, by pods per owner
WARM_UP = 200  # pods made before memory is first looked at: imports, charts, the allocator's arenas
CHECKED_EVERY = 499
DICTIONARY_BYTES = 112_640  # zstd's own default
TRAINED_ON = 4_000
COMPRESSED = 2_000
STATUS_CHANGES = 3
CHURN_BATCH = 500
LEFT = 10  # of so many pods one is left by mass deletes
LATER_CHANGES = 3  # of each that is left
KEY_BYTES = 128  # of a pod's key, at most
FIT_TIMES = 20
FIT_GIGABYTES = 22.0  # of a 24 GB machine
UNIQUE_SHARE = 20


class Held(TypedDict):
    """Bytes in all, of `count` objects."""

    count: int
    json: int
    nbytes: int
    resident: int


class Churned(TypedDict):
    before: Held
    after: Held
    changes: int
    fresh_nbytes: int  # of a new cache of the pods that were there in the end


class OtherBytes(Exception):
    """The cache gave back something else than it was given."""


def kept(settings: CoreSettings) -> Iterator[Figure]:
    for per_owner in settings.per_owner:
        held: Held = alone(hold, count=settings.count, per_owner=per_owner, seed=settings.seed)
        bar, aim = BARS.get(per_owner, (None, None))
        named = f"{per_owner} per owner"
        count = held["count"]
        json = f"of {held['json'] / count:,.0f} B JSON"
        yield Figure("memory", f"nbytes, {named}", held["nbytes"] / count, "B", count, bar=bar, aim=aim, note=json)
        yield Figure("memory", f"RSS growth, {named}", held["resident"] / count, "B", count, bar=bar, aim=aim)
        apart = 100 * abs(held["nbytes"] - held["resident"]) / max(held["resident"], 1)
        yield Figure("memory", f"nbytes apart from RSS, {named}", apart, "%", count, bar=10)
        compressed = dictionary_compressed(settings.count, per_owner, settings.seed)
        if compressed is not None:
            note = f"dictionary of {DICTIONARY_BYTES:,} B; payload only"
            yield Figure("memory", f"zstd -3 with dictionary, {named}", compressed, "B", count, note=note)


def after_churn(settings: CoreSettings) -> Iterator[Figure]:
    for per_owner in settings.per_owner:
        churned: Churned = alone(
            churn, count=settings.count, per_owner=per_owner, seed=settings.seed, churn_seconds=settings.churn
        )
        before, after = churned["before"], churned["after"]
        note = f"{settings.churn:g} s of churn, {churned['changes']:,} changes in all"
        for name, what in (("nbytes", "nbytes"), ("RSS growth", "resident")):
            times = (after[what] / after["count"]) / max(before[what] / before["count"], 1e-9)  # type: ignore[literal-required]
            yield Figure(
                "churn", f"{name}, {per_owner} per owner", times, "x", after["count"], bar=1.15, aim=1.05, note=note
            )
        times = after["nbytes"] / churned["fresh_nbytes"]
        yield Figure("churn", f"nbytes, {per_owner} per owner, over a fresh cache's", times, "x", after["count"])


def after_deletes(settings: CoreSettings) -> Iterator[Figure]:
    shrunk: Churned = alone(shrink, count=settings.count, per_owner=settings.per_owner[0], seed=settings.seed)
    after = shrunk["after"]
    note = f"nine of ten went, in no order, then {LATER_CHANGES} changes of each that is left"
    yield Figure(
        "deletes",
        "nbytes over a fresh cache's",
        after["nbytes"] / shrunk["fresh_nbytes"],
        "x",
        after["count"],
        note=note,
    )
    times = after["resident"] / max(shrunk["before"]["resident"], 1)
    yield Figure("deletes", "RSS growth over that before", times, "x", after["count"], note=f"{1 / LEFT} of the pods")


def nothing_in_common(settings: CoreSettings) -> Iterator[Figure]:
    held: Held = alone(hold_unique, count=max(settings.count // UNIQUE_SHARE, 10), seed=settings.seed)
    for name, what in (("nbytes over JSON", "nbytes"), ("RSS growth over JSON", "resident")):
        yield Figure("hostile", name, held[what] / held["json"], "x", held["count"], bar=1.2)  # type: ignore[literal-required]


def fit(settings: CoreSettings) -> Iterator[Figure]:
    count = FIT_TIMES * settings.count
    held: Held = alone(use, count=count, per_owner=settings.per_owner[0], seed=settings.seed)
    bar = FIT_GIGABYTES * settings.count / FULL_COUNT
    note = "read, listed and changed while full"
    yield Figure("fit", "RSS growth", held["resident"] / 1e9, "GB", held["count"], bar=bar, note=note)


def hold(count: int, per_owner: int, seed: int) -> Held:
    cache, held, _ = _filled(count, per_owner, seed)
    del cache
    return held


def churn(count: int, per_owner: int, seed: int, churn_seconds: float) -> Churned:
    """Three status changes of every pod, a third deleted and replaced, then all of it at random for a while."""
    cache, before, base = _filled(count, per_owner, seed)
    random = Random(f"churn {seed}")
    changes = 0
    keys = _keys(cache, random)
    for step in range(STATUS_CHANGES):
        changes += _apply(cache, keys, partial(_status_change, step=step))
    changes += _apply(cache, keys[::3], lambda raw: [("DELETED", raw), ("ADDED", successor(raw, 0))])
    until = monotonic() + churn_seconds
    step = STATUS_CHANGES
    while monotonic() < until:
        step += 1
        # Keys of deleted pods are passed over.
        keys = _keys(cache, random) if step % 1_000 == STATUS_CHANGES + 1 else keys
        chosen = dict.fromkeys(random.choices(range(len(keys)), k=CHURN_BATCH))
        changes += _apply(cache, keys[list(chosen)], partial(_at_random, random=random, step=step))
    del keys
    return _churned(cache, before, base, changes)


def shrink(count: int, per_owner: int, seed: int) -> Churned:
    """Nine of ten pods go at random; the others change a few times."""
    cache, before, base = _filled(count, per_owner, seed)
    keys = _keys(cache, Random(f"shrink {seed}"))
    changes = _apply(cache, keys[len(keys) // LEFT :], lambda raw: [("DELETED", raw)])
    keys = keys[: len(keys) // LEFT].copy()
    for step in range(LATER_CHANGES):
        changes += _apply(cache, keys, partial(_status_change, step=step))
    del keys
    return _churned(cache, before, base, changes)


def _churned(cache: Cache, before: Held, base: int, changes: int) -> Churned:
    settle(cache)
    after = Held(count=len(cache), json=0, nbytes=cache.nbytes, resident=resident_bytes() - base)
    fresh = empty()
    fill(fresh, (pod.raw for page in in_pages(cache.keys()) for pod in cache.get_many(page) if pod is not None))
    return Churned(before=before, after=after, changes=changes, fresh_nbytes=fresh.nbytes)


def hold_unique(count: int, seed: int) -> Held:
    for _ in unique(20, seed=seed + 1):
        pass
    cache = empty()
    base = resident_bytes()
    counted = _Counted(unique(count, seed=seed))
    fill(cache, counted)
    return Held(count=len(cache), json=counted.bytes, nbytes=cache.nbytes, resident=resident_bytes() - base)


def use(count: int, per_owner: int, seed: int) -> Held:
    """Fills a cache, then reads, lists and changes in it."""
    cache, held, base = _filled(count, per_owner, seed)
    for namespace in cache.index_values("namespace")[:10]:
        some = cache.list(namespace, limit=1_000)
        cache.apply_batch([("MODIFIED", status_changed(pod.raw, 0)) for pod in some])
        for pod in some:
            if cache.get(pod.key) is None:
                raise OtherBytes(f"{pod.key} is gone after a change")
    held["resident"] = resident_bytes() - base
    return held


def dictionary_compressed(count: int, per_owner: int, seed: int) -> float | None:
    """Bytes per pod with zstd at level 3 and a dictionary trained on other pods of the same cluster; None when
    zstandard is not installed."""
    try:
        import zstandard
    except ImportError:
        return None
    wanted = min(count, TRAINED_ON + COMPRESSED)
    sample = list(islice(pods(count, per_owner=per_owner, seed=seed), 0, None, max(1, count // wanted)))
    train: list[bytes | bytearray | memoryview[int]]
    train, rest = list(sample[::2] or sample), sample[1::2] or sample
    try:
        dictionary = zstandard.train_dictionary(DICTIONARY_BYTES, train[:TRAINED_ON])
    except zstandard.ZstdError:  # too few samples
        return None
    compressor = zstandard.ZstdCompressor(level=3, dict_data=dictionary)
    return sum(len(compressor.compress(pod)) for pod in rest[:COMPRESSED]) / len(rest[:COMPRESSED])


class _Counted:
    """Passes items on, and keeps a few of them and the sum of their bytes."""

    def __init__(self, items: Iterable[bytes]) -> None:
        self._items = items
        self.bytes = 0
        self.some: list[bytes] = []

    def __iter__(self) -> Iterator[bytes]:
        for number, item in enumerate(self._items):
            self.bytes += len(item)
            if number % CHECKED_EVERY == 0 and len(self.some) < CHECKED_EVERY:
                self.some.append(item)
            yield item


def _filled(count: int, per_owner: int, seed: int) -> tuple[Cache, Held, int]:
    """A cache of pods that nobody else holds, what it takes, and what the process took without it."""
    for _ in islice(pods(count, per_owner=per_owner, seed=seed), WARM_UP):
        pass
    cache = empty()
    base = resident_bytes()
    counted = _Counted(pods(count, per_owner=per_owner, seed=seed))
    fill(cache, counted)
    _check(cache, counted.some)
    counted.some.clear()
    held = Held(count=len(cache), json=counted.bytes, nbytes=cache.nbytes, resident=resident_bytes() - base)
    return cache, held, base


def _check(cache: Cache, given: list[bytes]) -> None:
    for raw in given:
        found = cache.get(Object(raw).key)
        if found is None or found.raw != raw:
            raise OtherBytes(f"{Object(raw).key} did not come back as it went in")


def _keys(cache: Cache, random: Random) -> NDArray[np.bytes_]:
    """In no order, and in one piece: a million strings among the records would keep what these give back."""
    keys = np.empty(len(cache), dtype=f"S{KEY_BYTES}")
    page, at = cache.list(limit=PAGE), 0
    while page:
        keys[at : at + len(page)] = [pod.key for pod in page]
        at += len(page)
        page = cache.list(limit=PAGE, after=page[-1].key)
    np.random.default_rng(random.randrange(1 << 32)).shuffle(keys)
    return keys


def _apply(cache: Cache, keys: NDArray[np.bytes_], change: Changing) -> int:
    """What `change` makes of the pods that are there, in batches; returns how many changes it made."""
    made = 0
    batch: list[tuple[EventType, bytes]] = []
    for key in keys:
        pod = cache.get(key.decode())
        if pod is None:
            continue
        batch.extend(change(pod.raw))
        if len(batch) >= CHURN_BATCH:
            cache.apply_batch(batch)
            made += len(batch)
            batch = []
    cache.apply_batch(batch)
    return made + len(batch)


def _status_change(raw: bytes, step: int) -> list[tuple[EventType, bytes]]:
    return [("MODIFIED", status_changed(raw, step))]


def _at_random(raw: bytes, random: Random, step: int) -> list[tuple[EventType, bytes]]:
    if random.random() < 0.8:
        return _status_change(raw, step + random.randrange(3))
    return [("DELETED", raw), ("ADDED", successor(raw, step))]
