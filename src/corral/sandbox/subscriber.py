"""One connection of the event stream, as Rancher's server treats it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

# The server cuts off a client that lets this many messages queue up.
LONGEST_QUEUE = 100


class Subscriber:
    """Queues texts for one websocket, so that a slow reader holds up nobody."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self._socket = socket
        self._transport = transport
        self._queue: asyncio.Queue[str] = asyncio.Queue()

    def send(self, text: str) -> None:
        """Queue a text; the connection is cut when too many wait."""
        if self._queue.qsize() >= LONGEST_QUEUE:
            self.abort()
        else:
            self._queue.put_nowait(text)

    def abort(self) -> None:
        """Cut the connection without a closing handshake."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """End the connection properly."""
        await self._socket.close()

    async def serve(self, ping: Callable[[], str | None], interval: Callable[[], float]) -> None:
        """Send pings and what is queued until the client goes."""
        tasks = (asyncio.create_task(self._send_queued()), asyncio.create_task(self._send_pings(ping, interval)))
        try:
            async for _ in self._socket:
                pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_queued(self) -> None:
        while True:
            await self._socket.send_str(await self._queue.get())

    async def _send_pings(self, ping: Callable[[], str | None], interval: Callable[[], float]) -> None:
        while True:
            text = ping()
            if text is not None:
                self.send(text)
            await asyncio.sleep(interval())
