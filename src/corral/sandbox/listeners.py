"""What runs in a container: TCP and UDP services that tell each client the address they see it by."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress

from corral.sandbox.namespace import Namespace

TCP_PORTS = (80, 443, 5432)
UDP_PORTS = (53,)
Peer = tuple[str, int]


class Receipt:
    """What a server has received on one TCP connection; `last` is when, on the monotonic clock."""

    def __init__(self) -> None:
        self.bytes = 0
        self.last = 0.0
        self.news = asyncio.Event()

    def note(self, size: int) -> None:
        """Count a delivery."""
        self.bytes += size
        self.last = time.monotonic()
        self.news.set()


class Listeners:
    """The open ports of one container, served by the running loop.

    TCP greets with the client's address and reads on; UDP answers with the client's address and what it got.
    `receipts` has an entry for each TCP connection, `heard` counts datagrams, both by the client's address and port.
    """

    def __init__(self, namespace: Namespace, *, tcp: Iterable[int] = TCP_PORTS, udp: Iterable[int] = UDP_PORTS) -> None:
        self.receipts: dict[Peer, Receipt] = {}
        self.heard: Counter[Peer] = Counter()
        self._loop = asyncio.get_running_loop()
        self._sockets: set[socket.socket] = set()
        for port in tcp:
            self._watch(_bound(namespace, socket.SOCK_STREAM, port), self._accept)
        for port in udp:
            self._watch(_bound(namespace, socket.SOCK_DGRAM, port), self._echo)

    def close(self) -> None:
        """Close every socket, connections included."""
        for each in tuple(self._sockets):
            self._drop(each)

    def _watch(self, each: socket.socket, ready: Callable[[socket.socket], None]) -> None:
        self._sockets.add(each)
        self._loop.add_reader(each, ready, each)

    def _drop(self, each: socket.socket) -> None:
        self._loop.remove_reader(each)
        self._sockets.discard(each)
        each.close()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(BlockingIOError):
            while True:
                connection, peer = listener.accept()
                connection.setblocking(False)
                self.receipts[peer] = receipt = Receipt()
                with suppress(OSError):
                    connection.send(peer[0].encode())
                self._sockets.add(connection)
                self._loop.add_reader(connection, self._read, connection, receipt)

    def _read(self, connection: socket.socket, receipt: Receipt) -> None:
        try:
            data = connection.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            receipt.note(len(data))
        else:
            self._drop(connection)

    def _echo(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                data, peer = server.recvfrom(1 << 16)
                self.heard[peer] += 1
                server.sendto(peer[0].encode() + b" " + data, peer)


def _bound(namespace: Namespace, kind: socket.SocketKind, port: int) -> socket.socket:
    made = namespace.socket(socket.AF_INET, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("0.0.0.0", port))  # noqa: S104 - whatever address the container has
    if kind is socket.SOCK_STREAM:
        made.listen(128)
    return made
