"""Events of a real Rancher stream reach the desk, with what they refer to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from corral.daemon.desk import Desk
from corral.daemon.engine import Engine
from corral.daemon.feeds import EventFeed
from corral.dataplane.fake import FakeDataplane
from corral.sandbox.environment import Environment
from corral.sandbox.links import Links
from corral.sandbox.namespace import Namespace
from corral.sandbox.rancher_server import RancherServer
from corral.sources.credentials import Credentials
from corral.sources.events import EventSource
from corral.sources.rancher import RancherClient

from .running import desk_of, small_environment, until

Check = Callable[[Environment, RancherServer, Desk], Awaitable[None]]


def with_feed(check: Check) -> None:
    """Run a Rancher and a feed in a namespace of their own."""
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
        engine = Engine(FakeDataplane(), desk.tracker, desk.facts, enforceable=lambda: True)
        source = EventSource(credentials)
        task = asyncio.create_task(EventFeed(source, RancherClient(credentials), desk, engine, desk.facts).run())
        try:
            await until(lambda: source.status.connected)
            await check(environment, rancher, desk)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
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
