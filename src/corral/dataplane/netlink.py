"""A plain non-blocking netlink socket: pyroute2's own asyncio sockets do not open on uvloop.

A request to the kernel is handled inside the send: when it returns, the answer waits in the receive buffer. A dump
goes on inside each receive. So nothing here waits to receive.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from corral.dataplane.messages import (
    ACK,
    DUMP,
    DUMP_INTERRUPTED,
    NLMSG_DONE,
    NLMSG_ERROR,
    REQUEST,
    Received,
    frame,
    split,
)
from corral.dataplane.monitor import PortFilter
from corral.errors import UncertainError, UnsupportedError
from corral.slices import Slices

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12

# From asm-generic/socket.h and linux/netlink.h; Python has no names for them.
_SO_ATTACH_FILTER, _SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 26, 32, 33
_SOL_NETLINK = 270
_ADD_MEMBERSHIP, _DROP_MEMBERSHIP, _CAP_ACK, _EXT_ACK = 1, 2, 10, 11

_SEND_BUFFER = 4 << 20
_RECEIVE_BUFFER = 8 << 20
_DATAGRAM = 1 << 17  # the kernel's largest: 32 KiB of a dump, 72 KiB of notifications
LARGE = 64 << 10  # more than this is sent from a thread: the kernel works inside the send
_OVERHEAD = 1024
_SLICE = 0.005  # seconds of reading before others get their turn
_ERRNO_SIZE = 4

Result = TypeVar("Result")


class InterruptedDumpError(Exception):
    """The table changed under a dump, or an answer was lost: begin again."""


class NetlinkSocket:
    """One socket, in the network namespace of the thread that makes it."""

    def __init__(self, protocol: int) -> None:
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
        except OSError as error:
            raise UnsupportedError(
                f"the kernel has no netlink protocol {protocol}: {error}", errno=error.errno
            ) from error
        self._socket.bind((0, 0))
        self.port = int(self._socket.getsockname()[0])
        self._sequence = random.getrandbits(31)
        for option in (_CAP_ACK, _EXT_ACK):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        self._send_buffer = 0
        self.slices = Slices(_SLICE)
        self._enlarge(_SO_RCVBUFFORCE, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._make_room(_SEND_BUFFER)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Idempotent."""
        self._socket.close()

    def join(self, group: int) -> None:
        """Receive a multicast group's notifications from now on."""
        self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)

    def leave(self, group: int) -> None:
        """Receive no more of them than have come."""
        self._socket.setsockopt(_SOL_NETLINK, _DROP_MEMBERSHIP, group)

    def attach_filter(self, port_filter: PortFilter) -> None:
        """Let the kernel drop what the filter rejects."""
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, port_filter.program)

    def next_sequence(self, count: int = 1) -> int:
        """Reserve sequence numbers; the first of them."""
        first = self._sequence
        self._sequence = (self._sequence + count) % (1 << 32)
        return first

    async def send(self, data: bytes, *, slow: bool = False) -> None:
        """Hand bytes to the kernel and let it work; when large, or known to be slow, in a thread.

        Raises OSError when the kernel did not even take them. Finishes before it can be cancelled.
        """
        self._make_room(len(data))
        if not slow and len(data) <= LARGE:
            self._socket.send(data)
            return
        await in_thread(partial(self._socket.send, data))

    def drain(self) -> Iterator[bytes | None]:
        """All that waits to be read, None where something was lost."""
        while True:
            try:
                yield self._socket.recv(_DATAGRAM)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                yield None

    async def request(self, kind: int, payload: bytes, *, flags: int = 0) -> list[Received]:
        """Ask, or tell, one thing. Raises OSError with the kernel's errno, and UncertainError without an answer."""
        sequence = self._ask(kind, REQUEST | ACK | flags, payload)
        answers: list[Received] = []
        for datagram in self.drain():
            for received in split(datagram or b""):
                if received.sequence == sequence and received.type == NLMSG_ERROR:
                    _raise_error(received)
                    return answers
                if received.sequence == sequence:
                    answers.append(received)
        raise UncertainError("the kernel did not answer")

    async def dump(self, kind: int, payload: bytes) -> list[Received]:
        """Ask for all of a kind; others have their turns meanwhile.

        Raises OSError, and InterruptedDumpError when it is not the state of one moment.
        """
        return [received async for part in self.parts(kind, payload) for received in part]

    async def parts(self, kind: int, payload: bytes) -> AsyncGenerator[list[Received]]:
        """The same, as it comes."""
        sequence = self._ask(kind, REQUEST | DUMP, payload)
        while True:
            part: list[Received] = []
            for received in split(self._next_part()):
                if received.sequence != sequence:
                    continue
                if received.flags & DUMP_INTERRUPTED:
                    raise InterruptedDumpError
                if received.type in (NLMSG_ERROR, NLMSG_DONE):
                    _raise_error(received)
                    yield part
                    return
                part.append(received)
            yield part
            await self.slices.rest()

    def on_readable(self, call: Callable[[], None] | None) -> None:
        """Have the running loop call this whenever something can be read; None ends it."""
        loop = asyncio.get_running_loop()
        if call is None:
            loop.remove_reader(self._socket.fileno())
        else:
            loop.add_reader(self._socket.fileno(), call)

    def _ask(self, kind: int, flags: int, payload: bytes) -> int:
        for _ in self.drain():  # the rest of what was given up: a dump in progress would make the kernel refuse
            pass
        sequence = self.next_sequence()
        self._socket.send(frame(kind, flags, sequence, payload))
        return sequence

    def _next_part(self) -> bytes:
        try:
            return self._socket.recv(_DATAGRAM)
        except BlockingIOError:
            raise UncertainError("the kernel did not finish its answer") from None
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                raise InterruptedDumpError from error
            raise

    def _make_room(self, size: int) -> None:
        """The kernel takes a batch in one piece, and only if the send buffer could hold it."""
        if size + _OVERHEAD > self._send_buffer:
            self._enlarge(_SO_SNDBUFFORCE, socket.SO_SNDBUF, size + _OVERHEAD)
            self._send_buffer = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)

    def _enlarge(self, forced: int, polite: int, size: int) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, forced, size)
        except PermissionError:  # in a user namespace, before 6.1
            self._socket.setsockopt(socket.SOL_SOCKET, polite, size)


async def in_thread(call: Callable[[], Result]) -> Result:
    """What a call in a thread returns. It finishes before it can be cancelled, however often that is tried.

    The thread is made for it: the loop's own may all be busy with people's questions, or wait for a name server that
    does not answer.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="netlink") as thread:
        running = asyncio.get_running_loop().run_in_executor(thread, call)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            while not running.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([running])
            raise


def _raise_error(received: Received) -> None:
    number = -int.from_bytes(received.payload[:_ERRNO_SIZE], sys.byteorder, signed=True)
    if number > 0:
        raise OSError(number, os.strerror(number))
