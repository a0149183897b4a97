"""A control plane for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.controllers.plane import Plane, plane


@pytest.fixture
async def on() -> AsyncIterator[Plane]:
    """A store in memory and an API; each test starts the controllers that it is about."""
    async with plane() as made:
        yield made
