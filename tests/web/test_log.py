"""The end of the log over real HTTP."""

from __future__ import annotations

import json

import aiohttp
from aiohttp import web

from corral.documents.log import Log
from corral.web.log import log_routes
from corral.web.server import serve


class OneLine:
    def log(self) -> Log:
        return {"level": "info", "lines": [{"at": "x", "level": "info", "event": "started", "details": {"pid": 1}}]}


async def test_the_lines_are_shown() -> None:
    app = web.Application()
    app.router.add_routes(log_routes(OneLine()))
    async with (
        serve(app, "127.0.0.1", 0) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/v1/log") as response,
    ):
        assert response.status == 200
        assert json.loads(await response.text()) == OneLine().log()
