"""What runs in an application container: a server like the sandbox's, and a sender of datagrams.

It has nothing but the standard library, for it runs from a bind mount in any image with Python. TCP greets each
client with the client's address; UDP answers with the client's address and what it got. Who is on loopback, which
nobody judges, commands it by datagrams: `send ADDRESS RATE`, `hush`, `report`.
"""

from __future__ import annotations

import json
import selectors
import signal
import socket
import sys
import time
from collections import Counter
from contextlib import suppress
from types import FrameType

TCP_PORTS = (80, 5432)
UDP_PORT = 53
COMMANDS = ("127.0.0.1", 9)
# Flows of a sender: each sends so many datagrams, then the next one does; a flow begins anew when its turn comes again.
FLOWS = 16
TURN = 50


class Sender:
    """Sends numbered datagrams to one address, over old flows and new ones."""

    def __init__(self, target: str, rate: float, chosen: selectors.BaseSelector) -> None:
        self.target = target
        self.sent = self.refused = 0
        self.first_answer: float | None = None
        self._interval = 1 / rate
        self._due = time.monotonic()
        self._chosen = chosen
        self._flows: list[socket.socket] = []

    def work(self, now: float) -> float:
        """Send what is due; when the next one is."""
        while self._due <= now:
            self._send()
            self._due += self._interval
        return self._due

    def _send(self) -> None:
        turn, first = divmod(self.sent + self.refused, TURN)
        if first == 0:
            self._begin(turn)
        try:
            self._flows[turn % FLOWS].send(b"%d" % self.sent)
            self.sent += 1
        except OSError:  # nobody answers ARP for the address, yet
            self.refused += 1

    def _begin(self, turn: int) -> None:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)
        made.connect((self.target, UDP_PORT))
        self._chosen.register(made, selectors.EVENT_READ, self.read)
        if turn < FLOWS:
            self._flows.append(made)
            return
        before, self._flows[turn % FLOWS] = self._flows[turn % FLOWS], made
        self.read(before)
        self._chosen.unregister(before)
        before.close()

    def read(self, flow: socket.socket) -> None:
        with suppress(BlockingIOError, ConnectionRefusedError, OSError):
            while flow.recv(256):
                self.first_answer = self.first_answer or time.time()


class Application:
    """Everything in one process, in turn."""

    def __init__(self) -> None:
        self._chosen = selectors.DefaultSelector()
        self._senders: dict[str, Sender] = {}
        self._sending = False
        self._echoed: Counter[str] = Counter()
        for port in TCP_PORTS:
            self._listen(socket.SOCK_STREAM, ("0.0.0.0", port), self._greet)  # noqa: S104
        self._listen(socket.SOCK_DGRAM, ("0.0.0.0", UDP_PORT), self._echo)  # noqa: S104
        self._listen(socket.SOCK_DGRAM, COMMANDS, self._obey)

    def serve(self) -> None:
        while True:
            due = [sender.work(time.monotonic()) for sender in self._senders.values()] if self._sending else []
            wait = max(0.0, min(due) - time.monotonic()) if due else None
            for key, _ in self._chosen.select(wait):
                key.data(key.fileobj)

    def send(self, target: str, rate: float) -> None:
        self._sending = True
        self._senders[target] = Sender(target, rate, self._chosen)

    def _listen(self, kind: socket.SocketKind, address: tuple[str, int], ready: object) -> None:
        made = socket.socket(socket.AF_INET, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.setblocking(False)
        if kind is socket.SOCK_STREAM:
            made.listen(128)
        self._chosen.register(made, selectors.EVENT_READ, ready)

    def _greet(self, listener: socket.socket) -> None:
        with suppress(OSError):
            connection, peer = listener.accept()
            connection.setblocking(False)
            connection.send(peer[0].encode())
            self._chosen.register(connection, selectors.EVENT_READ, self._read_on)

    def _read_on(self, connection: socket.socket) -> None:
        try:
            if connection.recv(1 << 16):
                return
        except OSError:
            pass
        self._chosen.unregister(connection)
        connection.close()

    def _echo(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                data, peer = server.recvfrom(1 << 12)
                server.sendto(peer[0].encode() + b" " + data, peer)
                self._echoed[peer[0]] += 1

    def _obey(self, commands: socket.socket) -> None:
        data, peer = commands.recvfrom(1 << 12)
        words = data.decode().split()
        if words[0] == "send":
            self.send(words[1], float(words[2]))
        elif words[0] == "hush":
            self._sending = False
        commands.sendto(json.dumps(self._report()).encode(), peer)

    def _report(self) -> dict[str, object]:
        sent = {target: sender.sent for target, sender in self._senders.items()}
        first_answers = {target: sender.first_answer for target, sender in self._senders.items()}
        return {"sent": sent, "first_answers": first_answers, "echoed": self._echoed}


def stop(_: int, __: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)  # as the first process of a container it would not be heeded else
    application = Application()
    arguments = sys.argv[1:]
    for each in arguments:
        address, _, per_second = each.partition("@")
        application.send(address, float(per_second))
    application.serve()
