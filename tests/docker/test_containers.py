"""Containers that Docker starts, stops and removes, while others send to their address without a pause."""

from __future__ import annotations

import time

from corral.types import Address

from .agent import Agent
from .conftest import Report
from .place import RATE, Place
from .seed import ENGINEERING, QA, describe
from .waiting import until

CLIENTS = (QA, ENGINEERING)
PATIENCE = 10.0


async def test_a_container_is_closed_until_announced_and_its_address_has_no_memory(
    place: Place, agent: Agent, report: Report
) -> None:
    describe(place.environment)
    address = place.free_address()
    for service in ("stack_one/service_one", "stack_one/service_two"):
        await place.start(service, sends_to=[address])
    await agent.up()
    await agent.enforced()

    place.tap.forget()
    first = (await place.start("stack_two/service_one", address=address, announced=False)).name
    await closed(place, address)
    announced = time.time()
    await open_only_to(QA, place, first)
    opened = (await place.command(QA))["first_answers"][str(address)] - announced
    report(f"a new container: open to its department {opened * 1000:.0f} ms after Rancher says that it runs")

    await place.stop(first)
    await agent.enforced()
    place.tap.forget()
    await place.engine.docker("start", first)
    await closed(place, address)
    await open_only_to(QA, place, first)

    await place.remove(first)
    await agent.enforced()
    place.tap.forget()
    second = (await place.start("stack_three/service_one", address=address, announced=False)).name
    await closed(place, address)
    await open_only_to(ENGINEERING, place, second)


async def closed(place: Place, address: Address) -> None:
    """Nobody reaches a container that Rancher has not told of, from its start on."""
    await sent(place, RATE // 2)
    assert {client: seen(place, client, address) for client in CLIENTS} == dict.fromkeys(CLIENTS, 0)


async def open_only_to(client: str, place: Place, server: str) -> None:
    """Once Rancher says that it runs, one department reaches it, and the other one never does."""
    await place.announce(server)
    address = place.address(server)

    async def reached() -> bool:
        return seen(place, client, address) > 0

    await until(reached, PATIENCE)
    await sent(place, RATE)
    assert seen(place, client, address) > RATE // 2
    assert [other for other in CLIENTS if other != client and seen(place, other, address)] == []


def seen(place: Place, client: str, address: Address) -> int:
    """What a client's packets were to the address that reached its owner."""
    return place.tap.seen(place.address(client), address)


async def sent(place: Place, count: int) -> None:
    """Wait until both have sent so many more datagrams."""
    for client in CLIENTS:
        goal = await total(place, client) + count

        async def enough(client: str = client, goal: int = goal) -> bool:
            return await total(place, client) >= goal

        await until(enough, PATIENCE)


async def total(place: Place, client: str) -> int:
    """What a container has sent so far."""
    return sum((await place.command(client))["sent"].values())
