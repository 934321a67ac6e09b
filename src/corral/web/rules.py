"""`/v1/rules`: what each rule decided."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from corral.documents.rules import Rules


class RulesView(Protocol):
    """Raises CorralError with a text for the operator."""

    async def rules(self) -> Rules:
        """What each rule and the default action decided, and when last."""


def rules_routes(view: RulesView) -> list[web.RouteDef]:
    """The one of a view."""

    async def rules(_: web.Request) -> web.Response:
        return web.json_response(await view.rules())

    return [web.get("/v1/rules", rules)]
