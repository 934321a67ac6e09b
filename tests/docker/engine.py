"""A Docker engine for the tests alone: Debian's dockerd in this network namespace, with files of its own."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import signal
import subprocess
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import corral

ROOT = Path(__file__).parents[2]
DATA = ROOT / "build" / "test-docker"
# The machine's network namespace, for tests that run in another one, which `__main__` makes for them.
OUTSIDE = "CORRAL_TESTS_OUTSIDE"
CGROUPS = Path("/sys/fs/cgroup")
CGROUP = f"corral-test-docker-{zlib.crc32(bytes(ROOT)):08x}"  # trees may be tested side by side
IMAGE = f"corral:{corral.__version__}"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
ARCHIVE = ROOT / "build" / "image" / f"corral-{corral.__version__}-{ARCHITECTURE}.tar"

# The managed network. Docker itself chooses the addresses on its docker0, and removes one that is not its own.
NETWORK, BRIDGE, SUBNET, GATEWAY = "managed", "managed0", "10.42.0.0/16", "10.42.0.1"
PATIENCE = 60.0
TAIL = 6000
# Debian's client before others that may be there.
PATH = f"/usr/sbin:/usr/bin:{os.environ.get('PATH', '')}"


def network() -> str:
    """The network namespace that this process is in."""
    return str(Path("/proc/self/ns/net").readlink())


def has_own_host() -> bool:
    """Whether an engine can do as it likes here: the machine's own bridges and rules are elsewhere."""
    return os.environ.get(OUTSIDE, network()) != network()


class CommandError(AssertionError):
    """A command of the tests failed."""


class Engine:
    """`start`, `stop` and `kill` are dockerd's; containers are the business of `docker`."""

    def __init__(self) -> None:
        self.socket = "/run/docker.sock"
        self.environment = {**os.environ, "PATH": PATH, "DOCKER_HOST": f"unix://{self.socket}"}
        self._process: subprocess.Popen[bytes] | None = None
        self._log = DATA / "dockerd.log"

    # ---- the daemon

    async def start(self, *, live_restore: bool = False) -> None:
        """Start it, and wait until it answers."""
        if not has_own_host():
            raise CommandError("a Docker engine would change this machine's network: run `make test-docker`")
        DATA.mkdir(parents=True, exist_ok=True)
        # So that one of the machine's own, which may say anything, is not read.
        settings = DATA / "daemon.json"
        settings.write_text(json.dumps({"live-restore": live_restore}))
        command = [_found("dockerd"), "--config-file", str(settings), "--data-root", str(DATA / "data")]
        command += ["--host", f"unix://{self.socket}", "--log-level=warn"]
        command += ["--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", f"/{CGROUP}"]
        with self._log.open("ab") as log:
            # Ctrl-C at the terminal is for the tests.
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603
                command, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        async with asyncio.timeout(PATIENCE):
            while not await self._answers():
                if self._process.poll() is not None:
                    raise CommandError(f"dockerd ended with {self._process.returncode}:\n{self.log()}")

    async def stop(self) -> None:
        """End it as its administrator does."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End it on the spot."""
        await self._end(signal.SIGKILL)

    async def restart(self, *, live_restore: bool = False) -> None:
        """Stop it and start it."""
        await self.stop()
        await self.start(live_restore=live_restore)

    async def end(self) -> None:
        """Remove what there is in it, and stop it."""
        if self._process is not None and self._process.poll() is None:
            await self.remove_containers()
            await self.stop()

    async def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            await asyncio.to_thread(self._process.wait, PATIENCE)
            self._process = None

    async def _answers(self) -> bool:
        try:
            await self.docker("version")
        except CommandError:
            return False
        return True

    def log(self) -> str:
        """The end of its log, without what the shims of its containers say when they start."""
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return "\n".join(line for line in lines if "level=info" not in line)[-TAIL:]

    # ---- what it holds

    async def docker(self, *arguments: str) -> str:
        """Run the client; what it prints. Raises CommandError."""
        return await self.run("docker", *arguments)

    async def inspect(self, container: str) -> dict[str, Any]:
        """All that Docker knows of a container."""
        found: list[dict[str, Any]] = json.loads(await self.docker("container", "inspect", container))
        return found[0]

    async def pid(self, container: str) -> int:
        """The process of a container, as this namespace numbers it; 0 when it does not run."""
        state: dict[str, Any] = (await self.inspect(container))["State"]
        return int(state["Pid"])

    async def make_network(self) -> None:
        """The managed network: a bridge of Docker's, where each container gets the address that Rancher gives it."""
        name = f"com.docker.network.bridge.name={BRIDGE}"
        await self.docker("network", "create", "--subnet", SUBNET, "--gateway", GATEWAY, "--opt", name, NETWORK)

    async def load(self, archive: Path) -> None:
        """Load what `docker save` wrote."""
        await self.docker("load", "--quiet", "--input", str(archive))

    async def remove_containers(self) -> None:
        """All of them."""
        names = (await self.docker("ps", "--all", "--quiet")).split()
        if names:
            await self.docker("rm", "--force", "--volumes", *names)

    async def run(self, *command: str, variables: Mapping[str, str] | None = None) -> str:
        """Run a command that may ask this engine; what it prints. Raises CommandError."""
        done = await self.ran(*command, variables=variables)
        if done.returncode:
            raise CommandError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    async def ran(self, *command: str, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command that reads nothing, whatever comes of it."""
        words = [_found(command[0]), *command[1:]]
        environment = {**self.environment, **(variables or {})}
        return await asyncio.to_thread(
            subprocess.run,
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )


def _found(name: str) -> str:
    found = shutil.which(name, path=PATH)
    if found is None:
        raise CommandError(f"{name} is needed: `make test-docker` installs it")
    return found
