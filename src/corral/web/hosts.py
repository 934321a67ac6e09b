"""`/v1/hosts`: where agents run."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from corral.documents.hosts import Hosts


class HostsView(Protocol):
    async def hosts(self) -> Hosts:
        """All hosts of this environment, and the state of their agents."""


def hosts_routes(view: HostsView) -> list[web.RouteDef]:
    """One route."""

    async def hosts(_: web.Request) -> web.Response:
        return web.json_response(await view.hosts())

    return [web.get("/v1/hosts", hosts)]
