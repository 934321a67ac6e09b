"""An agent in this process: a real metadata service to follow, a table in memory, its health endpoint on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from msgspec.json import encode

from corral.config import load_settings
from corral.daemon.agent import Agent
from corral.daemon.desk import Desk
from corral.daemon.facts import Facts
from corral.dataplane.fake import FakeDataplane, FakeFlowLog
from corral.model.entities import Snapshot
from corral.nft.tracker import Tracker
from corral.sandbox.documents import render_root
from corral.sandbox.environment import Environment
from corral.wire.metadata import SnapshotDecoder

from ..sources.servers import Metadata, http_server

Holds = Callable[[], bool | Awaitable[bool]]

WITHIN_STACK = [{"within": "stack", "action": "allow"}]


async def until(holds: Holds, patience: float = 10.0) -> None:
    """Let the other tasks run until something holds. Raises TimeoutError."""
    async with asyncio.timeout(patience):
        while True:
            held = holds()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0)


def small_environment() -> Environment:
    """Stack `front` with `web` and `db`, stack `back` with `job`, one container each, all on the first host."""
    environment = Environment(hosts=1)
    for path in ("front/web", "front/db", "back/job"):
        stack, _, _ = path.partition("/")
        if path != "front/db":
            environment.add_stack(stack)
        environment.add_service(path)
        container = environment.create_container(path)
        environment.set_running(container.name, environment.allocate_address(0))
    environment.set_policy(WITHIN_STACK, "deny")
    return environment


def snapshot_of(environment: Environment) -> Snapshot:
    return SnapshotDecoder().decode(encode(render_root(environment.records, environment.host(0))))


def desk_of(environment: Environment) -> Desk:
    desk = Desk(Tracker(), Facts(), unknown_allowed=False)
    desk.load(snapshot_of(environment), 0.0)
    return desk


@dataclass
class Running:
    environment: Environment
    metadata: Metadata
    dataplane: FakeDataplane
    packet_log: FakeFlowLog
    agent: Agent
    url: str
    done: asyncio.Task[None]

    def publish(self) -> None:
        """The metadata service catches up with the environment."""
        self.metadata.publish(**render_root(self.environment.records, self.environment.host(0)))

    async def get(self, path: str, *, method: str = "GET", host: str | None = None) -> tuple[int, str]:
        headers = {"Host": host} if host else {}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.url + path, headers=headers) as response,
        ):
            return response.status, await response.text()


@asynccontextmanager
async def running_agent(dataplane: FakeDataplane | None = None, **settings: str) -> AsyncIterator[Running]:
    """An agent, over the table that an earlier one may have left."""
    environment, metadata = small_environment(), Metadata()
    dataplane, packet_log = dataplane or FakeDataplane(), FakeFlowLog()
    async with http_server(metadata.handle) as url:
        metadata.publish(**render_root(environment.records, environment.host(0)))
        variables = {"CORRAL_METADATA_URL": f"{url}/2016-07-29", "CORRAL_LISTEN": "127.0.0.1:0", **settings}
        listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        agent = Agent(load_settings(variables), dataplane, packet_log, started=listening.set_result)
        done = asyncio.create_task(agent.run())
        await asyncio.wait((done, listening), return_when=asyncio.FIRST_COMPLETED)
        if done.done():
            await done
        try:
            port = await listening
            running = Running(environment, metadata, dataplane, packet_log, agent, f"http://127.0.0.1:{port}", done)
            yield running
        finally:
            agent.stop()
            await done
