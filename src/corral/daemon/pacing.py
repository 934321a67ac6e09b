"""How soon the next commit may begin: at once, unless commits come densely. Then changes gather for a moment first."""

from __future__ import annotations

# What a commit costs by itself is spread over all that came within so many seconds: the longest that a change waits.
INTERVAL = 0.015
# So many commits may follow one another at once; each interval gives one of them back.
CREDIT = 8


class Pacing:
    """Counts commits against a credit. `now` is monotonic seconds."""

    def __init__(self, interval: float = INTERVAL, credit: int = CREDIT) -> None:
        self._interval = interval
        self._credit = credit
        self._all_back_at = 0.0

    def delay(self, now: float) -> float:
        """Seconds until the next commit may begin: 0 after a quiet time, the interval at most."""
        return max(0.0, self._all_back_at - now - (self._credit - 1) * self._interval)

    def committed(self, now: float) -> None:
        """A commit has ended, perhaps one that did not ask for the delay: that is no debt of later ones."""
        owed = max(self._all_back_at, now) + self._interval
        self._all_back_at = min(owed, now + self._credit * self._interval)
