"""Long work in slices: pongs, the health endpoint and signals get their turn of the event loop in a burst, too."""

from __future__ import annotations

import asyncio
from time import monotonic

# Seconds of work without a turn for others. Reader, translator and commit may each take theirs in one turn of the loop.
SLICE = 0.003


class Slices:
    """Knows how long the work has gone on. It may have paused meanwhile: one turn too many costs nothing."""

    def __init__(self, length: float | None = None) -> None:
        self._length = SLICE if length is None else length
        self._began = monotonic()

    async def rest(self) -> None:
        """Let others have their turn, if ours has lasted long enough."""
        if monotonic() - self._began >= self._length:
            await asyncio.sleep(0)
            self._began = monotonic()
