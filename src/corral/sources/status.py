"""How a source is doing, for readiness, metrics and the log."""

from __future__ import annotations

import time
from collections.abc import Callable

from corral.errors import CorralError


class SourceStatus:
    """Kept by one source, read by the daemon. `on_change` is called when it connects, fails, or fails otherwise."""

    def __init__(
        self,
        name: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_change: Callable[[SourceStatus], None] | None = None,
    ) -> None:
        self.name = name
        self.connected = False
        self.since = self._started = clock()
        self.last_success: float | None = None
        self.last_error: str | None = None
        self.failures = 0
        self._clock = clock
        self._on_change = on_change

    def succeeded(self) -> None:
        """An answer or a message came. `failures` counts those since the last success."""
        self.last_success = self._clock()
        self.failures = 0
        if not self.connected:
            self._turn(connected=True)

    def failed(self, error: CorralError) -> None:
        """An attempt, or a session, failed. The error stays readable after the next success.

        Only its text is kept: its traceback would keep the whole answer in memory that could not be read.
        """
        text = str(error)
        news = self.connected or text != self.last_error
        self.last_error = text
        self.failures += 1
        if news:
            self._turn(connected=False)

    def forget(self) -> None:
        """It is not known any more how it is doing."""
        if self.failures:
            self.last_error, self.failures = None, 0
            self._turn(connected=False)

    def age(self) -> float | None:
        """Seconds since the last success, or None if there was none."""
        return None if self.last_success is None else self._clock() - self.last_success

    def unchanged_for(self) -> float:
        """Seconds for which it has been connected, or has not."""
        return self._clock() - self.since

    def silence(self) -> float:
        """Seconds without an answer. A long poll that is under way is no silence."""
        if self.connected:
            return 0.0
        age = self.age()
        return self._clock() - self._started if age is None else age

    def describe(self) -> dict[str, object]:
        """All of it as JSON; times are ages in seconds."""
        return {
            "connected": self.connected,
            "since": self.unchanged_for(),
            "last_success": self.age(),
            "last_error": self.last_error,
            "failures": self.failures,
        }

    def _turn(self, *, connected: bool) -> None:
        if connected is not self.connected:
            self.connected = connected
            self.since = self._clock()
        if self._on_change is not None:
            self._on_change(self)
