"""Whatever Rancher does wrong: the last good state is kept, the agent says what is wrong, and is back soon after."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import pairwise
from typing import Any

from aiohttp import web

from corral.daemon.facts import NOTHING_LOADED
from corral.sandbox.documents import NEWEST, render_root
from corral.sandbox.metadata_server import Handler
from corral.sandbox.world import Sandbox

from .places import ENFORCED, nft, one_host, reasons, verdicts, without_counts

# Seconds within which the agent is back once a fault is cured, as promised.
RECOVERY = 2.0
QUIET = 30.0
Action = Callable[[], object]


def answers(body: bytes, status: int = 200, content_type: str = "application/json") -> Handler:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status, content_type=content_type)

    return handle


def for_the_document(handle: Handler) -> Handler:
    """The version is new at each question, so that the document is read at once, and that is what fails."""

    async def chosen(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/version"):
            return web.json_response(f"v{time.monotonic()}")
        return await handle(request)

    return chosen


async def truncated(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100000"})
    await response.prepare(request)
    await response.write(b'{"containers": [{"uuid": "a", ')
    assert request.transport is not None
    request.transport.close()
    return response


def wrong_types(root: dict[str, Any]) -> bytes:
    """Nonsense among everything that is right, and in what nobody asks for."""
    junk: list[object] = [
        None,
        7,
        "x",
        [],
        {},
        {"uuid": []},
        {"uuid": "u", "labels": 5, "primary_ip": {}, "links": "x"},
    ]
    sections = ("containers", "services", "stacks", "hosts", "networks")
    odd = {name: [*junk, *root[name], *junk] for name in sections}
    return json.dumps({**root, **odd, "environments": 5, "new": 1}).encode()


def grown(root: dict[str, Any], factor: int) -> bytes:
    """Many times as large: stopped containers of other hosts, without an address."""
    (pattern, *_) = root["containers"]
    others = (
        {**pattern, "uuid": f"other-{n}", "name": f"other-{n}", "primary_ip": None, "ips": [], "state": "stopped"}
        for n in range(factor * len(root["containers"]))
    )
    return json.dumps({**root, "containers": [*root["containers"], *others]}).encode()


class Watched:
    """A sandbox of one host with its agent, and how long it took to be back after each fault."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.agent = sandbox.agents[0]
        self.metadata = sandbox.metadata[0]
        self.recoveries: dict[str, float] = {}

    async def table(self) -> list[str]:
        return without_counts(await nft(self.sandbox, "list", "table", "inet", "corral"))

    async def says(self, *parts: str, patience: float = 10.0) -> str:
        """Wait for a reason with all these parts; the reason."""
        found: list[str] = []

        def holds(state: dict[str, Any]) -> bool:
            found[:] = [reason for reason in state["reasons"] if all(part in reason for part in parts)]
            return bool(found)

        await self.sandbox._until(holds, patience)
        return found[0]

    async def recovers(self, name: str, cure: Action) -> None:
        """Cure a fault, and see that nothing is left of it in time."""
        cured = cure()
        if isinstance(cured, Awaitable):
            await cured
        started = time.monotonic()
        await self.sandbox.enforced()
        self.recoveries[name] = time.monotonic() - started
        assert self.recoveries[name] < RECOVERY, (name, self.recoveries)

    async def reconnects(self, name: str, fault: Action) -> None:
        """End the stream in some way that is over at once, and see the agent come back."""
        (old,) = self.sandbox.rancher.subscribers
        started = time.monotonic()
        ended = fault()
        if isinstance(ended, Awaitable):
            await ended
        await self.sandbox._until(
            lambda state: old not in self.sandbox.rancher.subscribers and state["sources"]["events"]["connected"], 10.0
        )
        await self.sandbox.enforced()
        self.recoveries[name] = time.monotonic() - started
        assert self.recoveries[name] < RECOVERY, (name, self.recoveries)

    def log(self) -> Iterator[dict[str, Any]]:
        for line in self.agent.log(1 << 24).splitlines():
            yield json.loads(line)

    def check_log(self) -> None:
        """One line for one cause in 30 s, and no fault of our own."""
        times = defaultdict(list)
        for line in self.log():
            assert line["level"] in {"debug", "info", "warning"}, line
            if line["event"] in {"not in order", "in order again"}:
                times[line["reason"].partition(":")[0]].append(datetime.fromisoformat(line["timestamp"]).timestamp())
        for cause, said in times.items():
            assert all(later - earlier >= QUIET for earlier, later in pairwise(said)), (cause, said)


@asynccontextmanager
async def watched(**options: Any) -> AsyncIterator[Watched]:
    async with Sandbox(one_host(), **options) as sandbox:
        await sandbox.enforced()
        await sandbox._until(lambda state: state["sources"]["events"]["connected"], 10.0)
        watched = Watched(sandbox)
        before = await watched.table()
        yield watched
        assert await watched.table() == before
        assert await verdicts(sandbox) == ENFORCED
        watched.check_log()
        print({name: round(seconds, 2) for name, seconds in watched.recoveries.items()})  # noqa: T201 - with a failure


def failing(root: bytes) -> dict[str, tuple[Handler, str]]:
    """What each fault answers, and what the agent says of it."""
    return {
        "status 500": (answers(b"oops", 500), "answers with status 500"),
        "404": (answers(b"Not found", 404), "answers with status 404"),
        "HTML": (for_the_document(answers(b"<html>", content_type="text/html")), "no JSON"),
        "cut off": (for_the_document(truncated), "cut off"),
        "truncated": (for_the_document(answers(root[:-1000])), "no JSON"),
    }


async def test_metadata_that_fails_is_told_the_last_good_state_kept_and_the_service_followed_again() -> None:
    async with watched(lag=0.05) as watched_agent:
        metadata, agent = watched_agent.metadata, watched_agent.agent
        kept = await watched_agent.table()
        root = json.dumps(render_root(watched_agent.sandbox.environment.records, metadata._host, NEWEST)).encode()

        def cure() -> None:
            metadata.fault = None

        for name, (fault, said) in failing(root).items():
            metadata.fault = fault
            metadata.publish()
            reason = await watched_agent.says("metadata service: ", said)
            assert " UTC (" in reason
            assert "look after the metadata service" in reason
            assert (await reasons(agent))[0] == 503
            assert await watched_agent.table() == kept, name
            await watched_agent.recovers(name, cure)

        await metadata.stop()
        await watched_agent.says("metadata service: ", "refused")
        await watched_agent.recovers("refused", metadata.start)


async def test_metadata_that_has_no_data_yet_when_the_agent_starts() -> None:
    async with watched(lag=0.05) as watched_agent:
        metadata, agent = watched_agent.metadata, watched_agent.agent
        await agent.stop()
        metadata.forget()
        agent.start()
        said = await watched_agent.says("waiting for the first answer")
        assert said == NOTHING_LOADED.sentence()
        await watched_agent.says("metadata service: ", "answers with status 404", " UTC (")
        assert (await reasons(agent))[0] == 503
        assert await verdicts(watched_agent.sandbox) == ENFORCED
        await watched_agent.recovers("404 at boot", metadata.publish)


async def test_metadata_that_is_odd_but_right_where_it_counts_changes_nothing() -> None:
    async with watched(lag=0.05) as watched_agent:
        metadata, agent, sandbox = watched_agent.metadata, watched_agent.agent, watched_agent.sandbox
        root = render_root(sandbox.environment.records, metadata._host, NEWEST)
        commits = (await agent.state())["kernel"]["commits"]

        metadata.fault = for_the_document(answers(wrong_types(root)))
        metadata.publish()
        await watched_agent.says("more problems of the inventory")
        status, said = await reasons(agent)
        assert (status, len(said)) == (200, 21)
        metadata.fault = None
        await watched_agent.recovers("wrong types", metadata.publish)

        metadata.fault = for_the_document(answers(grown(root, 100)))
        metadata.publish()
        await sandbox._until(lambda state: state["inventory"]["containers"] > 100 * len(root["containers"]), 10.0)
        assert await reasons(agent) == (200, [])
        metadata.fault = None
        await watched_agent.recovers("many times larger", metadata.publish)

        for _ in range(3):
            metadata.publish()
            await sandbox._until(lambda _: metadata.polled == metadata.version, 10.0)
        assert (await agent.state())["kernel"]["commits"] == commits


async def test_metadata_that_trickles_holds_up_nothing() -> None:
    async with watched(lag=0.05) as watched_agent:
        metadata, sandbox = watched_agent.metadata, watched_agent.sandbox
        begun: list[int] = []
        cured: list[bool] = []
        root = json.dumps(render_root(sandbox.environment.records, metadata._host, NEWEST)).encode()

        async def trickles(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            for number in range(len(root)):
                if cured:
                    await response.write(root[number:])
                    break
                await response.write(root[number : number + 1])
                begun.append(number)
            return response

        metadata.fault = for_the_document(trickles)
        metadata.publish()
        newcomer = await sandbox.start_container("back/job", host=0)
        await sandbox._until(lambda state: state["inventory"]["local_endpoints"] == 5 and bool(begun), 10.0)
        await sandbox.remove_container(newcomer.name)

        def cure() -> None:
            cured.append(True)
            metadata.fault = None

        await watched_agent.recovers("trickle", cure)


async def test_events_that_fail_are_told_and_followed_again() -> None:
    async with watched(lag=5.0) as watched_agent:
        rancher, sandbox, agent = watched_agent.sandbox.rancher, watched_agent.sandbox, watched_agent.agent
        key = rancher.secret_key

        await watched_agent.reconnects("reset", rancher.drop_connections)
        await watched_agent.reconnects("closed", rancher.close_connections)
        await watched_agent.reconnects("logout", rancher.logout)

        await rancher.stop()
        said = await watched_agent.says("event stream: ", "refused", " UTC (")
        assert "changes arrive by the metadata service only" in said
        assert (await reasons(agent))[0] == 200
        await watched_agent.recovers("away", rancher.start)

        def rotate_back() -> None:
            rancher.secret_key = key

        # The stream goes on, and asks for what nobody knows: the API alone refuses.
        rancher.secret_key = "rotated"  # noqa: S105
        rancher.send_text('{"name":"resource.change","resourceType":"container","resourceId":"1i999"}')
        await watched_agent.says("Rancher API: ", "401", " UTC (")
        assert (await reasons(agent))[0] == 200
        await watched_agent.recovers("API", rotate_back)

        rancher.secret_key = "rotated"  # noqa: S105
        rancher.drop_connections()
        await watched_agent.says("event stream: ", "401", "keys")
        assert (await reasons(agent))[0] == 200
        await watched_agent.recovers("401", rotate_back)
        await sandbox._until(lambda state: state["sources"]["events"]["connected"], RECOVERY)
        # Only an event can tell it in time: the metadata trails by seconds.
        started = time.monotonic()
        newcomer = await sandbox.start_container("front/web", host=0)
        await sandbox.enforced()
        await sandbox.remove_container(newcomer.name)
        await sandbox.enforced()
        assert time.monotonic() - started < RECOVERY


async def test_nonsense_floods_and_disorder_on_the_stream() -> None:
    async with watched(lag=1.0) as watched_agent:
        rancher, sandbox, agent = watched_agent.sandbox.rancher, watched_agent.sandbox, watched_agent.agent
        for number in range(60):
            rancher.send_text("{broken" + "x" * number)
            rancher.send_text(json.dumps({"name": "resource.change", "resourceType": "container", "data": number}))
            await asyncio.sleep(0)  # a server cuts off whom it has 100 messages for
        copies = iter(range(10_000))
        # Each event late by its own time, twice or not at all.
        rancher.deliver = lambda _: [(0.3, 0.05), (0.1,), (), (0.0, 0.0, 0.2)][next(copies) % 4]
        names = [(await sandbox.start_container("front/web", host=0)).name for _ in range(5)]
        for name in names:
            await sandbox.remove_container(name)
        rancher.deliver = lambda _: (0.0,)
        sandbox.metadata[0].publish()
        await watched_agent.recovers("disorder", sandbox.metadata[0].publish)
        lines = [line for line in watched_agent.log() if line["event"] == "event not understood"]
        assert len(lines) == 1
        assert (await agent.state())["sources"]["events"]["connected"]


async def test_a_metadata_service_that_stands_still_is_told_and_so_is_a_stream_that_falls_silent() -> None:
    """Both take their time, so they are tried together."""
    async with watched(lag=0.05) as watched_agent:
        rancher, sandbox, agent = watched_agent.sandbox.rancher, watched_agent.sandbox, watched_agent.agent
        watched_agent.metadata.hold()
        newcomer = await sandbox.start_container("back/job", host=0)
        await sandbox.enforced()
        changed = await watched_agent.table()
        rancher.silent = True
        await watched_agent.says("event stream: ", "no event and no ping for 15 s", " UTC (", patience=20.0)
        assert (await reasons(agent))[0] == 200
        reason = await watched_agent.says(
            "metadata service: frozen", " UTC (", "nothing tells of changes", patience=20.0
        )
        assert "restart the metadata service" in reason
        assert (await reasons(agent))[0] == 503

        rancher.silent = False
        await sandbox._until(lambda state: state["sources"]["events"]["connected"], RECOVERY)
        status, said = await reasons(agent)
        assert (status, ["events keep the picture current" in each for each in said]) == (200, [True])
        assert await watched_agent.table() == changed

        await sandbox.remove_container(newcomer.name)
        watched_agent.metadata.hold(holding=False)
        await watched_agent.recovers("frozen", watched_agent.metadata.publish)
