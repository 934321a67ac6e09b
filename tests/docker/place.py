"""A host with Rancher on it: what runs are Docker's containers, and Rancher says so."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from itertools import permutations
from pathlib import Path
from typing import Any, Self

from corral.policy.verdict import Scene, judge
from corral.sandbox.environment import Environment
from corral.sandbox.metadata_server import MetadataServer
from corral.sandbox.namespace import OWN_NAMESPACE, Namespace
from corral.sandbox.probes import Outcome, probe_all
from corral.sandbox.rancher_server import RancherServer
from corral.sandbox.records import ContainerRecord
from corral.sandbox.world import scene_of
from corral.types import Action, Address, Flow, Protocol

from . import application
from .engine import BRIDGE, IMAGE, NETWORK, Engine
from .tap import Tap
from .waiting import until

RATE = 1000
PATIENCE = 30.0
PROBED = 1.0  # seconds: containers start and end beside the probes
KINDS = ((Protocol.TCP, 80), (Protocol.TCP, 5432), (Protocol.UDP, application.UDP_PORT))


def here() -> Namespace:
    """The network namespace that this process is in: the host's."""
    return Namespace(os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC))


class Place:
    """`async with Place(engine) as place:` has Rancher's servers; containers and the agent come when asked for."""

    def __init__(self, engine: Engine, *, lag: float = 0.05) -> None:
        self.engine = engine
        self.environment = Environment(hosts=1, bridge=BRIDGE)
        self.tap = Tap()
        self._lag = lag
        self._spaces: dict[str, Namespace] = {}
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            self.host = here()
            self._open.callback(self.host.close)
            self.rancher = RancherServer(self.environment, self.host)
            self._open.push_async_callback(self.rancher.stop)
            await self.rancher.start()
            self.metadata = MetadataServer(self.environment, 0, self.host, lag=self._lag)
            self._open.push_async_callback(self.metadata.close)
            await self.metadata.start()
            self._open.push_async_callback(self.engine.remove_containers)
            await self._forget_corral()
            self._open.callback(self._forget_spaces)
            self._open.enter_context(self.tap)
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def _forget_corral(self) -> None:
        """As on a host that never had it."""
        switches = ("nf_call_iptables", "0", "nf_call_ip6tables", "0")
        await self.engine.run("ip", "link", "set", BRIDGE, "type", "bridge", *switches)
        await self.engine.ran("nft", "delete", "table", "inet", "corral")

    # ---- what is there

    def address(self, name: str) -> Address:
        """The address of a container."""
        return Address.parse(self.environment.container(name).address or "")

    def running(self) -> list[ContainerRecord]:
        """The application containers that Rancher says run."""
        records = self.environment.records.containers.values()
        return [each for each in records if each.state == "running" and not each.system]

    def scene(self) -> Scene:
        """What the reference verdict judges by."""
        return scene_of(self.environment)

    def seen(self, client: str, server: str) -> int:
        """How many packets of one container have reached another."""
        return self.tap.seen(self.address(client), self.address(server))

    def datagrams_seen(self, client: str, server: str) -> int:
        """How many of them were datagrams, and no ICMP errors about some."""
        return self.tap.seen(self.address(client), self.address(server), socket.IPPROTO_UDP)

    def allowed(self, client: str, server: str) -> bool:
        """The reference verdict for datagrams of the applications."""
        flow = Flow(self.address(client), self.address(server), Protocol.UDP, application.UDP_PORT)
        return judge(self.scene(), flow).action is Action.ALLOW

    async def logs(self) -> str:
        """What the engine and the containers have logged of late."""
        names = (await self.engine.docker("ps", "--all", "--format", "{{.Names}}")).split()
        applications = {each.name for each in self.environment.records.containers.values()}
        told = [f"--- the engine:\n{self.engine.log()}"]
        for name in names:
            lines = "5" if name in applications else "100"
            done = await self.engine.ran("docker", "logs", "--tail", lines, name)
            told.append(f"--- {name}:\n{done.stdout}{done.stderr}")
        return "\n".join(told)

    # ---- containers

    async def start(
        self, service: str, *, address: Address | None = None, sends_to: Iterable[Address] = (), announced: bool = True
    ) -> ContainerRecord:
        """Have Docker run a container of a service, and Rancher say so: its network first, then the news that it runs.

        It sends to `sends_to` from its first moment on, and again after each start.
        """
        record = self.environment.create_container(service)
        self.environment.set_state(record.name, "starting")
        await self._run(record, address or self.free_address(), sends_to)
        await until(lambda: self.up(record.name), PATIENCE)
        return await self.announce(record.name) if announced else record

    def free_address(self) -> Address:
        """The address that Rancher would give to the next container."""
        return Address.parse(self.environment.allocate_address(0))

    async def announce(self, name: str) -> ContainerRecord:
        """Rancher says that a container runs, with the address and the id that Docker tells."""
        found = await self.engine.inspect(name)
        address = found["NetworkSettings"]["Networks"][NETWORK]["IPAddress"]
        return self.environment.set_running(name, address, external_id=found["Id"])

    async def start_all(self, services: Mapping[str, int]) -> None:
        """Start so many containers of each service, side by side."""
        await asyncio.gather(*(self.start(path) for path, scale in services.items() for _ in range(scale)))

    async def stop(self, name: str) -> None:
        """Have Docker stop a container; Rancher goes on listing it, with its address."""
        self.environment.set_state(name, "stopping")
        await self.engine.docker("stop", name)
        self._forget_space(name)
        self.environment.set_state(name, "stopped")

    async def remove(self, name: str) -> None:
        """Have Docker remove a container; its address is free."""
        await self.engine.docker("rm", "--force", name)
        self._forget_space(name)
        self.environment.remove_container(name)

    async def _run(self, record: ContainerRecord, address: Address, sends_to: Iterable[Address]) -> None:
        program = Path(application.__file__)
        labels = [word for key, value in record.labels.items() for word in ("--label", f"{key}={value}")]
        await self.engine.docker(
            *("run", "--detach", "--restart", "always", "--no-healthcheck", "--name", record.name, *labels),
            *("--network", NETWORK, "--ip", str(address), "--volume", f"{program}:/{program.name}:ro"),
            *(
                "--entrypoint",
                "python3",
                IMAGE,
                f"/{program.name}",
                *(f"{target}@{RATE}" for target in sends_to),
            ),
        )

    # ---- traffic

    async def space(self, name: str) -> Namespace:
        """The network namespace of a container, as Docker made it."""
        if name not in self._spaces:
            pid = await self.engine.pid(name)
            self._spaces[name] = Namespace(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        return self._spaces[name]

    def _forget_space(self, name: str) -> None:
        """Docker makes another one at each start of a container."""
        if name in self._spaces:
            self._spaces.pop(name).close()

    def _forget_spaces(self) -> None:
        for name in tuple(self._spaces):
            self._forget_space(name)

    async def command(self, name: str, words: str = "report") -> dict[str, dict[str, Any]]:
        """Tell an application something; what it has `sent` so far, by target, and what it has `echoed`, by client."""
        loop = asyncio.get_running_loop()
        with (await self.space(name)).socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
            opened.connect(application.COMMANDS)
            async with asyncio.timeout(10):
                await loop.sock_sendall(opened, words.encode())
                report: dict[str, dict[str, Any]] = json.loads(await loop.sock_recv(opened, 1 << 16))
        return report

    async def up(self, name: str) -> bool:
        """Whether Docker runs a container and its application listens."""
        self._forget_space(name)
        try:
            await self.command(name)
        except OSError:
            return False
        return True

    async def send(self, client: str, target: Address, rate: int = RATE) -> None:
        """Have a container send datagrams to an address from now on."""
        await self.command(client, f"send {target} {rate}")

    async def outcomes(self) -> dict[Flow, Outcome]:
        """Probe every pair of containers with every kind."""
        names = [each.name for each in self.running()]
        spaces = {str(self.address(name)): await self.space(name) for name in names}
        flows = [
            Flow(self.address(client), self.address(server), protocol, port)
            for client, server in permutations(names, 2)
            for protocol, port in KINDS
        ]
        return await probe_all(spaces, flows, patience=PROBED)

    def disagreements(self, outcomes: Mapping[Flow, Outcome]) -> list[str]:
        """The outcomes that the reference verdict does not agree with."""
        scene = self.scene()
        return [
            f"{flow}: {outcome}, but {judge(scene, flow).sentence}"
            for flow, outcome in outcomes.items()
            if outcome.passed is not (judge(scene, flow).action is Action.ALLOW)
        ]
