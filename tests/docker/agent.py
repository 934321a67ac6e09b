"""The agent as the stack file starts it, with what Rancher adds: the credentials, and the tag of the image."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from corral.errors import UnreachableError
from corral.sandbox.agents import LISTEN
from corral.sandbox.exchange import Answer, request
from corral.sandbox.world import in_force

from .engine import DATA, IMAGE, ROOT
from .place import Place
from .waiting import until

STACK_FILE = ROOT / "docker-compose.yml"
SIDEKICK_FILE = ROOT / "docker" / "sidekick" / "docker-compose.yml"
SERVICE = "corral"
PROJECT = "network-policy"
PATIENCE = 60.0


class Agent:
    """One host's agent in its container. Rancher's part of starting and stopping it is done by docker-compose."""

    def __init__(self, place: Place, *, project: str = PROJECT, image: str = IMAGE, file: Path = STACK_FILE) -> None:
        self.place = place
        self.engine = place.engine
        self.image = image
        self._project = project
        self._file = file

    async def up(self) -> None:
        """Start it; where one of this project runs from another image, this one takes its place."""
        rancher = self.place.rancher
        credentials = {
            "CATTLE_URL": rancher.url,
            "CATTLE_ACCESS_KEY": rancher.access_key,
            "CATTLE_SECRET_KEY": rancher.secret_key,
        }
        services: dict[str, object] = {SERVICE: {"environment": credentials}}
        if self._file == SIDEKICK_FILE:  # the service that it goes with is another stack's
            services["network-manager"] = {"image": self.image}
        self._added.write_text(json.dumps({"version": "2", "services": services}))
        await self.compose("up", "--detach", SERVICE)

    async def start(self) -> None:
        """Have its container run, if it does not."""
        await self.engine.docker("start", await self.container())

    async def compose(self, *arguments: str) -> str:
        """docker-compose, with the stack file and what Rancher adds."""
        files = ("--file", str(self._file), "--file", str(self._added))
        command = ("docker-compose", "--project-name", self._project, *files, *arguments)
        return await self.engine.run(*command, variables={"CORRAL_IMAGE": self.image})

    @property
    def _added(self) -> Path:
        return DATA / "added-by-rancher.json"

    async def container(self) -> str:
        """The id of its container, running or not."""
        return (await self.compose("ps", "--quiet", SERVICE)).strip()

    async def restarts(self) -> int:
        """How often Docker has started it again by itself."""
        return int((await self.engine.inspect(await self.container()))["RestartCount"])

    async def get(self, path: str) -> Answer:
        """Ask its health endpoint, on the host's loopback. Raises UnreachableError."""
        return await request(self.place.host, f"http://{LISTEN}{path}")

    async def state(self) -> dict[str, Any]:
        """What it knows, enforces and waits for."""
        state: dict[str, Any] = (await self.get("/v1/state")).json()
        return state

    async def enforced(self) -> dict[str, Any]:
        """Wait until it enforces the present policy for all endpoints; its state then."""
        scene = self.place.scene()
        return await self.until(lambda state: in_force(scene, state))

    async def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until its state is as wished. Raises AssertionError with what it says instead."""
        last: Any = None

        async def held() -> bool:
            nonlocal last
            try:
                last = await self.state()
            except UnreachableError as error:
                last = error
                return False
            return holds(last)

        try:
            await until(held, PATIENCE)
        except TimeoutError:
            raise AssertionError(f"after {PATIENCE:g} s the agent says {last}") from None
        state: dict[str, Any] = last
        return state
