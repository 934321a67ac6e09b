"""Commands as processes, on a terminal of their own or in a pipe, to be answered and interrupted."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from .managed import FOREIGN


class Session:
    """A command that runs; what it prints is collected as it comes."""

    def __init__(self, process: subprocess.Popen[bytes], screen: int) -> None:
        self._process = process
        self._screen = screen
        self.printed = ""

    async def shows(self, text: str) -> None:
        """Wait until it has printed this."""
        while text not in self.printed:
            more = await asyncio.to_thread(self._read)
            assert more, f"it ended without {text!r}: {self.printed}"

    async def ends(self) -> int:
        """Its exit status."""
        while await asyncio.to_thread(self._read):
            pass
        return await asyncio.to_thread(self._process.wait, 30)

    def answer(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def _read(self) -> bool:
        try:
            data = os.read(self._screen, 1 << 16)
        except OSError:  # the terminal's other end is closed
            return False
        self.printed += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)


@asynccontextmanager
async def session(*arguments: str, variables: Mapping[str, str]) -> AsyncIterator[Session]:
    """A command on a terminal."""
    screen, inside = pty.openpty()
    process = _start(arguments, inside, variables)
    os.close(inside)
    try:
        yield Session(process, screen)
    finally:
        process.kill()
        process.wait()
        os.close(screen)


def _start(arguments: tuple[str, ...], terminal: int, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "corral", *arguments],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**inherited, "COLUMNS": "400", "NO_COLOR": "1", **variables},
        start_new_session=True,
    )
