"""What happens, for whoever listens: each subscriber has a queue of its own, bounded, that loses the oldest."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from corral.documents.events import LostEvent
from corral.errors import UnreachableError

MOST_SUBSCRIBERS = 16
QUEUE = 256

Data = Mapping[str, Any]
Wanted = Callable[[str, Data], bool]


class Subscription:
    """The events of one subscriber, from its subscription on."""

    def __init__(self, wanted: Wanted, queue: int) -> None:
        self._wanted = wanted
        self._queue: deque[tuple[str, Data]] = deque(maxlen=queue)
        self._lost = 0
        self._news = asyncio.Event()
        self._closed = False

    def put(self, kind: str, data: Data) -> None:
        """Queue an event, if it is wanted."""
        if not self._wanted(kind, data):
            return
        self._lost += len(self._queue) == self._queue.maxlen
        self._queue.append((kind, data))
        self._news.set()

    def close(self) -> None:
        """What is queued is still read, then it ends."""
        self._closed = True
        self._news.set()

    async def events(self, patience: float) -> AsyncIterator[tuple[str, Data] | None]:
        """Kind and data of each; None after so many seconds without one. Where some were lost, `lost` comes first."""
        while True:
            if self._lost:
                told: LostEvent = {"events": self._lost}
                self._lost = 0
                yield "lost", told
            if self._queue:
                yield self._queue.popleft()
            elif self._closed:
                return
            elif not await self._news_within(patience):
                yield None

    async def _news_within(self, patience: float) -> bool:
        self._news.clear()
        try:
            async with asyncio.timeout(patience):
                return await self._news.wait()
        except TimeoutError:
            return False


class EventHub:
    """Passes events on. `listening` is false while nobody does: then there is nothing to be made for it."""

    def __init__(self, *, queue: int = QUEUE, most: int = MOST_SUBSCRIBERS) -> None:
        self.listening = False
        self._subscriptions: list[Subscription] = []
        self._queue = queue
        self._most = most
        self._closed = False
        self._turned = asyncio.Event()

    def publish(self, kind: str, data: Data) -> None:
        """Tell all subscribers."""
        for subscription in self._subscriptions:
            subscription.put(kind, data)

    @contextmanager
    def subscribed(self, wanted: Wanted = lambda _kind, _data: True) -> Iterator[Subscription]:
        """A subscription for as long as the context lasts. Raises UnreachableError when there are too many."""
        if len(self._subscriptions) >= self._most:
            raise UnreachableError(f"{self._most} readers follow the events already; end one of them")
        subscription = Subscription(wanted, self._queue)
        self._subscriptions.append(subscription)
        self._turn()
        if self._closed:
            subscription.close()
        try:
            yield subscription
        finally:
            self._subscriptions.remove(subscription)
            self._turn()

    def close(self) -> None:
        """End all subscriptions, and those to come at once."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.close()

    async def listened(self) -> None:
        """Wait until somebody listens."""
        while not self.listening:
            self._turned.clear()
            await self._turned.wait()

    def _turn(self) -> None:
        self.listening = bool(self._subscriptions)
        self._turned.set()
