"""`/v1/events` over real HTTP: readers that read, that are slow, and that go away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from corral.daemon.hub import EventHub, Subscription
from corral.documents.events import Events
from corral.sources.agent import AgentClient
from corral.web import eventstream
from corral.web.eventstream import events_routes
from corral.web.server import serve

from ..daemon.running import Running, running_agent, until
from ..daemon.test_agent import until_table
from ..daemon.test_denials import address, logged
from ..documents.checking import check


def client_of(running: Running) -> AgentClient:
    host, _, port = running.url.removeprefix("http://").rpartition(":")
    return AgentClient(host, int(port))


async def stream_of(client: AgentClient, query: Mapping[str, str] | None = None) -> AsyncGenerator[tuple[str, bytes]]:
    """What the client is told, while the agent in this loop tells it."""
    events = client.stream("/v1/events", query)
    while (event := await asyncio.to_thread(next, events, None)) is not None:
        yield event


async def first(events: AsyncIterator[tuple[str, bytes]], kind: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        async for name, data in events:
            if name == kind:
                told: dict[str, Any] = json.loads(data)
                check(Events, {kind: told})
                return told
    raise AssertionError("the stream ended")


async def test_what_happens_is_told_as_it_does() -> None:
    async with running_agent() as running, aclosing(stream_of(client_of(running))) as events:
        await until_table(running, 3)
        assert (await first(events, "state"))["status"] in {"starting", "degraded"}
        running.environment.set_policy([], "allow")
        running.publish()
        assert (await first(events, "change"))["policy"] is not None
        desk = running.agent.desk
        running.packet_log.report(logged(address(desk, "back-job-1"), address(desk, "front-db-1")))
        assert (await first(events, "denied"))["client"]["party"] == "back/job"


async def test_only_what_was_asked_for() -> None:
    async with running_agent() as running:
        await until_table(running, 3)
        desk = running.agent.desk
        query = {"kinds": "denied", "server": "front/web"}
        async with aclosing(stream_of(client_of(running), query)) as events:
            reading = asyncio.create_task(first(events, "denied"))
            await until(lambda: running.agent._hub.listening)
            for server in ("front-db-1", "front-web-1"):
                running.packet_log.report(logged(address(desk, "back-job-1"), address(desk, server)))
            assert (await reading)["server"]["party"] == "front/web"


async def test_a_kind_that_there_is_not_is_refused() -> None:
    async with running_agent() as running:
        status, body = await running.get("/v1/events?kinds=state,weather")
        assert (status, json.loads(body)["error"]) == (
            400,
            "kinds: 'weather' given; change, denied, lost, state are allowed",
        )


async def test_head_has_no_stream() -> None:
    async with running_agent() as running:
        assert (await running.get("/v1/events", method="HEAD"))[0] == 200
        assert not running.agent._hub.listening


async def test_there_is_an_end_to_the_readers_and_one_that_goes_makes_room() -> None:
    async with running_agent() as running, aiohttp.ClientSession() as session:
        readers = [await session.get(f"{running.url}/v1/events") for _ in range(16)]
        status, body = await running.get("/v1/events")
        assert status == 503
        assert "16 readers" in json.loads(body)["error"]
        readers[0].close()
        await until(lambda: len(running.agent._hub._subscriptions) == 15)
        async with session.get(f"{running.url}/v1/events") as one_more:
            assert one_more.status == 200
        for reader in readers:
            reader.close()
        await until(lambda: not running.agent._hub.listening)


async def test_the_agent_stops_at_once_while_somebody_listens() -> None:
    loop = asyncio.get_running_loop()
    async with running_agent() as running:
        reading = asyncio.create_task(drained(client_of(running)))
        await until(lambda: running.agent._hub.listening)
        started = loop.time()
        running.agent.stop()
        await running.done
        assert loop.time() - started < 2
        assert await reading == ["state"]


async def drained(client: AgentClient) -> list[str]:
    async with aclosing(stream_of(client)) as events:
        return [kind async for kind, _ in events]


class Hubbed:
    """A view of a hub alone, for readers whose pace a test sets."""

    def __init__(self, queue: int) -> None:
        self.hub = EventHub(queue=queue)

    @contextmanager
    def subscribed(self, kinds: Collection[str], client: str | None, server: str | None) -> Iterator[Subscription]:
        with self.hub.subscribed() as subscription:
            yield subscription


async def streamed(view: Hubbed, read: Callable[[aiohttp.ClientResponse], Any]) -> Any:
    app = web.Application()
    app.add_routes(events_routes(view))
    async with (
        serve(app, "127.0.0.1", 0) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/v1/events") as response,
    ):
        return await read(response)


def events_in(text: bytes) -> list[tuple[str, Mapping[str, Any]]]:
    found = []
    for message in text.split(b"\n\n"):
        lines = message.decode().split("\n")
        if lines[0].startswith("event: "):
            found.append((lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))))
    return found


async def test_a_slow_reader_loses_the_oldest_and_is_told() -> None:
    view = Hubbed(queue=8)
    large = "x" * 100_000  # so that sockets and buffers are full soon

    async def read(response: aiohttp.ClientResponse) -> bytes:
        for number in range(400):
            view.hub.publish("state", {"n": number, "text": large})
            await asyncio.sleep(0)
        view.hub.close()
        return await response.read()

    told = events_in(await streamed(view, read))
    lost = sum(data["events"] for kind, data in told if kind == "lost")
    numbers = [data["n"] for kind, data in told if kind == "state"]
    assert lost > 0
    assert len(numbers) + lost == 400
    assert numbers == sorted(numbers)
    assert numbers[-8:] == list(range(392, 400))


async def test_silence_is_broken_by_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventstream, "_LOOK_EVERY", 0.005)
    monkeypatch.setattr(eventstream, "KEEP_ALIVE", 0.01)
    view = Hubbed(queue=8)

    async def read(response: aiohttp.ClientResponse) -> bytes:
        comments = b""
        while comments.count(b"\n\n") < 2:
            comments += await response.content.readany()
        return comments

    assert (await streamed(view, read)).startswith(b": keep-alive\n\n: keep-alive\n\n")
