from __future__ import annotations

import asyncio
import base64
import http
import json
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from corral import slices
from corral.errors import RefusedError, UnreachableError
from corral.sources.backoff import Backoff
from corral.sources.credentials import Credentials
from corral.sources.events import Changed, Connected, Disconnected, EventItem, EventSource, EventTiming, read_event
from corral.types import Problem
from corral.wire.directory import Reference
from corral.wire.events import Event, Kind, event_of
from corral.wire.resources import PlainContainer
from tests.sources.servers import PING, Events, change, sends
from tests.wire.documents import Json

FAST = EventTiming(open=5, silence=5, close=0.1)


def changed(message: object) -> Changed:
    event = event_of(message)
    assert isinstance(event, Event)
    read = read_event(json.dumps(message).encode())
    assert isinstance(read, Event)
    assert read[:3] == event[:3]
    return Changed(read)


class Follower:
    def __init__(self, url: str, **options: Any) -> None:
        self.source = EventSource(
            Credentials.of(url, "access", "sesame"),
            timing=options.pop("timing", FAST),
            backoff=options.pop("backoff", Backoff(first=0.001, limit=0.002)),
            refused=options.pop("refused", Backoff(first=0.001, limit=0.002)),
            **options,
        )
        self.items = self.source.messages()

    async def next(self) -> EventItem:
        async with asyncio.timeout(20):
            return await anext(self.items)

    async def take(self, count: int) -> list[EventItem]:
        return [await self.next() for _ in range(count)]

    async def error(self) -> UnreachableError:
        """The reason of the next disconnection."""
        while True:
            item = await self.next()
            if isinstance(item, Disconnected):
                return item.error


@asynccontextmanager
async def following(events: Events, **options: Any) -> AsyncIterator[Follower]:
    async with events.serve() as url:
        follower = Follower(url, **options)
        async with aclosing(follower.items):
            yield follower


async def test_what_changed_comes_in_order() -> None:
    messages = [change("1i1"), change("1i2"), {"name": "ping"}, {"name": "other"}, change("1i3")]
    async with following(Events([sends(*messages)])) as follower:
        assert await follower.take(4) == [Connected(), *(changed(message) for message in messages if len(message) > 1)]
        assert follower.source.status.connected
        assert follower.source.status.age() is not None


def at(time: object, resource_id: str = "1i1", **fields: object) -> Json:
    return {**change(resource_id, **fields), "time": time}


@pytest.mark.parametrize("taken", [False, True])
async def test_what_is_out_of_date_is_left_out(taken: bool) -> None:
    """Whether the newer message is still pending or not."""
    go_on = asyncio.Event()

    async def newer_first(connection: ServerConnection) -> None:
        await connection.send(PING)
        await connection.send(json.dumps(at(2, state="removed")))
        if taken:
            await go_on.wait()
        for message in (at(1), at(1) | {"data": None}, at(1) | {"resourceType": "instance"}, at(1, "1i2")):
            await connection.send(json.dumps(message))
        await connection.wait_closed()

    async with following(Events([newer_first])) as follower:
        assert await follower.take(2) == [Connected(), changed(at(2, state="removed"))]
        go_on.set()
        assert await follower.next() == changed(at(1, "1i2"))


async def test_a_server_whose_clock_was_set_back_is_listened_to() -> None:
    async def tells_and_leaves(connection: ServerConnection) -> None:
        await connection.send(PING)
        await connection.send(json.dumps(at(2)))

    async with following(Events([tells_and_leaves, sends(at(1))])) as follower:
        assert await follower.take(2) == [Connected(), changed(at(2))]
        assert isinstance(await follower.next(), Disconnected)
        assert await follower.take(2) == [Connected(), changed(at(1))]


async def test_a_hint_outdates_what_came_before() -> None:
    hint = at(2) | {"data": None}
    async with following(Events([sends(hint, at(1), at(1, "1i2"))])) as follower:
        assert await follower.take(3) == [Connected(), changed(hint), changed(at(1, "1i2"))]


@pytest.mark.parametrize("system", [False, "false"], ids=["quickly", "tolerantly"])
def test_a_message_is_read(system: object) -> None:
    event = read_event(json.dumps(change("1i1", system=system)).encode())
    assert isinstance(event, Event)
    assert event[:3] == (Kind.CHANGE, Reference("containers", "1i1"), None)
    assert isinstance(event.resource, dict if system else PlainContainer)


async def test_the_request() -> None:
    events = Events([sends()])
    async with following(events) as follower:
        await follower.next()
    (request,) = events.requests
    assert request.path == "/v2-beta/subscribe?eventNames=resource.change"
    assert base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")) == b"access:sesame"


async def leaves_at_once(connection: ServerConnection) -> None:
    await connection.close()


async def resets(connection: ServerConnection) -> None:
    await connection.send(PING)
    connection.transport.abort()


@pytest.mark.parametrize("end", [leaves_at_once, resets, sends(stay=False)], ids=["close", "reset", "later"])
async def test_a_connection_that_ends_is_opened_again(end: Any) -> None:
    async with following(Events([end, sends(change("1i1"))])) as follower:
        assert "connection was closed" in str(await follower.error())
        assert not follower.source.status.connected
        assert await follower.take(2) == [Connected(), changed(change("1i1"))]


@pytest.mark.parametrize("name", ["logout", "disconnect"])
async def test_a_session_that_the_server_ends(name: str) -> None:
    async with following(Events([sends({"name": name}), sends()])) as follower:
        assert "ended the session" in str(await follower.error())
        assert await follower.next() == Connected()


async def test_silence_is_a_dead_connection() -> None:
    """The socket stays open and even answers pings of the protocol: only Rancher's own messages count."""
    timing = EventTiming(silence=0.2, close=0.1)
    async with following(Events([sends()]), timing=timing) as follower:
        assert "no event and no ping for 0.2 s" in str(await follower.error())
        assert await follower.next() == Connected()


async def test_a_server_that_never_says_anything_is_not_connected() -> None:
    async def silent(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with following(Events([silent]), timing=EventTiming(silence=0.05, close=0.1)) as follower:
        for item in await follower.take(3):
            assert isinstance(item, Disconnected)
        assert follower.source.status.last_success is None


class RecordingBackoff(Backoff):
    """Records the delays that it tells."""

    def __init__(self, rng: Any) -> None:
        super().__init__(first=0.001, limit=0.004, healthy_after=60, rng=rng)
        self.delays: list[float] = []

    def next_delay(self) -> float:
        self.delays.append(super().next_delay())
        return self.delays[-1]


async def test_accept_and_drop_is_no_hot_loop() -> None:
    """Sessions that work for a moment do not earn the first delay back."""
    backoff = RecordingBackoff(lambda: 1.0)
    events = Events([sends(stay=False)])
    async with following(events, backoff=backoff) as follower:
        for _ in range(4):
            await follower.error()
    assert backoff.delays[:4] == [0.001, 0.002, 0.004, 0.004]
    assert len(events.requests) <= len(backoff.delays) + 1


@pytest.mark.parametrize("status", [401, 403])
async def test_bad_credentials_are_told_and_have_delays_of_their_own(status: int) -> None:
    answers = [Response(status, "no", Headers())]
    events = Events([sends()], refuse=lambda _: answers.pop() if answers else None)
    backoff, refused = RecordingBackoff(lambda: 1.0), RecordingBackoff(lambda: 1.0)
    async with following(events, backoff=backoff, refused=refused) as follower:
        error = await follower.error()
        assert isinstance(error, RefusedError)
        assert str(status) in str(error)
        assert await follower.next() == Connected()
    assert (backoff.delays, refused.delays) == ([], [0.001])


async def test_an_error_of_the_server_is_retried() -> None:
    answers = [Response(status, "no", Headers()) for status in (500, 404)]
    events = Events([sends()], refuse=lambda _: answers.pop() if answers else None)
    async with following(events) as follower:
        assert "status 404" in str(await follower.error())
        assert "status 500" in str(await follower.error())
        assert await follower.next() == Connected()


async def test_a_large_message_does_not_end_the_session() -> None:
    large = change("1i1", description="x" * (5 << 20))
    async with following(Events([sends(large, change("1i2"))])) as follower:
        connected, *changes = await follower.take(3)
    assert connected == Connected()
    assert changes == [changed(large), changed(change("1i2"))]


async def test_a_message_beyond_the_bound_ends_it() -> None:
    async with following(Events([sends("x" * 2000), sends()]), size_limit=1000) as follower:
        assert "1009" in str(await follower.error())
        assert await follower.next() == Connected()


@pytest.mark.parametrize("text", ["{", "", b"\xff\xfe", "[1]", "5", "nonsense" * 100])
async def test_nonsense_is_a_problem_and_nothing_else(text: str | bytes) -> None:
    async with following(Events([sends(text, change("1i1"))])) as follower:
        connected, problem, last = await follower.take(3)
    assert (connected, last) == (Connected(), changed(change("1i1")))
    assert isinstance(problem, Problem)
    assert problem.where == "event"
    assert "given" in problem.message


async def test_a_slow_consumer_keeps_nobody_waiting() -> None:
    """A thousand messages are read while the consumer does something else; the last one of each resource counts."""
    read = asyncio.Event()

    async def bursts(connection: ServerConnection) -> None:
        await connection.send(PING)
        for number in range(1000):
            await connection.send(json.dumps(change(f"1i{number % 10}", name=str(number))))
        # Answered only once the client has received all that came before.
        await (await connection.ping())
        read.set()
        await connection.wait_closed()

    async with following(Events([bursts])) as follower:
        assert await follower.next() == Connected()
        async with asyncio.timeout(20):
            await read.wait()
        for _ in range(2000):  # more turns than there are messages: the reader takes them all
            await asyncio.sleep(0)
        items = await follower.take(10)
    assert items == [changed(change(f"1i{number % 10}", name=str(number))) for number in range(990, 1000)]


async def test_the_reader_gives_way_in_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no time at all allowed for one turn, the consumer sees what would coalesce otherwise."""
    monkeypatch.setattr(slices, "SLICE", 0.0)
    messages = [change("1i1", name=str(number)) for number in range(100)]
    items: list[EventItem] = []
    async with following(Events([sends(*messages, change("1i2"))])) as follower:
        while not items or items[-1] != changed(change("1i2")):
            items.append(await follower.next())
    assert items[:-1] == [Connected(), *map(changed, messages)]


async def test_a_late_consumer_learns_the_last_state_last() -> None:
    """Three sessions came and went before anything was taken."""
    third = asyncio.Event()

    async def last(connection: ServerConnection) -> None:
        await connection.send(PING)
        await (await connection.ping())
        third.set()
        await connection.wait_closed()

    ends = [sends(change(f"1i{number}"), stay=False) for number in range(3)]
    async with following(Events([*ends, last])) as follower:
        assert await follower.next() == Connected()
        async with asyncio.timeout(20):
            await third.wait()
        *changes, lost, found = await follower.take(5)
    assert changes == [changed(change(f"1i{number}")) for number in range(3)]
    assert isinstance(lost, Disconnected)
    assert found == Connected()


async def test_redirects_stay_on_the_same_origin() -> None:
    elsewhere = Events([sends()])
    async with elsewhere.serve() as other:
        locations = ["/moved", other.replace("http", "ws") + "/stolen"]

        def refuse(_: Request) -> Response | None:
            if not locations:
                return None
            status = http.HTTPStatus.TEMPORARY_REDIRECT
            return Response(status, status.phrase, Headers(Location=locations.pop()))

        events = Events([sends()], refuse=refuse)
        async with following(events) as follower:
            assert "another origin" in str(await follower.error())
            assert await follower.next() == Connected()
    assert elsewhere.requests == []
    assert [request.path for request in events.requests][1:] == [events.requests[0].path, "/moved"]
    assert events.requests[2].headers["Authorization"] == events.requests[0].headers["Authorization"]


async def test_an_unreachable_server() -> None:
    async with Events([sends()]).serve() as url:
        pass
    follower = Follower(url)
    async with aclosing(follower.items):
        assert "refused" in str(await follower.error())
        assert str(await follower.error()) == follower.source.status.last_error


async def test_a_server_that_does_not_answer_the_handshake() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        follower = Follower(f"http://{host}:{port}", timing=EventTiming(open=0.1))
        async with aclosing(follower.items):
            assert "no answer in time" in str(await follower.error())


async def test_secrets_stay_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with following(Events([leaves_at_once])) as follower:
        error = await follower.error()
        encoded = follower.source._credentials.authorization.removeprefix("Basic ")
        shown = caplog.text + str(error) + repr(follower.source) + repr(error.__cause__)
    assert "sesame" not in shown
    assert encoded not in shown


async def test_a_fault_of_our_own_reaches_the_consumer(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> object:
        raise KeyError("a fault")

    monkeypatch.setattr("corral.sources.events.quick_event", broken)
    async with following(Events([sends(change("1i1"))])) as follower:
        assert await follower.next() == Connected()
        with pytest.raises(KeyError, match="a fault"):
            await follower.next()


async def test_closing_leaves_no_task_behind() -> None:
    async with following(Events([sends()])) as follower:
        await follower.next()
        assert "event reader" in {task.get_name() for task in asyncio.all_tasks()}
    assert "event reader" not in {task.get_name() for task in asyncio.all_tasks()}
