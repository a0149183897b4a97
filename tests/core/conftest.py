"""What holds for every test of the core."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from engine import _store

live = getattr(_store, "live", dict)


@pytest.fixture(autouse=True)
def nothing_of_the_core_is_left() -> Iterator[None]:
    """After a test, the core holds what it held before: no store, record, prefix or view more."""
    gc.collect()
    before = live()
    yield
    gc.collect()
    assert live() == before
