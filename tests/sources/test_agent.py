"""The commands' side of the health endpoint."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

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


async def streamed(*pieces: bytes, status: int = 200, media_type: str = "text/event-stream") -> list[tuple[str, bytes]]:
    """What the client makes of a stream that arrives in these pieces."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers={"Content-Type": media_type})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        return response

    async with http_server(handle) as url, aclosing(client_of(url).stream("/v1/events", {"kinds": "state"})) as events:
        return [event async for event in events]


async def test_events_arrive_whole_however_they_are_cut() -> None:
    text = b': keep-alive\n\nevent: state\ndata: {"a": 1}\n\ndata: x\n\nevent: late\n\nevent: cut\ndata: off'
    expected = [("state", b'{"a": 1}'), ("message", b"x")]
    assert await streamed(text) == expected
    assert await streamed(*(text[at : at + 3] for at in range(0, len(text), 3))) == expected


async def test_what_is_no_stream_of_events_is_no_agent() -> None:
    with pytest.raises(UnreachableError, match="is no stream of events"):
        await streamed(b"<html>", media_type="text/html")


async def test_an_agent_that_has_no_room_says_so() -> None:
    with pytest.raises(UnreachableError, match="16 readers"):
        await streamed(b'{"error": "16 readers follow already"}', status=503, media_type="application/json")


async def test_an_agent_that_falls_silent_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corral.sources.agent.SILENCE", 0.05)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await asyncio.Event().wait()
        return response

    async with http_server(handle) as url, aclosing(client_of(url).stream("/v1/events")) as events:
        with pytest.raises(UnreachableError, match="no agent answers at"):
            await anext(events)
