"""One server per test, on a memory store, over HTTPS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.serving import Serving, serving


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates are made once: their keys cost time."""
    return tmp_path_factory.mktemp("pki")


@pytest.fixture
async def served(pki: Path) -> AsyncIterator[Serving]:
    async with serving(pki, future_seconds=0.05) as running:
        yield running
