"""Traffic that goes on while something changes: an open TCP stream, and a steady series of datagrams."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from contextlib import suppress
from typing import Self

from corral.sandbox.listeners import Listeners, Peer, Receipt
from corral.sandbox.namespace import Namespace
from corral.types import Flow

CHUNK = b"x" * 64


class Stream:
    """A TCP connection that sends without pause; `async with` opens and closes it.

    Times are on the monotonic clock and are taken where the bytes arrive.
    """

    def __init__(self, client: Namespace, server: Listeners, flow: Flow, *, interval: float = 0.002) -> None:
        self._client = client
        self._server = server
        self._flow = flow
        self._interval = interval
        self._receipt = Receipt()
        self._task: asyncio.Task[None] | None = None

    @property
    def delivered_at(self) -> float:
        """When the last byte arrived at the server."""
        return self._receipt.last

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._socket = self._client.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self._socket.bind((str(self._flow.client), 0))
            async with asyncio.timeout(2):
                await loop.sock_connect(self._socket, (str(self._flow.server), self._flow.port))
                await loop.sock_recv(self._socket, 64)
        except BaseException:
            self._socket.close()
            raise
        self._receipt = self._server.receipts[self._socket.getsockname()]
        self._task = asyncio.create_task(self._send(), name=f"stream {self._flow}")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._socket.close()

    async def delivery(self, patience: float = 2.0) -> float:
        """Wait for the next byte to arrive. Raises TimeoutError when none does."""
        self._receipt.news.clear()
        async with asyncio.timeout(patience):
            await self._receipt.news.wait()
        return self._receipt.last

    async def cut(self, *, quiet: float = 0.4, patience: float = 10.0) -> float:
        """Wait until nothing has arrived for `quiet` seconds; when the last byte did. Raises TimeoutError."""
        async with asyncio.timeout(patience):
            while True:
                try:
                    await self.delivery(quiet)
                except TimeoutError:
                    return self._receipt.last

    async def _send(self) -> None:
        while True:
            with suppress(BlockingIOError):
                self._socket.send(CHUNK)
            await asyncio.sleep(self._interval)


class Prober:
    """Sends numbered UDP datagrams at a steady rate; `async with` starts and stops it.

    `arrived` counts those that the server got, `answered` those whose answer came back.
    """

    def __init__(self, client: Namespace, server: Listeners | None, flow: Flow, *, rate: float = 200.0) -> None:
        self.flow = flow
        self.sent = 0
        self.answered = 0
        self.first_answer: float | None = None
        self.last_answer: float | None = None
        self._client = client
        self._server = server
        self._interval = 1 / rate
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def lost(self) -> int:
        """Datagrams without an answer; the very last ones may still be on their way."""
        return self.sent - self.answered

    @property
    def arrived(self) -> int:
        """Datagrams that the server got."""
        return self._server.heard[self._name] if self._server else 0

    def attach(self, server: Listeners) -> None:
        """Name the server, where it started only after the prober."""
        self._server = server

    async def __aenter__(self) -> Self:
        self._socket = self._client.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((str(self.flow.client), 0))
        self._name: Peer = self._socket.getsockname()
        self._socket.connect((str(self.flow.server), self.flow.port))
        asyncio.get_running_loop().add_reader(self._socket, self._read)
        self._task = asyncio.create_task(self._send(), name=f"prober {self.flow}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.pause()
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    async def pause(self) -> None:
        """Send no more; answers are still read."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def settle(self, patience: float = 1.0) -> None:
        """Send no more and give every answer the time to come back."""
        await self.pause()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self.lost:
                    self._news.clear()
                    await self._news.wait()

    async def answer(self, patience: float = 10.0) -> float:
        """Wait for the next answer, and tell when it came. Raises TimeoutError."""
        self._news.clear()
        async with asyncio.timeout(patience):
            await self._news.wait()
        return self.last_answer or time.monotonic()

    async def _send(self) -> None:
        due = time.monotonic()
        while True:
            # Before the server exists its address does not answer ARP: an error, now and then, of an earlier datagram.
            with suppress(OSError):
                self._socket.send(struct.pack("!Q", self.sent))
                self.sent += 1
            due += self._interval
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def _read(self) -> None:
        with suppress(OSError):
            while True:
                self._socket.recv(256)
                self.answered += 1
                self.last_answer = time.monotonic()
                self.first_answer = self.first_answer or self.last_answer
                self._news.set()
