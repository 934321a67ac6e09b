from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from corral.errors import UnreachableError
from corral.model.entities import ServiceKey
from corral.model.updates import ContainerUpdate, ServiceUpdate, StackUpdate
from corral.sources.resolver import COLLECTIONS, Resolver
from corral.wire.directory import Reference
from corral.wire.rancher import Kind
from tests.sources.servers import change
from tests.sources.test_rancher import Api, asking, page

Json = dict[str, Any]
CONTAINER: Json = {"serviceIds": ["1s1"], "labels": {}}
WEB: Json = {"id": "1s1", "name": "web", "stackId": "1st1", "system": False, "linkedServices": {"db": "1s2"}}
DB: Json = {"id": "1s2", "name": "db", "stackId": "1st1", "system": False, "linkedServices": {"web": "1s1"}}
STACK: Json = {"id": "1st1", "name": "shop", "system": False}


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


async def test_what_the_api_does_not_know_is_asked_once_a_session() -> None:
    server = api()
    async with resolving(server) as resolver:
        for _ in range(3):
            translation = await resolver.translate(change("1i1", **CONTAINER))
            assert translation.updates == ()
            assert translation.unresolved == (Reference("services", "1s1"),)
        assert server.requests == ["/v2-beta/services/1s1"]
        await resolver.learn_all()
        await resolver.translate(change("1i1", **CONTAINER))
    assert server.requests.count("/v2-beta/services/1s1") == 2


async def test_a_hint_is_asked_after() -> None:
    server = api(*ALL, ("containers", {"id": "1i1", "uuid": "c1", "state": "running"} | CONTAINER))
    hint = {"name": "resource.change", "resourceType": "container", "resourceId": "1i1"}
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
        "/v2-beta/containers": page(container, 5),
        "/v2-beta/services": page(DB, WEB),
        "/v2-beta/stacks": page(STACK),
    }
    async with resolving(server) as resolver:
        learned = await resolver.learn_all()
        assert [problem.where for problem in learned.problems] == ["container"]
        assert any(isinstance(update, ContainerUpdate) for update in learned.updates)
        server.requests.clear()
        assert (await resolver.translate(change("1i1", **CONTAINER))).unresolved == ()
    assert server.requests == []


async def test_a_message_that_does_not_matter_asks_nothing() -> None:
    server = api()
    async with resolving(server) as resolver:
        assert (await resolver.translate({"name": "ping"})).kind is Kind.PING
        assert (await resolver.translate(5)).problems
    assert server.requests == []


async def test_failures_of_the_api_are_the_callers() -> None:
    async with resolving(Api({"/v2-beta/services/1s1": []})) as resolver:
        with pytest.raises(UnreachableError):
            await resolver.translate(change("1i1", **CONTAINER))
