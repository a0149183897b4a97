"""How long to wait after a failure."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Doubling delays with jitter: `first` seconds, at most `most`; a quiet time of `forget` seconds starts over.

    A delay is drawn from the upper half of its step, so that many clients of one failed server come back apart.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        first: float = 0.8,
        most: float = 30.0,
        forget: float = 120.0,
        rng: random.Random | None = None,
    ) -> None:
        self._clock = clock
        self._first, self._most, self._forget = first, most, forget
        self._random = rng or random.Random()
        self._failures = 0
        self._until = 0.0  # when the last delay ended

    def restart(self) -> None:
        """The other side has answered: the next failure waits the first delay again."""
        self._failures = 0

    def next(self) -> float:
        """Counts a failure and returns the seconds to wait after it."""
        now = self._clock()
        if now - self._until > self._forget:
            self._failures = 0
        step = min(self._most, self._first * 2.0 ** min(self._failures, 32))
        self._failures += 1
        delay = step * self._random.uniform(0.5, 1.0)
        self._until = now + delay
        return delay
