"""What holds for every test of the core."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator

import pytest

from engine._object import forget
from engine._store import live

FAILED: pytest.StashKey[bool] = pytest.StashKey()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


def held() -> dict[str, int]:
    """What the core holds when nobody wants anything of it."""
    forget()
    gc.collect()
    return dict(live())


@pytest.fixture(scope="package", autouse=True)
def old_objects_are_not_looked_at() -> Iterator[None]:
    """A collection after each test would mostly walk modules."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def nothing_of_the_core_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a test there is not a store, record, prefix or view more than before it."""
    before = held()
    yield
    if not request.node.stash.get(FAILED, False):  # the traceback of one that failed holds its locals
        after = held()
        assert {name: count for name, count in after.items() if count > before[name]} == {}
