"""The commands' side of the health endpoint."""

from __future__ import annotations

import pytest
from aiohttp import web

from corral.errors import UnreachableError, UsageError
from corral.sources.agent import AgentClient

from .servers import http_server


def client_of(url: str) -> AgentClient:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return AgentClient(host, int(port))


@pytest.mark.parametrize("status", [200, 503])
async def test_an_agent_answers_well_or_ready_or_not(status: int) -> None:
    async def handle(request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, text=f"{request.path_qs}")

    async with http_server(handle) as url:
        answer = await client_of(url).get("/v1/explain", {"client": "a/b"})
    assert (answer.status, answer.body) == (status, b"/v1/explain?client=a/b")


async def test_a_bad_question_is_the_users_fault() -> None:
    async def handle(_: web.BaseRequest) -> web.Response:
        return web.json_response({"error": "no endpoint is called 'x'"}, status=400)

    async with http_server(handle) as url:
        with pytest.raises(UsageError, match=r"^no endpoint is called 'x'$"):
            await client_of(url).get("/v1/explain")


async def test_something_else_on_the_port_is_no_agent() -> None:
    async def handle(_: web.BaseRequest) -> web.Response:
        return web.Response(status=404)

    async with http_server(handle) as url:
        with pytest.raises(UnreachableError, match="answers 404"):
            await client_of(url).get("/v1/state")


async def test_nobody_listens() -> None:
    async def handle(_: web.BaseRequest) -> web.Response:
        return web.Response()

    async with http_server(handle) as url:
        gone = client_of(url)
    with pytest.raises(UnreachableError, match="no agent answers at"):
        await gone.get("/v1/state")


@pytest.mark.parametrize("host", ["a..b", "a" * 70, "#"])
async def test_a_host_that_is_no_name_is_the_users_fault(host: str) -> None:
    with pytest.raises(UsageError, match="the address is not valid"):
        await AgentClient(host, 80).get("/v1/state")
