"""The two ends of the measured connections, each a process of its own that imports little, for it starts often."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

SINK, ECHO, GREETER = 7001, 7002, 7003
SECONDS = 0.15  # for each kind: short, so that many rounds find a quiet moment
_BLOCK = bytes(1 << 18)
_REQUEST = b"?" * 64


def serve(address: str) -> None:
    """Answer for ever on all three ports."""
    threads = [
        threading.Thread(target=_accept, args=(address, port, handle))
        for port, handle in ((SINK, _swallow), (ECHO, _echo), (GREETER, _greet))
    ]
    for thread in threads:
        thread.start()


def _accept(address: str, port: int, handle: Callable[[socket.socket], None]) -> None:
    with socket.create_server((address, port), backlog=1024) as listener:
        while True:
            connection, _ = listener.accept()
            with connection, suppress(ConnectionError):
                handle(connection)


def _swallow(connection: socket.socket) -> None:
    room = bytearray(len(_BLOCK))
    while connection.recv_into(room):
        pass


def _echo(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while received := connection.recv(len(_REQUEST)):
        connection.sendall(received)


def _greet(connection: socket.socket) -> None:
    connection.sendall(b"!")


def ask(address: str) -> dict[str, float]:
    """What passes in each of the three ways."""
    return {
        "Gbit/s": _throughput(address) * 8 / 1e9,
        "requests/s": _requests(address),
        "connections/s": _connections(address),
    }


def _throughput(address: str) -> float:
    with _connected(address, SINK) as connection:
        return _rate(lambda: connection.send(_BLOCK))


def _requests(address: str) -> float:
    with _connected(address, ECHO) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def request() -> int:
            connection.sendall(_REQUEST)
            return len(connection.recv(len(_REQUEST), socket.MSG_WAITALL)) // len(_REQUEST)

        return _rate(request)


def _connections(address: str) -> float:
    def connect() -> int:
        with socket.create_connection((address, GREETER)) as connection:
            return len(connection.recv(1))

    return _rate(connect)


def _rate(step: Callable[[], int]) -> float:
    """What the steps yield in a second."""
    amount, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < SECONDS:
        amount += step()
    return amount / elapsed


def _connected(address: str, port: int) -> socket.socket:
    """The server may only be starting."""
    deadline = time.monotonic() + 5
    while True:
        try:
            return socket.create_connection((address, port), timeout=5)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise


def stay_on_one_cpu() -> None:
    """Both ends on the same one: rates are then what a packet costs, not where the scheduler puts who waits."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


if __name__ == "__main__":
    action, place = sys.argv[1:]
    stay_on_one_cpu()
    if action == "serve":
        serve(place)
    else:
        sys.stdout.write(json.dumps(ask(place)))
