"""Delays between attempts: jittered, bounded, and earned back only by a healthy stretch."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

# Seconds. A server that comes back is to be followed within two, however many agents wait for it: they are spread
# over that time, and each waits for its first answer before it asks for more (see `Resolver`).
LONGEST_DELAY = 1.5
# A server that starts refuses good keys for a moment. Later they become good only by someone's doing.
PATIENCE_WITH_REFUSALS, LONGEST_DELAY_OF_REFUSED = 60.0, 60.0


class Backoff:
    """The delays of one thing that is tried again and again.

    A session that ends at once must not start the delays over, or a server that accepts and drops would be
    tried in a hot loop: `healthy` marks that a session works, and only a failure that comes `healthy_after`
    seconds later is treated as the first one. For `patience` seconds from the first failure on the delays do not grow.
    """

    def __init__(
        self,
        *,
        first: float = 1.0,
        limit: float = 30.0,
        factor: float = 2.0,
        patience: float = 0.0,
        healthy_after: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self._first = first
        self._limit = limit
        self._factor = factor
        self._patience = patience
        self._healthy_after = healthy_after
        self._clock = clock
        self._rng = rng
        self._base = first
        self._failing_since: float | None = None
        self._healthy_since: float | None = None

    def healthy(self) -> None:
        """It works; a stretch begins unless it has begun before."""
        if self._healthy_since is None:
            self._healthy_since = self._clock()

    def next_delay(self) -> float:
        """It failed: seconds to wait.

        A server that dies drops all its clients in one moment, so the first delay is anything up to the base. Later
        ones are between half of the base and all of it: clients that are spread stay so, and none comes too often.
        """
        now = self._clock()
        since, self._healthy_since = self._healthy_since, None
        if since is not None and now - since >= self._healthy_after:
            self.reset()
        if self._failing_since is None:
            self._failing_since = now
            return self._base * self._rng()
        if now - self._failing_since >= self._patience:
            self._base = min(self._base * self._factor, self._limit)
        return self._base * (0.5 + 0.5 * self._rng())

    def reset(self) -> None:
        """Start over, for callers that have a proof of health of their own."""
        self._base = self._first
        self._failing_since = None


def server_backoff() -> Backoff:
    """For a Rancher server that can not be reached."""
    return Backoff(first=LONGEST_DELAY, limit=LONGEST_DELAY)


def refused_backoff() -> Backoff:
    """For a Rancher server that refuses our keys."""
    return Backoff(first=LONGEST_DELAY, limit=LONGEST_DELAY_OF_REFUSED, patience=PATIENCE_WITH_REFUSALS)
