"""The end of the log, kept in memory for whoever asks for help: containers' own logs are often gone by then."""

from __future__ import annotations

import math
from collections import deque

from structlog.typing import EventDict, WrappedLogger

from corral.documents.log import Log, LogLine

KEPT = 500  # lines
_LONGEST = 2000  # characters of one text: a traceback may be long

Plain = str | int | float | bool | None


class RecentLines:
    """A processor that remembers the last lines. It comes behind the time stamp, and before the line is rendered.

    `level` is the one from which on lines are written; whoever sets it tells.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.level = "info"
        self._lines: deque[LogLine] = deque(maxlen=kept)

    def __call__(self, _: WrappedLogger, method: str, event: EventDict) -> EventDict:
        details = {name: _plain(value) for name, value in event.items() if name not in _NAMED}
        self._lines.append(
            {
                "at": _milliseconds(str(event.get("timestamp", ""))),
                "level": str(event.get("level", method)),
                "event": str(_plain(event.get("event"))),
                "details": details,
            }
        )
        return event

    def log(self) -> Log:
        """The lines, oldest first."""
        return {"level": self.level, "lines": list(self._lines)}


_NAMED = frozenset({"timestamp", "level", "event"})


def _milliseconds(timestamp: str) -> str:
    """From `2026-11-23T02:35:15.123456Z`."""
    return f"{timestamp[:23]}Z" if "." in timestamp else timestamp


def _plain(value: object) -> Plain:
    """What JSON can carry: no infinite number, and no half of a pair, which a label can hold."""
    if isinstance(value, bool | int | None) or (isinstance(value, float) and math.isfinite(value)):
        return value
    text = str(value).encode(errors="backslashreplace").decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


# structlog's configuration is one for the process, and so is this.
RECENT = RecentLines()
