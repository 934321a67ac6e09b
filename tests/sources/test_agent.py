"""The commands' side of the health endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from corral.errors import UnreachableError, UsageError
from corral.sources.agent import AgentClient, Answer

from .servers import http_server


def client_of(url: str) -> AgentClient:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return AgentClient(host, int(port))


async def asked(url: str, path: str, query: Mapping[str, str] | None = None) -> Answer:
    return await asyncio.to_thread(client_of(url).get, path, query)


@pytest.mark.parametrize("status", [200, 503])
async def test_an_agent_answers_well_or_ready_or_not(status: int) -> None:
    async def handle(request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, text=f"{request.path} {dict(request.query)}")

    async with http_server(handle) as url:
        answer = await asked(url, "/v1/explain", {"client": "a/b &c=d"})
    assert (answer.status, answer.media_type) == (status, "text/plain")
    assert answer.body == b"/v1/explain {'client': 'a/b &c=d'}"


async def test_a_bad_question_is_the_users_fault() -> None:
    async def handle(_: web.BaseRequest) -> web.Response:
        return web.json_response({"error": "no endpoint is called 'x'"}, status=400)

    async with http_server(handle) as url:
        with pytest.raises(UsageError, match=r"^no endpoint is called 'x'$"):
            await asked(url, "/v1/explain")


async def test_something_else_on_the_port_is_no_agent() -> None:
    async def handle(_: web.BaseRequest) -> web.Response:
        return web.Response(status=404)

    async with http_server(handle) as url:
        with pytest.raises(UnreachableError, match="answers 404"):
            await asked(url, "/v1/state")


async def test_nobody_listens() -> None:
    async def handle(_: web.BaseRequest) -> web.Response:
        return web.Response()

    async with http_server(handle) as url:
        gone = client_of(url)
    with pytest.raises(UnreachableError, match=r"^no agent answers at http://127.0.0.1:\d+: Connection refused$"):
        gone.get("/v1/state")


@pytest.mark.parametrize("host", ["a..b", "a" * 70, "#", "a/b", "a b", "a\n", ""])
def test_a_host_that_is_no_name_is_the_users_fault(host: str) -> None:
    with pytest.raises(UsageError, match="the address is not valid"):
        AgentClient(host, 80).get("/v1/state")


@asynccontextmanager
async def talker(*pieces: bytes, endless: bytes = b"") -> AsyncIterator[AgentClient]:
    """A client of a server that says this to whoever connects, and ends or goes on for ever."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.writelines(pieces)
            while endless:
                writer.write(endless)
                await writer.drain()
                await asyncio.sleep(0)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield AgentClient("127.0.0.1", port, timeout=0.1 if endless else 10)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ((HEAD, b"Content-Length: 9\r\n\r\n{"), "the answer is cut off"),
        ((HEAD, b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"), "the answer is cut off"),
        ((b"SSH-2.0-OpenSSH_9.2\r\n",), "does not speak HTTP"),
        ((), "Remote end closed connection without response"),
    ],
)
async def test_what_is_no_whole_answer_is_none(said: tuple[bytes, ...], sentence: str) -> None:
    async with talker(*said) as client:
        with pytest.raises(UnreachableError, match=f"no agent answers at .*: .*({sentence})"):
            await asyncio.to_thread(client.get, "/v1/state")


@pytest.mark.parametrize(
    ("said", "endless"),
    [((b"HTTP/1.1 200 OK\r\nX: ",), b"x"), ((HEAD, b"Content-Length: 99999999\r\n\r\n"), b" ")],
    ids=["head", "body"],
)
async def test_who_never_ends_is_not_listened_to_for_ever(said: tuple[bytes, ...], endless: bytes) -> None:
    async with talker(*said, endless=endless) as client:
        with pytest.raises(UnreachableError, match=r"timed out|does not speak HTTP"):
            await asyncio.to_thread(client.get, "/v1/state")


@pytest.mark.parametrize("announced", [True, False])
async def test_an_answer_that_is_too_large_is_not_taken(monkeypatch: pytest.MonkeyPatch, announced: bool) -> None:
    monkeypatch.setattr("corral.sources.agent.LARGEST", 10)
    length = b"Content-Length: 11\r\n" if announced else b""
    async with talker(HEAD, length, b"\r\n", b"x" * 11) as client:
        with pytest.raises(UnreachableError, match="larger than the allowed 10 bytes"):
            await asyncio.to_thread(client.get, "/v1/state")


async def test_an_event_that_is_too_large_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corral.sources.agent.LARGEST_EVENT", 10)
    with pytest.raises(UnreachableError, match="larger than the allowed 10 bytes"):
        await streamed(b"data: 456789X")


async def streamed(*pieces: bytes, status: int = 200, media_type: str = "text/event-stream") -> list[tuple[str, bytes]]:
    """What the client makes of a stream that arrives in these pieces."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers={"Content-Type": media_type})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        return response

    async with http_server(handle) as url:
        events = client_of(url).stream("/v1/events", {"kinds": "state"})
        return await asyncio.to_thread(list, events)


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

    async with http_server(handle) as url:
        events = client_of(url).stream("/v1/events")
        with pytest.raises(UnreachableError, match=r"no agent answers at .*: timed out"):
            await asyncio.to_thread(next, events)
