"""A queue that never makes its producer wait and never grows beyond the number of different keys."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class CoalescingQueue(Generic[Item]):
    """A later item takes the place of a pending one of its key: of a level-triggered source only the last counts."""

    def __init__(self) -> None:
        self._pending: dict[Hashable, Item] = {}
        self._ready = asyncio.Event()
        self._closed = False

    def put(self, key: Hashable, item: Item) -> None:
        """In the place of a pending item of that key, so that what was referred to first stays first."""
        self._pending[key] = item
        self._ready.set()

    def put_last(self, key: Hashable, item: Item) -> None:
        """Behind everything that is pending."""
        self._pending.pop(key, None)
        self.put(key, item)

    def pending(self, key: Hashable) -> Item | None:
        """What waits under that key."""
        return self._pending.get(key)

    def close(self) -> None:
        """No more items will come."""
        self._closed = True
        self._ready.set()

    async def get(self) -> Item | None:
        """The next item; None once the queue is closed and empty."""
        while not self._pending and not self._closed:
            self._ready.clear()
            await self._ready.wait()
        if not self._pending:
            return None
        return self._pending.pop(next(iter(self._pending)))
