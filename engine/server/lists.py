"""Lists: pages of one moment, however many writes come between them."""

from __future__ import annotations

import base64
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from engine._cache import Cache, Snapshot
from engine._object import Object
from engine.api.errors import StatusError, bad_request
from engine.api.kind import Kind
from engine.server.refusals import ExpiredList, expired, version_ahead
from engine.server.selection import Selection, Versioned, list_version, selection, whole_number
from engine.storage.store import Store

MAX_LIMIT = 1 << 32  # no list is longer
MAX_PINS = 64  # moments that continued lists can still read
MAX_PIN_SECONDS = 300.0
TOKEN_VERSION = "meta.k8s.io/v1"
TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list. `remaining` is None where Kubernetes does not count (selectors, the last page)."""

    items: Sequence[Object]
    resource_version: int
    continue_token: str = ""
    remaining: int | None = None


@dataclass(frozen=True, slots=True)
class _Pin:
    snapshot: Snapshot
    until: float


@dataclass(frozen=True, slots=True)
class _Token:
    """Where a continued list goes on. `revision` -1 is an inconsistent one, on whatever is there now. `left` counts
    what is still to come, -1 when it is not counted."""

    revision: int
    after: str
    left: int


class Lists:
    """Answers lists of one store. A list that is cut by its limit pins its moment: at most MAX_PINS of them, for at
    most MAX_PIN_SECONDS; a later page then gets 410 with a token that goes on without it."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._pins: OrderedDict[tuple[str, int], _Pin] = OrderedDict()

    def page(self, kind: Kind, namespace: str | None, query: Mapping[str, str], only: str = "") -> Page:
        """One page, as the query parameters ask. Raises StatusError: 400, 410, 422, and 504 for a version that is not
        reached yet (the caller may wait and ask again)."""
        wanted = selection(kind, namespace, query, only)
        version = list_version(query)
        limit = _limit(query.get("limit", ""))
        cache = self._store.table(kind.resource).cache
        if token_text := query.get("continue", ""):
            if version.asked and version.version:
                raise bad_request("specifying resource version is not allowed when using continue")
            return self._continued(kind, cache, wanted, limit, _parse(token_text, namespace))
        revision = self._store.revision
        self._check(version, revision, cache)
        if limit <= 0 or wanted.name:
            return Page(matching(kind, cache, wanted), revision)
        items = cache.list(wanted.namespace, wanted.labels, wanted.fields, limit=limit + 1)
        if len(items) <= limit:
            return Page(items, revision)
        self._pin(kind, revision, cache.snapshot())
        left = _count(cache, wanted) - limit if wanted.everything else -1
        return _cut(items[:limit], revision, left, wanted)

    def _check(self, version: Versioned, revision: int, cache: Cache) -> None:
        if version.version > revision:
            raise version_ahead(version.version, revision)
        if version.match == "Exact" and cache.resource_version > version.version:
            raise expired(f"The resourceVersion for the provided list is too old: {version.version}")

    def _continued(self, kind: Kind, cache: Cache, wanted: Selection, limit: int, token: _Token) -> Page:
        source: Cache | Snapshot = cache
        revision = token.revision
        if revision < 0:
            revision = self._store.revision
        else:
            pin = self._pinned(kind, revision)
            if pin is None:
                inconsistent = _Token(-1, token.after, -1)
                raise ExpiredList(410, "Expired", TOO_OLD, continue_token=_text(inconsistent, wanted.namespace))
            source = pin.snapshot
        more = limit + 1 if limit > 0 else 0
        items = source.list(wanted.namespace, wanted.labels, wanted.fields, limit=more, after=token.after)
        if limit <= 0 or len(items) <= limit:
            return Page(items, revision)
        if token.revision < 0:
            self._pin(kind, revision, cache.snapshot())
        return _cut(items[:limit], revision, token.left - limit if token.left >= 0 else -1, wanted)

    def _pin(self, kind: Kind, revision: int, snapshot: Snapshot) -> None:
        now = self._clock()
        # A revision names one moment of the store, so a second list at it shares the first one's.
        self._pins.setdefault((kind.resource.name, revision), _Pin(snapshot, now + MAX_PIN_SECONDS))
        while self._pins and (len(self._pins) > MAX_PINS or next(iter(self._pins.values())).until < now):
            self._pins.popitem(last=False)

    def _pinned(self, kind: Kind, revision: int) -> _Pin | None:
        pin = self._pins.get((kind.resource.name, revision))
        return pin if pin is not None and pin.until >= self._clock() else None


def matching(kind: Kind, cache: Cache, wanted: Selection) -> list[Object]:
    """All objects that are selected. One that is named costs one look-up, unless all namespaces are asked for."""
    if not wanted.name or (kind.resource.namespaced and wanted.namespace is None):
        return cache.list(wanted.namespace, wanted.labels, wanted.fields)
    found = cache.get(f"{wanted.namespace}/{wanted.name}" if wanted.namespace else wanted.name)
    if found is None or (wanted.labels is not None and not wanted.labels.matches(found.labels)):
        return []
    return [found] if wanted.fields is None or wanted.fields.matches(found) else []


def _count(cache: Cache, wanted: Selection) -> int:
    return len(cache) if wanted.namespace is None else len(cache.index_keys("namespace", wanted.namespace))


def _cut(items: list[Object], revision: int, left: int, wanted: Selection) -> Page:
    token = _text(_Token(revision, items[-1].key, left), wanted.namespace)
    return Page(items, revision, token, left if left >= 0 else None)


def _limit(text: str) -> int:
    return min(whole_number(text), MAX_LIMIT) if text else 0


def _text(token: _Token, namespace: str | None) -> str:
    # The start is relative to the namespace, so that a token cannot be carried into another one.
    after = token.after.partition("/")[2] if namespace else token.after
    members = {"v": TOKEN_VERSION, "rv": token.revision, "start": after, "left": token.left}
    return base64.urlsafe_b64encode(orjson.dumps(members)).rstrip(b"=").decode()


def _parse(text: str, namespace: str | None) -> _Token:
    try:
        members = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:  # binascii.Error is one
        raise _bad_token("invalid character looking for beginning of value") from None
    if not isinstance(members, dict) or members.get("v") != TOKEN_VERSION:
        raise _bad_token("server does not recognize this encoded version")
    after, revision, left = members.get("start"), members.get("rv"), members.get("left", -1)
    if not (isinstance(after, str) and after and type(revision) is int and type(left) is int):
        raise _bad_token("incorrect encoded start resourceVersion")
    return _Token(revision, f"{namespace}/{after}" if namespace else after, left)


def _bad_token(why: str) -> StatusError:
    return bad_request(f"invalid continue token: continue key is not valid: {why}")
