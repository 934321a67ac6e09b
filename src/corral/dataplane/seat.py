"""One agent at a time in a network namespace: two would undo what the other writes, hundreds of times a second.

The seat is a name for a Unix socket without a file. Such names belong to the network namespace, like the table,
whatever container their process is in; and the kernel takes them back when that process ends, however it ends. Who
waits is connected to the holder, who says nothing: the connection breaks in the moment in which the seat is free.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from corral.errors import DataplaneError

NAME = "\0corral-agent"
WAITING = 16
# Who finds no place in the queue looks so often instead.
PAUSE = 0.05
# In seconds; an agent that stops needs five at most.
PATIENCE = 10.0
_CREDENTIALS = struct.Struct("iII")  # struct ucred: pid, uid, gid


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the seat: the process as this process's namespace numbers it, 0 if it can not be seen from here."""

    pid: int
    uid: int


class Seat:
    """Held until it is closed, or the process ends."""

    def __init__(self, listening: socket.socket) -> None:
        listening.setblocking(False)
        self._listening = listening
        self._waiting: deque[socket.socket] = deque()

    def fileno(self) -> int:
        """To be watched: when it can be read, somebody has come, and is to be received."""
        return self._listening.fileno()

    def receive(self) -> None:
        """Take one who has come out of the kernel's queue, which keeps the places of those who have gone again.

        There are places for WAITING of them: the one who came first has to come again.
        """
        with suppress(OSError):  # gone, or no file descriptor is left
            self._waiting.append(self._listening.accept()[0])
        if len(self._waiting) > WAITING:
            self._waiting.popleft().close()

    def close(self) -> None:
        """Free it."""
        self._listening.close()
        while self._waiting:
            self._waiting.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def take_seat(waiting: Callable[[Holder | None], None], name: str = NAME) -> Seat:
    """Wait for the seat of this network namespace, and take it.

    `waiting` is told once, if it is taken: by whom, if that can be found out. Blocks, but heeds signals. Raises
    DataplaneError where such sockets are forbidden, and when somebody has it for PATIENCE seconds who may be no agent:
    everybody in the namespace can take the name, and none but root and our own user may keep us from enforcing.
    """
    told, patient_until = False, time.monotonic() + PATIENCE

    def tell(holder: Holder | None) -> None:
        nonlocal told
        if not told:
            waiting(holder)
        told = True

    while (seat := _taken(name)) is None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as queue:
            if _wait_in(queue, name, tell):
                patient_until = time.monotonic() + PATIENCE
        if time.monotonic() > patient_until:
            raise DataplaneError("the seat of this network namespace is taken by somebody who may be no agent")
        time.sleep(PAUSE)
    return Seat(seat)


def _taken(name: str) -> socket.socket | None:
    seat = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        seat.bind(name)
        seat.listen(WAITING)
    except OSError as error:
        seat.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise DataplaneError(f"Unix sockets are forbidden here ({error.strerror})", errno=error.errno) from error
    return seat


def _wait_in(queue: socket.socket, name: str, tell: Callable[[Holder | None], object]) -> bool:
    """Wait until the holder goes, and say True; not at all, and False, where it may be no agent or can not be seen."""
    queue.setblocking(False)
    try:
        queue.connect(name)
    except BlockingIOError:  # the queue is full
        tell(None)
        return False
    except OSError:  # the holder does not listen yet, or has just gone
        return False
    holder = _holder(queue)
    tell(holder)
    if holder.uid not in {0, os.geteuid()}:
        return False
    queue.setblocking(True)
    with suppress(OSError):
        while queue.recv(1):
            pass
    return True


def _holder(queue: socket.socket) -> Holder:
    pid, uid, _ = _CREDENTIALS.unpack(queue.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return Holder(pid, uid)
