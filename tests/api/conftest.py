"""What a real kube-apiserver answered, where that is at hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(os.environ.get("ENGINE_GOLDEN", ROOT.parent / "shared" / "golden"))


@pytest.fixture(scope="session")
def exchanges() -> list[dict[str, Any]]:
    """The recorded exchanges, in order."""
    file = GOLDEN / "api.json"
    if not file.exists():
        pytest.skip(f"the recorded exchanges are not at {file}; ENGINE_GOLDEN says where they are")
    found: list[dict[str, Any]] = json.loads(file.read_text())
    return found
