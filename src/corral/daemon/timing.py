"""How long a change takes on its way into the kernel, and how old the agent's data is. Pure: callers bring the clock.

An event is *received* when its message has been read from the websocket. It is *committed* when the kernel has
acknowledged the transaction that holds it, every message accounted for. It is *verified* when the whole table was
read back after that and held what was committed; that is done seldom, so it is counted for each transaction.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable

COMMIT_BOUNDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
VERIFY_BOUNDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

# While nothing is committed, events go on coming: of more than that the latest ones are counted.
MOST_WAITING = 65_536


class Distribution:
    """A histogram's numbers. `counts` has one entry for each bound, and one for what is above the last."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, values: Iterable[float]) -> None:
        """Count some values; a bound is in the bucket that it ends."""
        bounds, counts = self.bounds, self.counts
        for value in values:
            counts[bisect_left(bounds, value)] += 1
            self.total += value


class Timing:
    """Follows changes from reception to verification. All times are of one monotonic clock."""

    def __init__(self) -> None:
        self.commits = Distribution(COMMIT_BOUNDS)
        self.verifications = Distribution(VERIFY_BOUNDS)
        self.last_event: float | None = None
        self.last_snapshot: float | None = None
        self.last_verified: float | None = None
        self._received: deque[float] = deque(maxlen=MOST_WAITING)
        self._committing: list[float] = []
        self._unverified: deque[float] = deque(maxlen=MOST_WAITING)

    def applied(self, received: float) -> None:
        """An event that was received then has changed what is desired."""
        self._received.append(received)

    def begin(self) -> None:
        """A transaction is made of all that was applied so far, and of what an earlier one could not bring in."""
        if self._received:
            self._committing += self._received
            self._received.clear()
            del self._committing[:-MOST_WAITING]

    def committed(self, now: float) -> float | None:
        """The kernel took it; how long its first event has waited, if any has."""
        waits = [now - received for received in self._committing]
        if waits:
            self.commits.add(waits)
            self._committing.clear()
        self._unverified.append(now)
        return waits[0] if waits else None

    def needless(self) -> None:
        """There was nothing to commit: what was applied made no difference to the kernel."""
        self._committing.clear()

    def verified(self, now: float, *, as_committed: bool) -> None:
        """The table was read back. What somebody else has changed meanwhile can not be verified any more."""
        if as_committed:
            self.verifications.add([now - committed for committed in self._unverified])
            self.last_verified = now
        self._unverified.clear()
