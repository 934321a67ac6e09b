"""`/v1/connections`: what is asked of the view."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from corral.documents.connections import Connections
from corral.errors import UsageError
from corral.web.connections import connections_routes


class View:
    def __init__(self) -> None:
        self.asked: list[bool] = []

    async def connections(self, *, differing: bool) -> Connections:
        self.asked.append(differing)
        return {"host": "host1", "mode": "off", "policy": "", "entries": 0, "truncated": False, "connections": []}


@pytest.mark.parametrize(("query", "differing"), [("", False), ("?differ=false", False), ("?differ=true", True)])
async def test_the_view_is_asked_for_all_or_for_what_differs(query: str, differing: bool) -> None:
    view, app = View(), web.Application()
    app.add_routes(connections_routes(view))
    async with TestClient(TestServer(app)) as client, client.get(f"/v1/connections{query}") as response:
        assert (await response.json())["host"] == "host1"
    assert view.asked == [differing]


async def test_anything_else_is_wrong_usage() -> None:
    seen: list[str] = []

    @web.middleware
    async def catch(request: web.Request, handler: object) -> web.StreamResponse:
        try:
            return await handler(request)  # type: ignore[operator,no-any-return]
        except UsageError as error:
            seen.append(str(error))
            return web.Response()

    app = web.Application(middlewares=[catch])
    app.add_routes(connections_routes(View()))
    async with TestClient(TestServer(app)) as client, client.get("/v1/connections?differ=perhaps"):
        pass
    assert seen == ["differ: 'perhaps' given; true or false is allowed"]
