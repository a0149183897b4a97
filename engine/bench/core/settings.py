"""What a run of the suite is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FULL_COUNT = 1_000_000  # the count that the bars are about
FULL_CHURN_SECONDS = 600.0
SHORT_CHURN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """`count` pods; `per_owner`: pods per ReplicaSet for which memory is measured, the first is used elsewhere too.
    `churn_seconds` None: ten minutes from a million pods up, else a second. Plots go to `out`."""

    count: int = 20_000
    per_owner: tuple[int, ...] = (120, 10, 1)
    rounds: int = 7
    seed: int = 0
    churn_seconds: float | None = None
    out: Path = Path("bench/out")

    @property
    def churn(self) -> float:
        if self.churn_seconds is not None:
            return self.churn_seconds
        return FULL_CHURN_SECONDS if self.count >= FULL_COUNT else SHORT_CHURN_SECONDS
