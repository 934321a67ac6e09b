"""Sees every IP packet that reaches a container, whoever sends it and however often containers come and go.

What the host's table drops never leaves by a container's cable, so that whatever does was let through.
"""

from __future__ import annotations

import asyncio
import ctypes
import socket
import struct
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Self

from corral.types import Address

# Client, server, and the number of the protocol in the packet.
Ends = tuple[Address, Address, int]

# Only who asks for all protocols gets what goes out.
_ETHERTYPE_ALL, _ETHERTYPE_IPV4 = 0x0003, 0x0800
_SO_ATTACH_FILTER, _SO_RCVBUFFORCE = 26, 33
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_BUFFER = 1 << 25
_HEADER = 20
_LOAD, _IS_EQUAL, _TAKE = 0x20, 0x15, 0x06
# Of the packets of all interfaces, the IP headers of those that go out.
_OUTGOING = (
    (_LOAD, 0, 0, 0xFFFFF000),  # the protocol
    (_IS_EQUAL, 0, 3, _ETHERTYPE_IPV4),
    (_LOAD, 0, 0, 0xFFFFF004),  # the packet's type
    (_IS_EQUAL, 0, 1, socket.PACKET_OUTGOING),
    (_TAKE, 0, 0, _HEADER),
    (_TAKE, 0, 0, 0),
)


class Tap:
    """`with Tap() as tap:` counts in the running loop; in the host's namespace, where the cables begin."""

    def __init__(self) -> None:
        self._seen: Counter[Ends] = Counter()

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETHERTYPE_ALL))
        filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _OUTGOING))
        program = struct.pack("HL", len(_OUTGOING), ctypes.addressof(filters))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        self._drain()  # what came before the filter was there
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        asyncio.get_running_loop().add_reader(self._socket, self._read)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def seen(self, client: Address, server: Address, protocol: int | None = None) -> int:
        """How many packets of one container reached another's cable; ICMP errors are among them, if not told which.

        Raises AssertionError when some may not have been counted.
        """
        self._read()
        statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        assert struct.unpack("II", statistics)[1] == 0, "the tap was too slow: packets were not counted"
        asked = (client, server)
        return sum(n for ends, n in self._seen.items() if ends[:2] == asked and protocol in {None, ends[2]})

    def forget(self) -> None:
        """Count anew."""
        self._read()
        self._seen.clear()

    def _drain(self) -> None:
        self._socket.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                self._socket.recv(1)

    def _read(self) -> None:
        with suppress(BlockingIOError):
            while True:
                packet, where = self._socket.recvfrom(_HEADER)
                if where[0].startswith("veth"):
                    protocol, client, server = struct.unpack_from("!9xB2xII", packet)
                    self._seen[Address(client), Address(server), protocol] += 1
