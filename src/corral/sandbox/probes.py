"""Real packets between containers: does an answer come back?"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum

from corral.sandbox.namespace import Namespace
from corral.types import Flow, Protocol

# An answer takes well under a millisecond; a loaded machine may take a hundred times longer.
PATIENCE = 0.25
AT_ONCE = 300
ECHO_REQUEST, ECHO_REPLY = 8, 0
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Outcome(StrEnum):
    """What became of a probe."""

    ANSWERED = "answered"
    REFUSED = "refused"  # it arrived, but nothing listens on the port
    SILENT = "silent"  # no answer in time: dropped on the way there or back
    MASKED = "masked"  # answered, but the server saw another source address

    @property
    def passed(self) -> bool:
        """Whether the network let the flow through."""
        return self is not Outcome.SILENT


async def probe(client: Namespace, flow: Flow, *, patience: float = PATIENCE) -> Outcome:
    """Open the flow from the client's namespace, and wait that long for an answer."""
    attempt = {Protocol.TCP: _probe_tcp, Protocol.UDP: _probe_udp, Protocol.ICMP: _probe_icmp}[flow.protocol]
    try:
        async with asyncio.timeout(patience):
            return await attempt(client, flow)
    except ConnectionRefusedError:
        return Outcome.REFUSED
    except (TimeoutError, OSError):
        return Outcome.SILENT


async def probe_all(
    clients: Mapping[str, Namespace], flows: Iterable[Flow], *, patience: float = PATIENCE
) -> dict[Flow, Outcome]:
    """Probe many flows side by side; `clients` has the namespaces by address."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def gated(flow: Flow) -> tuple[Flow, Outcome]:
        async with gate:
            return flow, await probe(clients[str(flow.client)], flow, patience=patience)

    return dict(await asyncio.gather(*(gated(flow) for flow in flows)))


def echo_request(identifier: int, sequence: int, payload: bytes) -> bytes:
    """An ICMP echo request with its checksum."""
    header = struct.pack("!BBHHH", ECHO_REQUEST, 0, 0, identifier, sequence)
    checksum = _checksum(header + payload)
    return struct.pack("!BBHHH", ECHO_REQUEST, 0, checksum, identifier, sequence) + payload


async def _probe_tcp(client: Namespace, flow: Flow) -> Outcome:
    loop = asyncio.get_running_loop()
    async with _socket(client, flow, socket.SOCK_STREAM) as opened:
        # Leaves no TIME-WAIT behind: thousands of probes run from few addresses.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        await loop.sock_connect(opened, (str(flow.server), flow.port))
        return _outcome(flow, await loop.sock_recv(opened, 64))


async def _probe_udp(client: Namespace, flow: Flow) -> Outcome:
    loop = asyncio.get_running_loop()
    async with _socket(client, flow, socket.SOCK_DGRAM) as opened:
        opened.connect((str(flow.server), flow.port))
        opened.send(b"probe")
        return _outcome(flow, (await loop.sock_recv(opened, 64)).removesuffix(b" probe"))


async def _probe_icmp(client: Namespace, flow: Flow) -> Outcome:
    loop = asyncio.get_running_loop()
    async with _socket(client, flow, socket.SOCK_RAW, socket.IPPROTO_ICMP) as opened:
        opened.connect((str(flow.server), 0))
        token = os.urandom(16)
        opened.send(echo_request(int.from_bytes(token[:2], "big"), 1, token))
        while True:
            packet = await loop.sock_recv(opened, 256)
            header = (packet[0] & 0x0F) * 4
            if packet[header] == ECHO_REPLY and packet.endswith(token):
                return Outcome.ANSWERED


@asynccontextmanager
async def _socket(client: Namespace, flow: Flow, kind: int, protocol: int = 0) -> AsyncIterator[socket.socket]:
    opened = client.socket(socket.AF_INET, kind, protocol)
    try:
        opened.bind((str(flow.client), 0))
        yield opened
    finally:
        opened.close()


def _outcome(flow: Flow, seen: bytes) -> Outcome:
    return Outcome.ANSWERED if seen.decode() == str(flow.client) else Outcome.MASKED


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
