"""Events of a real Rancher stream reach the desk, with what they refer to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from corral import slices
from corral.daemon.desk import Desk
from corral.daemon.engine import Engine
from corral.daemon.facts import Facts
from corral.daemon.feeds import EventFeed, follow_metadata
from corral.dataplane.fake import FakeDataplane
from corral.errors import UnreachableError
from corral.nft.tracker import Tracker
from corral.sandbox.documents import render_root
from corral.sandbox.environment import Environment
from corral.sandbox.links import Links
from corral.sandbox.namespace import Namespace
from corral.sandbox.rancher_server import RancherServer
from corral.sources.credentials import Credentials
from corral.sources.events import Connected, Disconnected, EventSource
from corral.sources.metadata import MetadataSource, MetadataTiming
from corral.sources.rancher import RancherClient

from ..sources.servers import Metadata
from .running import desk_of, small_environment, until

Check = Callable[[Environment, RancherServer, Desk], Awaitable[None]]


def with_feed(
    check: Check, dataplane: FakeDataplane | None = None, client: type[RancherClient] = RancherClient
) -> None:
    """Run a Rancher and a feed in a namespace of their own; with a dataplane, an engine too."""
    namespace = Namespace.create()
    links = Links(namespace)
    links.up("lo")
    links.close()

    async def main() -> None:
        environment = small_environment()
        desk = desk_of(environment)
        rancher = RancherServer(environment, namespace, address="127.0.0.1")
        await rancher.start()
        credentials = Credentials.of(rancher.url, rancher.access_key, rancher.secret_key)
        engine = Engine(dataplane or FakeDataplane(), desk.tracker, desk.facts, enforceable=lambda: True)
        source = EventSource(credentials)
        feed = EventFeed(source, client(credentials), desk, engine, desk.facts)
        tasks = [asyncio.create_task(duty()) for duty in (feed.run, *([engine.run] if dataplane else []))]
        engine.wake()
        try:
            await until(lambda: source.status.connected)
            await check(environment, rancher, desk)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await rancher.stop()

    try:
        with namespace, asyncio.Runner() as runner:
            runner.run(main())
    finally:
        namespace.close()


def test_a_container_of_a_service_that_is_new_too() -> None:
    async def check(environment: Environment, _: RancherServer, desk: Desk) -> None:
        environment.add_service("front/cache", labels={"tier": "data"})
        container = environment.create_container("front/cache")
        environment.set_running(container.name, "10.42.1.77")
        await until(lambda: len(desk.inventory.endpoints) == 5)
        endpoint = next(one for one in desk.inventory.endpoints.values() if container.uuid in one.containers)
        assert {str(service) for service in endpoint.services} == {"front/cache"}
        assert endpoint.local

    with_feed(check)


def test_a_message_that_is_no_event_costs_nothing() -> None:
    async def check(environment: Environment, rancher: RancherServer, desk: Desk) -> None:
        rancher.send_text("{broken")
        rancher.send_text('{"name":"resource.change","resourceType":"container","resourceId":"1i99","data":{}}')
        environment.set_policy([], "allow")
        await until(lambda: desk.policy is not None and desk.policy.rules == ())

    with_feed(check)


def test_an_api_that_fails_leaves_the_stream_alive() -> None:
    async def check(environment: Environment, rancher: RancherServer, desk: Desk) -> None:
        key, rancher.secret_key = rancher.secret_key, "changed"
        rancher.send_text('{"name":"resource.change","resourceType":"container","resourceId":"1i99","data":null}')
        rancher.secret_key = key
        environment.set_policy([], "allow")
        await until(lambda: desk.policy is not None and desk.policy.rules == ())

    with_feed(check)


def start_container(environment: Environment) -> None:
    """Two events."""
    container = environment.create_container("front/web")
    environment.set_running(container.name, environment.allocate_address(0))


def test_a_flood_during_a_slow_commit_is_read_and_then_committed_at_once() -> None:
    """A server cuts off a client that lets 100 messages wait: it would not stay connected if the reader did."""
    dataplane = FakeDataplane()

    async def check(environment: Environment, rancher: RancherServer, desk: Desk) -> None:
        await until(lambda: desk.facts.programmed)
        (subscriber,), endpoints = rancher.subscribers, len(desk.inventory.endpoints)
        dataplane.hold()
        before = len(dataplane.attempted)
        start_container(environment)
        await until(lambda: len(dataplane.attempted) == before + 1)
        for _ in range(500):
            start_container(environment)
            await asyncio.sleep(0)
        await until(lambda: len(desk.inventory.endpoints) == endpoints + 501)
        assert len(dataplane.attempted) == before + 1
        dataplane.release()
        await until(lambda: desk.facts.programmed)
        assert len(dataplane.attempted) - (before + 1) <= 2
        dump = await dataplane.dump()
        assert dump is not None
        assert dump.ruleset == desk.tracker.desired_ruleset()
        assert rancher.subscribers == [subscriber]

    with_feed(check, dataplane)


def test_others_get_their_turn_in_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no time at all allowed for one turn, somebody else sees nearly every single change happen."""
    monkeypatch.setattr(slices, "SLICE", 0.0)

    async def check(environment: Environment, rancher: RancherServer, desk: Desk) -> None:
        seen = [len(desk.inventory.endpoints)]
        # Asked of the API, which gives the queue time to fill.
        rancher.send_text('{"name":"resource.change","resourceType":"container","resourceId":"1i99","data":null}')
        for _ in range(40):
            start_container(environment)
        while seen[-1] < seen[0] + 40:
            await asyncio.sleep(0)
            seen.append(len(desk.inventory.endpoints))
        assert max(after - before for before, after in pairwise(seen)) <= 2

    with_feed(check)


class BrokenClient(RancherClient):
    async def resource(self, collection: str, resource_id: str) -> dict[str, object] | None:
        raise KeyError(f"a bug with {collection}")


def test_an_event_that_a_bug_keeps_from_being_understood_is_told_and_the_next_is_taken() -> None:
    async def check(environment: Environment, rancher: RancherServer, desk: Desk) -> None:
        await until(lambda: bool(rancher.subscribers))
        rancher.deliver = lambda change: () if change.type == "service" else (0.0,)
        environment.add_service("front/cache")
        environment.create_container("front/cache")
        with capture_logs() as logs:
            await until(lambda: desk.facts.unexpected_error is not None)
        assert "KeyError" in str(desk.facts.unexpected_error)
        assert "containers" in next(entry["input"] for entry in logs if entry["event"] == "unexpected error")
        assert not desk.facts.ready
        environment.set_state("back-job-1", "stopped")
        await until(lambda: len(desk.inventory.endpoints) == 3)

    with_feed(check, client=BrokenClient)


class DeafClient(RancherClient):
    async def pages(self, name: str) -> AsyncGenerator[list[object]]:
        raise KeyError(f"a bug with {name}")
        yield []


def test_collections_that_a_bug_keeps_from_being_read_end_nothing() -> None:
    async def check(environment: Environment, _: RancherServer, desk: Desk) -> None:
        await until(lambda: desk.facts.unexpected_error is not None)
        assert "KeyError" in str(desk.facts.unexpected_error)
        environment.set_state("back-job-1", "stopped")
        await until(lambda: len(desk.inventory.endpoints) == 3)

    with_feed(check, client=DeafClient)


async def test_a_request_that_fails_after_its_session_says_nothing_about_the_next_one() -> None:
    """Else nothing that events refer to would be asked for until all is read again, up to a minute later."""
    desk = desk_of(small_environment())
    engine = Engine(FakeDataplane(), desk.tracker, desk.facts, enforceable=lambda: False)
    credentials = Credentials.of("http://127.0.0.1:9", "access", "sesame")
    client = RancherClient(credentials)
    feed = EventFeed(EventSource(credentials), client, desk, engine, desk.facts)
    await feed._take(Disconnected(UnreachableError("gone")))
    client.status.failed(UnreachableError("no answer in time"))
    await feed._take(Connected())
    assert client.status.failures == 0


async def test_whoever_waits_for_a_document_is_told_of_each() -> None:
    environment, metadata, loaded = small_environment(), Metadata(), asyncio.Event()
    metadata.document = render_root(environment.records, environment.host(0))
    desk = Desk(Tracker(), Facts(), unknown_allowed=False)
    engine = Engine(FakeDataplane(), desk.tracker, desk.facts, enforceable=lambda: False)
    async with metadata.serve() as url:
        source = MetadataSource(url, timing=MetadataTiming(max_wait=1, interval=0))
        following = asyncio.create_task(follow_metadata(source, desk, engine, loaded.set))
        for _ in range(2):
            async with asyncio.timeout(20):
                await loaded.wait()
            assert desk.facts.inventory_loaded
            loaded.clear()
            metadata.publish(**metadata.document)
        following.cancel()
        await asyncio.wait([following])
