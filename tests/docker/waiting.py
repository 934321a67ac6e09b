"""Waiting for what happens outside of this process."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Awaitable, Callable

POLL = 0.05  # seconds: the processors are for the engine and the containers


async def until(holds: Callable[[], Awaitable[bool]], patience: float) -> None:
    """Look again and again until something holds. Raises TimeoutError."""
    async with asyncio.timeout(patience):
        while not await holds():
            await asyncio.to_thread(select.select, (), (), (), POLL)
