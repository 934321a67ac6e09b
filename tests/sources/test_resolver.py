from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import web

from corral import slices
from corral.errors import UnreachableError
from corral.model.entities import ServiceKey
from corral.model.updates import ContainerUpdate, ServiceUpdate, StackUpdate
from corral.sources.rancher import RancherClient
from corral.sources.resolver import COLLECTIONS, Resolver
from corral.wire.directory import Reference
from corral.wire.events import Event, Kind, event_of
from corral.wire.rancher import EventTranslator, Translation
from tests.sources.servers import change as message
from tests.sources.test_rancher import Api, asking, page

Json = dict[str, Any]
CONTAINER: Json = {"serviceIds": ["1s1"], "labels": {}}
WEB: Json = {"id": "1s1", "name": "web", "stackId": "1st1", "system": False, "linkedServices": {"db": "1s2"}}
DB: Json = {"id": "1s2", "name": "db", "stackId": "1st1", "system": False, "linkedServices": {"web": "1s1"}}
STACK: Json = {"id": "1st1", "name": "shop", "system": False}


def event(given: Json) -> Event:
    read = event_of(given)
    assert isinstance(read, Event)
    return read


def change(resource_id: str, **fields: object) -> Event:
    return event(message(resource_id, **fields))


def api(*resources: tuple[str, Json]) -> Api:
    routes: dict[str, object] = {f"/v2-beta/{name}": page() for name in COLLECTIONS}
    return Api(routes | {f"/v2-beta/{name}/{resource['id']}": resource for name, resource in resources})


ALL = (("services", WEB), ("services", DB), ("stacks", STACK))


@asynccontextmanager
async def resolving(server: Api) -> AsyncIterator[Resolver]:
    async with asking(server) as client:
        yield Resolver(client)


async def test_what_a_message_refers_to_is_asked() -> None:
    server = api(*ALL)
    async with resolving(server) as resolver:
        translation = await resolver.translate(change("1i1", **CONTAINER))
        assert (translation.kind, translation.problems, translation.unresolved) == (Kind.CHANGE, (), ())
        container = translation.updates[-1]
        assert isinstance(container, ContainerUpdate)
        assert container.fields["service"] == ServiceKey("", "shop", "web")
        learned = [update.key for update in translation.updates if isinstance(update, StackUpdate | ServiceUpdate)]
        assert {str(key) for key in learned} == {"shop", "shop/web", "shop/db"}
        asked = len(server.requests)
        again = await resolver.translate(change("1i2", **CONTAINER))
        assert [type(update) for update in again.updates] == [ContainerUpdate]
    assert len(server.requests) == asked


async def test_what_changed_while_nobody_listened_is_asked_again() -> None:
    server = api(*ALL)
    async with resolving(server) as resolver:
        await resolver.translate(change("1i1", **CONTAINER))
        upgraded = {**WEB, "secondaryLaunchConfigs": [{"name": "helper"}]}
        server.routes |= api(("services", upgraded)).routes | {"/v2-beta/stacks/1st1": {**STACK, "name": "store"}}
        resolver.begin_session()
        labels = {"io.rancher.service.launch.config": "helper"}
        translation = await resolver.translate(change("1i2", **CONTAINER | {"labels": labels}))
        container = translation.updates[-1]
        assert isinstance(container, ContainerUpdate)
        assert container.fields["service"] == ServiceKey("", "store", "helper")


async def test_what_the_api_does_not_know_is_asked_once_a_session() -> None:
    server = api()
    async with resolving(server) as resolver:
        for _ in range(3):
            translation = await resolver.translate(change("1i1", **CONTAINER))
            assert translation.updates == ()
            assert translation.unresolved == (Reference("services", "1s1"),)
        assert server.requests == ["/v2-beta/services/1s1"]
        resolver.begin_session()
        await resolver.translate(change("1i1", **CONTAINER))
    assert server.requests.count("/v2-beta/services/1s1") == 2


async def test_a_hint_is_asked_after() -> None:
    server = api(*ALL, ("containers", {"id": "1i1", "uuid": "c1", "state": "running"} | CONTAINER))
    hint = event({"name": "resource.change", "resourceType": "container", "resourceId": "1i1"})
    async with resolving(server) as resolver:
        translation = await resolver.translate(hint)
    assert (translation.kind, translation.unresolved) == (Kind.HINT, ())
    container = translation.updates[-1]
    assert isinstance(container, ContainerUpdate)
    assert container.fields["service"] == ServiceKey("", "shop", "web")


async def test_all_collections_are_learned() -> None:
    server = api()
    container = {"id": "1i1", "uuid": "c1"} | CONTAINER
    server.routes |= {
        "/v2-beta/containers": page(5, {"id": ["no id"]}, container),
        "/v2-beta/services": page(DB, WEB),
        "/v2-beta/stacks": page(STACK),
    }
    async with resolving(server) as resolver:
        await resolver.learn_all()
        server.requests.clear()
        assert (await resolver.translate(change("1i1", **CONTAINER))).unresolved == ()
        assert (await resolver.translate(change("1i2", networkContainerId="1i1"))).unresolved == ()
        assert server.requests == []
        server.routes["/v2-beta/services"] = page(WEB)
        await resolver.learn_all()
        server.requests.clear()
        await resolver.translate(change("1i3", serviceIds=["1s2"], labels={}))
    assert server.requests == ["/v2-beta/services/1s2"]


async def test_what_events_tell_while_a_collection_is_read_is_newer_than_it() -> None:
    """Else a container of the sidekick would count as one of its primary, with that one's rights, all session long."""
    alone = WEB | {"linkedServices": {}}
    server, read, go_on = api(), asyncio.Event(), asyncio.Event()
    server.routes |= {"/v2-beta/services": page(alone), "/v2-beta/stacks": page(STACK)}

    class Slow(RancherClient):
        async def pages(self, name: str) -> AsyncGenerator[list[object]]:
            async for found in super().pages(name):
                if name == "services":
                    read.set()
                    await go_on.wait()
                yield found

    service = alone | {"secondaryLaunchConfigs": [{"name": "cron"}]}
    upgraded = event({"name": "resource.change", "resourceType": "service", "data": {"resource": service}})
    async with asking(server, Slow) as client:
        resolver = Resolver(client)
        reading = asyncio.create_task(resolver.learn_all())
        await read.wait()
        await resolver.translate(upgraded)
        go_on.set()
        await reading
        labels = {"io.rancher.service.launch.config": "cron"}
        (update,) = (await resolver.translate(change("1i1", serviceIds=["1s1"], labels=labels))).updates
    assert isinstance(update, ContainerUpdate)
    assert update.fields["service"] == ServiceKey("", "shop", "cron")


async def test_others_get_their_turn_while_a_long_collection_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SLICE", 0.0)
    server = api()
    server.routes["/v2-beta/hosts"] = page(*({"id": f"1h{number}", "uuid": f"h{number}"} for number in range(1000)))
    translator = EventTranslator()
    known: list[int] = []
    async with asking(server) as client:
        reading = asyncio.create_task(Resolver(client, translator).learn_all())
        while not reading.done():
            known.append(len(translator._directory.hosts))
            await asyncio.sleep(0)
    assert max(after - before for before, after in pairwise(known)) <= 2
    assert known[-1] == 1000


async def test_a_message_that_does_not_matter_asks_nothing() -> None:
    server = api()
    async with resolving(server) as resolver:
        assert await resolver.translate(event({"name": "ping"})) == Translation(Kind.PING)
    assert server.requests == []


async def test_failures_of_the_api_are_the_callers() -> None:
    async with resolving(Api({"/v2-beta/services/1s1": []})) as resolver:
        with pytest.raises(UnreachableError):
            await resolver.translate(change("1i1", **CONTAINER))


async def test_while_the_api_fails_nothing_waits_for_it() -> None:
    """What refers to nothing unknown is translated; the rest is left unresolved, and asked for once it answers."""
    server = api(*ALL)
    wanted = server.routes.pop("/v2-beta/services/1s1")
    server.routes["/v2-beta/services/1s1"] = web.Response(status=500)
    async with asking(server) as client:
        resolver = Resolver(client)
        with pytest.raises(UnreachableError, match="500"):
            await resolver.translate(change("1i1", **CONTAINER))
        asked = len(server.requests)
        assert (await resolver.translate(change("1i2", **CONTAINER))).unresolved
        assert (await resolver.translate(change("1i3", state="removed"))).updates
        assert len(server.requests) == asked
        server.routes["/v2-beta/services/1s1"] = wanted
        await client.probe()
        assert (await resolver.translate(change("1i2", **CONTAINER))).unresolved == ()
