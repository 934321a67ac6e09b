"""`/v1/containers`: is it programmed?"""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

import msgspec
from aiohttp import web

from corral.documents.containers import Containers, Programmed
from corral.values import read_duration


class ContainersView(Protocol):
    """Raises CorralError with a text for the operator."""

    def containers(self) -> Containers:
        """All containers of this host that a policy may concern."""

    async def programmed(self, name: str, patience: float) -> Programmed:
        """One of them, after at most so many seconds."""


def containers_routes(view: ContainersView) -> list[web.RouteDef]:
    """`?wait=30s` waits for the container to be programmed, even for one that is not known yet."""

    async def containers(_: web.Request) -> web.Response:
        # A host can have thousands of them, for which the standard library would take everybody's time.
        return web.Response(body=msgspec.json.encode(view.containers()), content_type="application/json")

    async def programmed(request: web.Request) -> web.Response:
        given = request.query.get("wait")
        wait = timedelta() if given is None else read_duration("wait", given)
        return web.json_response(await view.programmed(request.match_info["name"], wait.total_seconds()))

    return [web.get("/v1/containers", containers), web.get("/v1/containers/{name}/programmed", programmed)]
