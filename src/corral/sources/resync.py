"""When to read all collections of the API: at once in the first session, and some time after a server has come back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from corral.errors import RefusedError, UnreachableError
from corral.sources.backoff import Backoff, refused_backoff, server_backoff

# Seconds. A thousand agents that find their server again must not ask it for everything in one moment. What an event
# refers to and is not known is asked for by itself meanwhile.
SPREAD = 60.0

Request = Callable[[], Awaitable[object]]


class Resync:
    """Calls `learn` once for each session. While the API fails it calls `probe`, which costs the server little.

    `run` does it; `connected`, `disconnected` and `failed` tell what happened meanwhile.
    """

    def __init__(
        self,
        learn: Request,
        probe: Request,
        *,
        spread: float = SPREAD,
        backoff: Backoff | None = None,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self._learn = learn
        self._probe = probe
        self._spread = spread
        self._backoff = backoff or server_backoff()
        self._refused = refused_backoff()
        self._rng = rng
        self._first = True
        self._open = False
        self._failing = False
        self._delay: float | None = None
        self._turned = asyncio.Event()

    def connected(self) -> None:
        """A session has begun."""
        self._open, self._failing = True, False
        self._ask_in(self.first_delay())

    def disconnected(self) -> None:
        """It has ended, and with it the reason to ask."""
        self._open = False
        self._ask_in(None)

    def failed(self, error: UnreachableError) -> None:
        """A request failed: nothing else is asked until the API answers again."""
        if self._open:
            self._failing = True
            self._ask_in((self._refused if isinstance(error, RefusedError) else self._backoff).next_delay())

    def first_delay(self) -> float:
        """Seconds between the moment when the API can be asked (again) and the first attempt."""
        return 0.0 if self._first else self._spread * self._rng()

    async def run(self) -> None:
        """Serve for ever."""
        while True:
            self._turned.clear()
            try:
                async with asyncio.timeout(self._delay):
                    await self._turned.wait()
            except TimeoutError:
                await self._attempt()

    async def _attempt(self) -> None:
        self._delay = None
        try:
            await (self._probe if self._failing else self._learn)()
        except UnreachableError as error:
            self.failed(error)
            return
        self._backoff.healthy()
        self._refused.healthy()
        if not self._failing:
            self._first = False
        elif self._open:
            self._failing = False
            self._ask_in(self.first_delay())

    def _ask_in(self, seconds: float | None) -> None:
        self._delay = seconds
        self._turned.set()
