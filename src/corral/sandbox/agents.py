"""Real agents: `corral agent` as a process in a host's namespace."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from corral.errors import UnreachableError
from corral.sandbox import launch
from corral.sandbox.exchange import Answer, request
from corral.sandbox.namespace import Namespace

LISTEN = "127.0.0.1:8799"
TAIL = 4000
_FOREIGN = ("CORRAL_", "CATTLE_", "PLATFORM_")


class Agent:
    """One host's agent. Its log goes to a file without a name, which ends with us."""

    def __init__(
        self, name: str, namespace: Namespace, settings: Mapping[str, str], *, least_privilege: bool = False
    ) -> None:
        self.name = name
        self.settings = dict(settings)
        self._namespace = namespace
        self._kept = str(launch.CAP_NET_ADMIN) if least_privilege else "all"
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`

    @property
    def pid(self) -> int:
        """The process id, 0 when there is none."""
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process; nothing happens while it lives."""
        if self.alive:
            return
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        launcher = [sys.executable, "-I", "-S", str(Path(launch.__file__)), str(os.getpid()), self._kept]
        with self._namespace:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [*launcher, sys.executable, "-m", "corral", "agent"],
                env={**inherited, "CORRAL_LISTEN": LISTEN, **self.settings},
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,  # Ctrl-C is for us; we stop it in good order
            )

    async def stop(self, patience: float = 5.0) -> int | None:
        """Ask it to stop, and kill it when it takes too long; the exit status."""
        process = self._process
        if process is None:
            return None
        process.terminate()
        try:
            return await asyncio.to_thread(process.wait, patience)
        except subprocess.TimeoutExpired:
            return await self.kill()

    async def wait(self) -> int | None:
        """Wait for it to end by itself; the exit status."""
        return await asyncio.to_thread(self._process.wait) if self._process else None

    async def kill(self) -> int | None:
        """Kill it on the spot."""
        if self._process is None:
            return None
        self._process.kill()
        return await self.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        if self._process is not None:
            self._process.send_signal(number)

    def close(self) -> None:
        """Kill it if need be, and forget its log."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def log(self, size: int = TAIL) -> str:
        """The end of its log."""
        end = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, max(0, end - size)).decode(errors="replace")

    async def get(self, path: str) -> Answer:
        """Ask its health endpoint. Raises UnreachableError, with the end of its log when it has died."""
        if not self.alive:
            raise UnreachableError(f"the agent of {self.name} is not running; the end of its log:\n{self.log()}")
        return await request(self._namespace, f"http://{LISTEN}{path}")

    async def state(self) -> dict[str, Any]:
        """What it knows, enforces and waits for."""
        state: dict[str, Any] = (await self.get("/v1/state")).json()
        return state
