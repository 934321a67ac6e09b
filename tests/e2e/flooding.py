"""Sends datagrams that are to be denied, steadily, from many addresses: a process of its own, with few imports."""

from __future__ import annotations

import asyncio
import select
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ipaddress import IPv4Address

from corral.sandbox.namespace import Namespace

_BURST = 0.005  # seconds


def flood(server: str, port: int, rate: int, first: str, clients: int) -> None:
    """Send for ever; `clients` addresses from `first` on have to be the sender's own."""
    sockets = []
    for number in range(clients):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((str(IPv4Address(first) + number), 0))
        made.connect((server, port))
        sockets.append(made)
    sent, started = 0, time.monotonic()
    while True:
        while sent < (time.monotonic() - started) * rate:
            with suppress(OSError):  # an ICMP error about an earlier one
                sockets[sent % clients].send(b"denied")
            sent += 1
        select.select((), (), (), _BURST)


@asynccontextmanager
async def flooding(
    space: Namespace, server: str, port: int, *, rate: int, first: str, clients: int = 1
) -> AsyncIterator[None]:
    """A flood out of a container's namespace while the context lasts."""
    arguments = (server, str(port), str(rate), first, str(clients))
    with space:
        process = subprocess.Popen([sys.executable, "-m", "tests.e2e.flooding", *arguments])  # noqa: ASYNC220, S603
    try:
        yield
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)


if __name__ == "__main__":
    given = sys.argv[1:]
    flood(given[0], int(given[1]), int(given[2]), given[3], int(given[4]))
