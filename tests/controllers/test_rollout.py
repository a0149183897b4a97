"""Rolling updates keep their two promises, and scaling keeps proportions: pure arithmetic."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine._object import Object
from engine.controllers import rollout
from engine.controllers.revisions import ReplicaSet
from engine.controllers.rollout import Strategy


def replica_set(name: str, replicas: int, *, available: int | None = None, **more: int) -> ReplicaSet:
    document = {"metadata": {"name": name, "creationTimestamp": f"2026-01-01T00:00:{len(name):02}Z"}, "spec": {}}
    available = replicas if available is None else available
    return ReplicaSet(Object(document), name, replicas, more.pop("observed", replicas), available, available, **more)


def rolling(replicas: int, surge: int | str, unavailable: int | str) -> Strategy:
    limits = {"maxSurge": surge, "maxUnavailable": unavailable}
    return Strategy.of({"replicas": replicas, "strategy": {"type": "RollingUpdate", "rollingUpdate": limits}})


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "resolved"),
    [
        (10, "25%", "25%", (3, 2)),
        (3, "25%", "25%", (1, 0)),
        (4, "25%", "25%", (1, 1)),
        (1, "0%", "25%", (0, 1)),
        (10, 2, 0, (2, 0)),
        (100, "7%", "7%", (7, 7)),
        (2, 1, 5, (1, 2)),
        (0, 1, 1, (1, 0)),
    ],
)
def test_surge_is_rounded_up_and_unavailable_down_and_never_both_are_zero(replicas, surge, unavailable, resolved):
    strategy = rolling(replicas, surge, unavailable)
    assert (strategy.max_surge, strategy.max_unavailable) == resolved


def test_missing_limits_are_a_quarter():
    assert Strategy.of({"replicas": 8}) == Strategy(8, False, 2, 2)


def test_a_new_replica_set_starts_with_the_surge():
    assert rollout.new_size(rolling(10, 3, 2), None, [replica_set("a", 10)]) == 3


def test_a_new_replica_set_has_all_replicas_when_there_is_no_old_one():
    assert rollout.new_size(rolling(10, 3, 2), None, []) == 10


def test_pods_that_a_shrunken_replica_set_still_reports_leave_no_room():
    old = replica_set("a", 8, observed=10)
    assert rollout.new_size(rolling(10, 0, 2), None, [old]) == 0
    assert rollout.new_size(rolling(10, 0, 2), None, [replace(old, observed_replicas=8)]) == 2


def test_unavailable_old_pods_go_first():
    new, broken, good = replica_set("new", 3), replica_set("aa", 5, available=0), replica_set("a", 5)
    assert rollout.old_sizes(rolling(10, 3, 2), new, [good, broken]) == {"aa": 0}


def test_a_broken_new_template_stops_the_rollout_at_the_allowed_unavailability():
    strategy = rolling(10, 3, 2)
    new, old = replica_set("new", 5, available=0), replica_set("a", 8)
    assert rollout.new_size(strategy, new, [old]) == 5
    assert rollout.old_sizes(strategy, new, [old]) == {}


class Runner:
    """ReplicaSets that do what they are told at a random pace: pods come, become available, and go."""

    def __init__(self, strategy: Strategy, old: list[int]) -> None:
        self.strategy = strategy
        self.old = [replica_set("a" * (i + 1), size) for i, size in enumerate(old)]
        self.new: ReplicaSet | None = None
        self.pods = {rs.name: (rs.replicas, rs.replicas) for rs in self.old}  # (active, of which available)

    @property
    def sets(self) -> list[ReplicaSet]:
        return [*self.old, self.new] if self.new else self.old

    def deploy(self) -> bool:
        """One step of the Deployment controller; False when there was nothing to do."""
        size = rollout.new_size(self.strategy, self.new, self.old)
        if self.new is None:
            self.new = replica_set("n" * 30, size, observed=0, available=0)
            self.pods[self.new.name] = (0, 0)
            return True
        if size != self.new.replicas:
            self.new.replicas = size
            return True
        sizes = rollout.old_sizes(self.strategy, self.new, self.old)
        for rs in self.old:
            rs.replicas = sizes.get(rs.name, rs.replicas)
        return bool(sizes)

    def run_pods(self, rs: ReplicaSet, starts: int) -> None:
        """One step of the ReplicaSet controller and the kubelets: unavailable pods are deleted first."""
        active, available = self.pods[rs.name]
        active = min(active, rs.replicas) if active > rs.replicas else rs.replicas
        available = min(active, available)
        self.pods[rs.name] = (active, min(active, available + starts))

    def report(self, rs: ReplicaSet) -> None:
        active, available = self.pods[rs.name]
        rs.observed_replicas, rs.ready, rs.available = active, available, available

    def check(self) -> None:
        active = sum(active for active, _ in self.pods.values())
        available = sum(available for _, available in self.pods.values())
        assert active <= self.strategy.replicas + self.strategy.max_surge
        assert available >= self.strategy.replicas - self.strategy.max_unavailable


@settings(max_examples=150, deadline=None)
@given(data=st.data(), replicas=st.integers(1, 12), surge=st.integers(0, 5), unavailable=st.integers(0, 5))
def test_never_more_than_surge_and_never_fewer_available_than_allowed(data, replicas, surge, unavailable):
    strategy = rolling(replicas, surge, unavailable)
    share = data.draw(st.integers(0, replicas))
    runner = Runner(strategy, [share, replicas - share])
    runner.deploy()
    for _ in range(400):
        runner.check()
        action = data.draw(st.sampled_from(("deploy", "pods", "report", "report")))
        rs = data.draw(st.sampled_from(runner.sets))
        if action == "deploy":
            runner.deploy()
        elif action == "pods":
            runner.run_pods(rs, data.draw(st.integers(0, 3)))
        else:
            runner.report(rs)
        if data.draw(st.integers(0, 30)) == 0:
            break
    finish(runner)
    assert runner.new is not None
    assert runner.new.replicas == replicas
    assert not any(rs.replicas for rs in runner.old)


def finish(runner: Runner) -> None:
    """From wherever it stopped, the rollout ends when everybody works."""
    for _ in range(200):
        moved = runner.deploy()
        runner.check()
        for rs in runner.sets:
            runner.run_pods(rs, 3)
            runner.report(rs)
        runner.check()
        done = runner.new is not None and runner.new.available == runner.strategy.replicas
        if done and not moved and not any(rs.replicas for rs in runner.old):
            return
    pytest.fail("the rollout does not end")


def test_one_active_replica_set_takes_the_whole_size():
    assert rollout.scaled_sizes(rolling(7, 1, 1), replica_set("n", 3), [replica_set("a", 0)], 3) == {"n": 7}


def test_without_active_ones_the_current_replica_set_is_scaled():
    assert rollout.scaled_sizes(rolling(7, 1, 1), replica_set("n", 0), [replica_set("a", 0)], 0) == {"n": 7}


def test_a_saturated_new_replica_set_empties_the_old_ones():
    new = replica_set("n", 7, desired=7)
    assert rollout.scaled_sizes(rolling(7, 1, 1), new, [replica_set("a", 2)], 9) == {"a": 0}


def test_scaling_in_mid_rollout_keeps_proportions():
    new, old = replica_set("nn", 5, desired=10, max=13), replica_set("a", 8, desired=10, max=13)
    assert rollout.scaled_sizes(rolling(15, 3, 2), new, [old], 13) == {"a": 11, "nn": 7}


@settings(max_examples=200, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 20), min_size=2, max_size=5),
    before=st.integers(1, 40),
    replicas=st.integers(0, 60),
    surge=st.integers(1, 6),
)
def test_proportional_scaling_ends_at_replicas_and_surge(sizes, before, replicas, surge):
    strategy = rolling(replicas, surge, 0)
    sets = [replica_set("a" * (i + 1), size, available=0, desired=before, max=sum(sizes)) for i, size in enumerate(sizes)]
    scaled = rollout.scaled_sizes(strategy, sets[-1], sets[:-1], sum(sizes))
    assert all(size >= 0 for size in scaled.values())
    assert sum(scaled.values()) == (replicas + surge if replicas else 0)


def test_a_deployment_was_scaled_when_an_active_replica_set_remembers_another_size():
    strategy = rolling(5, 1, 1)
    assert rollout.is_scaling(strategy, [replica_set("a", 3, desired=3)])
    assert not rollout.is_scaling(strategy, [replica_set("a", 0, desired=3), replica_set("b", 5, desired=5)])
    assert not rollout.is_scaling(strategy, [replica_set("a", 3)])
