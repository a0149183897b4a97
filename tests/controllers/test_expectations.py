"""No decision is taken on a cache that does not show the last writes."""

from __future__ import annotations

from engine._cache import Cache
from engine._object import Object
from engine.controllers.expectations import Expectations


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def pod(name: str, version: int, **metadata: str) -> Object:
    return Object({"metadata": {"name": name, "namespace": "d", "uid": name, "resourceVersion": str(version), **metadata}})


def test_an_owner_is_settled_when_the_cache_has_reached_its_last_write():
    cache = Cache()
    expectations = Expectations(cache)
    assert expectations.settled("rs")
    expectations.wrote("rs", pod("a", 5))
    expectations.wrote("rs", pod("b", 4))
    cache.apply("ADDED", pod("b", 4))
    assert not expectations.settled("rs")
    cache.apply("ADDED", pod("a", 5))
    assert expectations.settled("rs")
    assert len(expectations) == 0


def test_a_pod_that_came_and_went_before_anyone_looked_holds_nothing_up():
    cache = Cache()
    expectations = Expectations(cache)
    expectations.wrote("rs", pod("a", 5))
    cache.advance(6)
    assert expectations.settled("rs")


def test_a_deletion_is_seen_when_the_pod_is_gone_terminating_or_replaced():
    cache = Cache()
    expectations = Expectations(cache)
    for n, name in enumerate("abc"):
        cache.apply("ADDED", pod(name, n + 1))
        expectations.deleted("rs", pod(name, n + 1))
    cache.apply("DELETED", pod("a", 5))
    cache.apply("MODIFIED", pod("b", 6, deletionTimestamp="2026-01-01T00:00:00Z"))
    assert not expectations.settled("rs")
    cache.apply("MODIFIED", pod("c", 7, uid="another"))
    assert expectations.settled("rs")


def test_a_write_that_never_shows_is_let_go_with_a_warning(caplog):
    clock = Clock()
    expectations = Expectations(Cache(), expiry_seconds=30, clock=clock)
    expectations.wrote("rs", pod("a", 5))
    assert expectations.expires_in("rs") == 30
    clock.now += 29
    assert not expectations.settled("rs")
    clock.now += 1
    assert expectations.settled("rs")
    assert "did not show" in caplog.text
