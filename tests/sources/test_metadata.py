from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from corral.model.entities import Snapshot
from corral.sources.backoff import Backoff
from corral.sources.metadata import MetadataSource, MetadataTiming, read_document
from corral.sources.status import SourceStatus
from corral.wire.metadata import SnapshotDecoder
from tests.sources.servers import Handler, Metadata
from tests.wire.documents import container, root

FAST = MetadataTiming(max_wait=1, slack=5, read=5, interval=0)


class Follower:
    """A source, its snapshots one at a time, and every error that its status told."""

    def __init__(self, url: str, **options: Any) -> None:
        self.errors: list[str] = []
        self.told = asyncio.Event()
        self.source = MetadataSource(
            url,
            timing=options.pop("timing", FAST),
            status=SourceStatus("metadata", on_change=self._changed),
            backoff=Backoff(first=0.001, limit=0.002),
            **options,
        )
        self.snapshots = self.source.snapshots()

    def _changed(self, status: SourceStatus) -> None:
        if not status.connected:
            self.errors.append(str(status.last_error))
            self.told.set()

    async def next(self) -> Snapshot:
        async with asyncio.timeout(20):
            return await anext(self.snapshots)

    async def uuids(self) -> set[str]:
        return set((await self.next()).containers)


@asynccontextmanager
async def following(metadata: Metadata, **options: Any) -> AsyncIterator[Follower]:
    async with AsyncExitStack() as stack:
        follower = Follower(await stack.enter_async_context(metadata.serve()), **options)
        await stack.enter_async_context(aclosing(follower.snapshots))
        yield follower


def answers(body: bytes | str, status: int = 200, content_type: str = "application/json") -> Handler:
    async def handle(_: web.BaseRequest) -> web.StreamResponse:
        data = body if isinstance(body, bytes) else body.encode()
        return web.Response(body=data, status=status, content_type=content_type)

    return handle


async def good_version(_: web.BaseRequest) -> web.StreamResponse:
    return web.json_response("v1")


async def hangs_up(request: web.BaseRequest) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def truncates(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"containers": [')
    assert request.transport is not None
    request.transport.close()
    return response


async def trickles(request: web.BaseRequest) -> web.StreamResponse:
    """Never finishes."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b'{"containers": [')
    await asyncio.Event().wait()
    return response


async def redirects(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "http://127.0.0.1:9/"})


async def test_a_snapshot_at_once_and_one_after_each_change() -> None:
    metadata = Metadata()
    async with following(metadata) as follower:
        assert await follower.uuids() == {"c1"}
        for uuid in ("c2", "c3"):
            waiting = asyncio.create_task(follower.uuids())
            await metadata.arrival.wait()
            metadata.publish_container(uuid)
            assert await waiting == {uuid}
        assert follower.source.status.connected
        assert follower.errors == []
    assert metadata.polls[0] == {"wait": "true", "value": "v1", "maxWait": "1"}


async def test_unchanged_objects_stay_the_same() -> None:
    metadata = Metadata()
    async with following(metadata) as follower:
        first = await follower.next()
        metadata.publish(containers=[container("c1"), container("c2")])
        second = await follower.next()
    assert second.containers["c1"] is first.containers["c1"]
    assert set(second.containers) == {"c1", "c2"}


async def test_a_change_while_the_document_is_read_is_seen_at_once() -> None:
    """The first document still shows the old state, though a change came after its version was read."""
    metadata = Metadata()
    old = metadata.document

    def change_behind_the_read() -> None:
        metadata.before_document = None
        metadata.publish_container("c2")
        metadata.document, metadata.later = old, metadata.document  # type: ignore[attr-defined]

    metadata.before_document = change_behind_the_read
    async with following(metadata) as follower:
        assert await follower.uuids() == {"c1"}
        metadata.document = metadata.later  # type: ignore[attr-defined]
        assert await follower.uuids() == {"c2"}
    assert [poll["value"] for poll in metadata.polls] == ["v1"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (answers("<html>no</html>", content_type="text/html"), "no JSON"),
        (answers("404 page not found", 404), "answers with status 404"),
        (answers("oops", 500), "answers with status 500"),
        (answers('{"containers": ['), "no JSON"),
        (answers("[]"), "the metadata answers no object but []"),
        (answers("{}"), "lacks hosts, networks, stacks, services, containers"),
        (answers(b"\xff\xfe"), "no JSON"),
        (answers("x" * 5000), "larger than the allowed 4000 bytes"),
        (truncates, "the answer is cut off"),
        (trickles, "no answer in time"),
        (redirects, "redirected elsewhere (status 302)"),
    ],
    ids=lambda value: value.__name__ if callable(value) else str(value)[:30],
)
async def test_a_bad_document_is_told_and_read_again(fault: Handler, error: str) -> None:
    metadata = Metadata(faults=[good_version, fault])
    timing = MetadataTiming(max_wait=1, slack=5, read=0.2, interval=0)
    async with following(metadata, timing=timing, size_limit=4000) as follower:
        assert await follower.uuids() == {"c1"}
    (told,) = follower.errors
    assert error in told
    assert follower.source.status.failures == 0


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (answers("<html>no</html>", content_type="text/html"), "no version but '<html>"),
        (answers(""), "no version but ''"),
        (answers("404 page not found", 404), "answers with status 404"),
        (answers("x" * 300), "no version but 'xxx"),
        (answers("x" * 2000), "larger than the allowed 1024 bytes"),
        (answers('"a\\nb"'), "no version but 'a\\nb'"),
        (answers(b"\xff\n\xff"), "no version but"),
        (truncates, "the answer is cut off"),
    ],
    ids=lambda value: value.__name__ if callable(value) else str(value)[:30],
)
async def test_a_bad_version_is_told_and_read_again(fault: Handler, error: str) -> None:
    metadata = Metadata(faults=[fault])
    async with following(metadata) as follower:
        assert await follower.uuids() == {"c1"}
    (told,) = follower.errors
    assert error in told


@pytest.mark.parametrize("version", ["17", "plain-text", '"quoted"', "null", "a&b=c d+e/ü"])
async def test_a_version_is_opaque(version: str) -> None:
    metadata = Metadata(faults=[answers(version)])
    async with following(metadata) as follower:
        await follower.next()
        metadata.publish_container("c2")
        assert await follower.uuids() == {"c2"}
    assert metadata.polls[0]["value"] == version.strip('"')


async def test_a_version_that_flaps_with_equal_content() -> None:
    """Every reload of the server makes a new version: the snapshots are the same objects then."""
    metadata = Metadata()
    async with following(metadata) as follower:
        first = await follower.next()
        for _ in range(3):
            metadata.publish()
            following_one = await follower.next()
            assert following_one.containers["c1"] is first.containers["c1"]


async def test_failures_are_counted_until_it_heals_and_nothing_is_read_twice() -> None:
    metadata = Metadata()
    async with following(metadata) as follower:
        await follower.next()
        metadata.faults = [answers("", 503)] * 4
        metadata.requests.clear()
        waiting = asyncio.create_task(follower.next())
        while len(metadata.requests) < 6:
            metadata.arrival.clear()
            await metadata.arrival.wait()
        # It healed, so what is waited for now is a change; that the version is the old one is known by a plain read.
        assert set(metadata.requests) == {"/2016-07-29/version"}
        assert follower.source.status.connected
        metadata.publish_container("c2")
        assert set((await waiting).containers) == {"c2"}
    assert len(follower.errors) == 1


async def test_an_unreachable_server() -> None:
    metadata = Metadata()
    async with metadata.serve() as url:
        pass
    follower = Follower(url)
    waiting = asyncio.create_task(follower.next())
    await follower.told.wait()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert "the connection is refused" in follower.errors[0]
    assert not follower.source.status.connected


async def test_a_stale_connection_is_no_failure() -> None:
    """The server closes a kept-alive connection just as it is used again."""
    metadata = Metadata()
    async with following(metadata) as follower:
        await follower.next()
        metadata.faults = [hangs_up]
        metadata.publish_container("c2")
        assert await follower.uuids() == {"c2"}
    assert follower.errors == []


async def test_a_server_that_hangs_up_twice_is_a_failure() -> None:
    metadata = Metadata()
    async with following(metadata) as follower:
        await follower.next()
        metadata.faults = [hangs_up, hangs_up]
        metadata.publish_container("c2")
        assert await follower.uuids() == {"c2"}
    assert len(follower.errors) == 1


async def test_a_poll_that_is_never_answered() -> None:
    metadata = Metadata()
    timing = MetadataTiming(max_wait=0.1, slack=0.1, connect=0.1, interval=0)
    async with following(metadata, timing=timing) as follower:
        await follower.next()
        metadata.faults = [trickles]
        metadata.arrival.clear()
        waiting = asyncio.create_task(follower.uuids())
        await metadata.arrival.wait()
        metadata.publish_container("c2")
        assert await waiting == {"c2"}
    assert "no answer in time" in follower.errors[0]


async def test_full_reads_keep_their_distance() -> None:
    """The first change is read at once; those after it coalesce into the next read."""
    metadata = Metadata()
    loop = asyncio.get_running_loop()
    async with following(metadata, timing=MetadataTiming(max_wait=1, interval=0.3)) as follower:
        await follower.next()
        started = loop.time()
        metadata.publish_container("c2")
        waiting = asyncio.create_task(follower.uuids())
        metadata.arrival.clear()
        await metadata.arrival.wait()
        metadata.publish_container("c3")
        assert await waiting == {"c3"}
        assert loop.time() - started > 0.2
        # That read was of the newest version: the next poll waits.
        metadata.arrival.clear()
        waiting = asyncio.create_task(follower.uuids())
        await metadata.arrival.wait()
        assert metadata.polls[-1]["value"] == f"v{metadata.version}"
        metadata.publish_container("c4")
        assert await waiting == {"c4"}
    assert metadata.requests.count("/2016-07-29") == 3


async def test_one_request_at_a_time() -> None:
    metadata = Metadata()
    running = 0

    async def alone(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0)
        running -= 1
        return await metadata.handle(request)

    metadata.faults = [alone] * 4
    async with following(metadata) as follower:
        await follower.next()
        metadata.publish_container("c2")
        assert await follower.uuids() == {"c2"}
    assert follower.errors == []


async def test_closing_leaves_no_task_behind() -> None:
    metadata = Metadata()
    async with metadata.serve() as url:
        before = asyncio.all_tasks()
        async with aclosing(Follower(url).snapshots) as snapshots:
            await anext(snapshots)
        left = asyncio.all_tasks() - before
        assert not [task for task in left if "corral" in repr(task)]


async def test_a_server_that_does_not_know_how_to_wait_is_asked_now_and_then() -> None:
    metadata = Metadata()
    loop = asyncio.get_running_loop()
    async with following(metadata, timing=MetadataTiming(max_wait=1, interval=0.2)) as follower:
        await follower.next()
        metadata.faults = [answers('"v1"')] * 3
        metadata.requests.clear()
        started = loop.time()
        waiting = asyncio.create_task(follower.uuids())
        while metadata.faults:
            metadata.arrival.clear()
            await metadata.arrival.wait()
        metadata.publish_container("c2")
        assert await waiting == {"c2"}
    assert loop.time() - started > 0.3


async def test_others_have_their_turns_while_a_document_is_read() -> None:
    turns, reading = 0, True

    async def other() -> None:
        nonlocal turns
        while reading:
            turns += 1
            await asyncio.sleep(0)

    body = json.dumps(root(containers=[container(f"c{number}") for number in range(5000)])).encode()
    task = asyncio.create_task(other())
    snapshot = await read_document(SnapshotDecoder(), body)
    reading = False
    await task
    assert len(snapshot.containers) == 5000
    # Some 30 ms of work in slices of one.
    assert turns > 5
