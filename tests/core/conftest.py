"""What holds for every test of the core."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from engine._object import forget
from engine._store import live


def held() -> dict[str, int]:
    """What the core holds when nobody wants anything of it."""
    forget()
    gc.collect()
    return dict(live())


@pytest.fixture(autouse=True)
def nothing_of_the_core_is_left() -> Iterator[None]:
    """After a test there is not a store, record, prefix or view more than before it."""
    before = held()
    yield
    assert held() == before
