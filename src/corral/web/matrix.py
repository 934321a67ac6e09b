"""`/v1/matrix` and `/v1/warnings`: who may talk to whom, and what in the policy is probably not meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from corral.documents.matrix import WarningsDocument


class MatrixView(Protocol):
    """Raises CorralError with a text for the operator."""

    async def matrix(self, stacks: Sequence[str]) -> bytes:
        """The JSON of a MatrixDocument; of the parties in these stacks, if any are named."""

    async def warnings(self) -> WarningsDocument:
        """About the policy in force."""


def matrix_routes(view: MatrixView) -> list[web.RouteDef]:
    """`?stack=NAME`, any number of times, asks for these stacks only; `?stack=` for what is in none."""

    async def matrix(request: web.Request) -> web.Response:
        body = await view.matrix(request.query.getall("stack", []))
        return web.Response(body=body, content_type="application/json", charset="utf-8")

    async def warnings(_: web.Request) -> web.Response:
        return web.json_response(await view.warnings())

    return [web.get("/v1/matrix", matrix), web.get("/v1/warnings", warnings)]
