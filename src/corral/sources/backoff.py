"""Delays between attempts: exponential, jittered, bounded, and earned back only by a healthy stretch."""

from __future__ import annotations

import random
import time
from collections.abc import Callable


class Backoff:
    """The delays of one thing that is tried again and again.

    A session that ends at once must not start the delays over, or a server that accepts and drops would be
    tried in a hot loop: `healthy` marks that a session works, and only a failure that comes `healthy_after`
    seconds later is treated as the first one.
    """

    def __init__(
        self,
        *,
        first: float = 1.0,
        limit: float = 30.0,
        factor: float = 2.0,
        healthy_after: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self._first = first
        self._limit = limit
        self._factor = factor
        self._healthy_after = healthy_after
        self._clock = clock
        self._rng = rng
        self._base = first
        self._healthy_since: float | None = None

    def healthy(self) -> None:
        """It works; a stretch begins unless it has begun before."""
        if self._healthy_since is None:
            self._healthy_since = self._clock()

    def next_delay(self) -> float:
        """It failed: seconds to wait, between half and all of a base that grows up to `limit`."""
        since, self._healthy_since = self._healthy_since, None
        if since is not None and self._clock() - since >= self._healthy_after:
            self.reset()
        base, self._base = self._base, min(self._base * self._factor, self._limit)
        return base * (0.5 + 0.5 * self._rng())

    def reset(self) -> None:
        """Start over, for callers that have a proof of health of their own."""
        self._base = self._first
