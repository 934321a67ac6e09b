"""`/v1/log`: the end of the agent's log."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from corral.documents.log import Log


class LogView(Protocol):
    """Who remembers the last lines."""

    def log(self) -> Log:
        """The last lines, oldest first."""


def log_routes(view: LogView) -> list[web.RouteDef]:
    """The route that shows them."""

    async def log(_: web.Request) -> web.Response:
        return web.json_response(view.log())

    return [web.get("/v1/log", log)]
