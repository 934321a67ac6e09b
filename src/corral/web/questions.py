"""`/v1/explain`, `/v1/names` and `/v1/topology`: may A reach B, and all that the answer depends on."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from corral.documents.explain import Explanation, Names
from corral.errors import UsageError


class QuestionsView(Protocol):
    """Raises CorralError with a text for the operator."""

    async def explain(self, client: str, server: str, port: str | None) -> Explanation:
        """The verdict for a flow, both ways, and the rule that decides it."""

    async def names(self, begin: str) -> Names:
        """Of services and containers."""

    async def topology(self) -> bytes:
        """The topology document, JSON already: it can be large."""


def questions_routes(view: QuestionsView) -> list[web.RouteDef]:
    """Those of a view."""

    async def explain(request: web.Request) -> web.Response:
        query = request.query
        missing = [name for name in ("client", "server") if not query.get(name)]
        if missing:
            raise UsageError(f"{' and '.join(missing)} missing; /v1/explain?client=…&server=…&port=80/tcp is allowed")
        return web.json_response(await view.explain(query["client"], query["server"], query.get("port")))

    async def names(request: web.Request) -> web.Response:
        return web.json_response(await view.names(request.query.get("begin", "")))

    async def topology(_: web.Request) -> web.Response:
        return web.Response(body=await view.topology(), content_type="application/json")

    return [web.get("/v1/explain", explain), web.get("/v1/names", names), web.get("/v1/topology", topology)]
