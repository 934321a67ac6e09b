"""The Docker daemon ends and starts again; it writes its rules anew, and corral's stay what and where they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from . import host
from .agent import Agent
from .conftest import Report
from .place import RATE, Place
from .probing import probing
from .seed import NOBODY, OTHER_QA, QA, SERVICES, describe
from .waiting import until

CLIENTS = {QA: "stack_one/service_one", NOBODY: "stack_two/service_two"}


@pytest.fixture
async def live_restore(place: Place) -> AsyncIterator[None]:
    """An engine whose containers go on without it."""
    await place.engine.restart(live_restore=True)
    yield
    await place.engine.remove_containers()
    await place.engine.restart()


@pytest.mark.parametrize("ending", ["stop", "kill"])
@pytest.mark.usefixtures("live_restore")
async def test_with_live_restore(place: Place, agent: Agent, report: Report, ending: str) -> None:
    describe(place.environment)
    await place.start_all(dict.fromkeys(SERVICES, 1))
    await agent.up()
    await agent.enforced()
    before = await Picture.take(place)
    async with probing(place) as probe:
        await getattr(place.engine, ending)()
        await probe.passes(RATE // 2)
        await place.engine.start(live_restore=True)
        await probe.passes(RATE // 2)
    report(f"dockerd, live-restore, {ending}: {probe}; {await before.compared(place)}")
    assert probe.arrived == 0
    state = await agent.enforced()
    assert state["kernel"]["repairs"] == 0


@pytest.mark.parametrize("ending", ["stop", "kill"])
async def test_with_containers_that_end_too(place: Place, agent: Agent, report: Report, ending: str) -> None:
    describe(place.environment)
    server = (await place.start("stack_two/service_one")).name
    for service in CLIENTS.values():
        await place.start(service, sends_to=[place.address(server)])
    await agent.up()
    await agent.enforced()
    before = await Picture.take(place)
    place.tap.forget()
    await getattr(place.engine, ending)()
    await place.engine.start()
    await asyncio.gather(*(up(place, name) for name in (*CLIENTS, server)))
    # What Docker itself has stopped, as it does after a crash, it starts again only if told `always`. Rancher does.
    await agent.start()
    await agent.enforced()
    passed = place.seen(QA, OTHER_QA)

    async def more() -> bool:
        return place.seen(QA, OTHER_QA) >= passed + RATE // 2

    await until(more, 10.0)
    forbidden = (await place.command(NOBODY))["sent"][str(place.address(server))]
    arrived = place.seen(NOBODY, OTHER_QA)
    report(
        f"dockerd, {ending}: since the containers are back, {arrived} of {forbidden} forbidden datagrams arrived; "
        f"{await before.compared(place)}"
    )
    assert forbidden > RATE // 2
    assert arrived == 0
    assert place.disagreements(await place.outcomes()) == []


async def up(place: Place, name: str) -> None:
    """Wait until Docker has started a container again."""
    await until(lambda: place.up(name), 60.0)


class Picture:
    """What the kernel had before."""

    def __init__(self, corrals: list[str], dockers: dict[str, list[str]], handles: host.Handles) -> None:
        self.corrals = corrals
        self.dockers = dockers
        self.handles = handles

    @classmethod
    async def take(cls, place: Place) -> Picture:
        engine = place.engine
        return cls(await host.corrals(engine), await host.dockers(engine), await host.handles(engine))

    async def compared(self, place: Place) -> str:
        """Docker wrote its rules anew, the same ones; nothing of corral's moved, and it is there once."""
        engine = place.engine
        rewritten = host.rewritten(self.handles, await host.handles(engine))
        assert rewritten, "Docker did not touch its rules: this shows nothing"
        assert await host.dockers(engine) == self.dockers
        assert await host.base_chains(engine) == [("corral", "forward")]
        assert await host.corrals(engine) == self.corrals
        return f"Docker wrote {rewritten} of its rules anew"
