"""The agent's container is replaced, killed and started again; the kernel keeps the policy meanwhile."""

from __future__ import annotations

import os
import signal

import pytest

from .agent import Agent
from .conftest import Report
from .engine import IMAGE
from .place import RATE, Place
from .probing import probing
from .seed import SERVICES, describe

NEXT = "corral:next"


@pytest.fixture
async def enforcing(place: Place, agent: Agent) -> Agent:
    """The agent of a host with the seed's third example on it."""
    describe(place.environment)
    await place.start_all(dict.fromkeys(SERVICES, 1))
    await agent.up()
    await agent.enforced()
    return agent


async def test_an_upgrade_by_compose(enforcing: Agent, report: Report) -> None:
    engine = enforcing.engine
    await engine.docker("tag", IMAGE, NEXT)
    before = await enforcing.container()
    async with probing(enforcing.place) as probe:
        enforcing.image = NEXT
        await enforcing.up()
        await adopted(enforcing)
    report(f"upgraded by compose: {probe}")
    assert probe.wrong == 0
    after = await enforcing.container()
    assert after != before
    assert (await engine.inspect(after))["Config"]["Image"] == NEXT


async def test_an_upgrade_by_rancher(enforcing: Agent, report: Report) -> None:
    """The old one is stopped and kept until the upgrade is confirmed; the new one has another name."""
    engine = enforcing.engine
    await engine.docker("tag", IMAGE, NEXT)
    new = Agent(enforcing.place, project="upgraded", image=NEXT)
    async with probing(enforcing.place) as probe:
        old = await enforcing.container()
        await engine.docker("stop", old)
        await probe.passes(RATE)
        await new.up()
        await adopted(new)
        await engine.docker("rm", "--volumes", old)
        await probe.passes(RATE // 2)
    report(f"upgraded by Rancher: {probe}")
    assert probe.wrong == 0
    await adopted(new)


async def test_an_upgrade_that_starts_first(enforcing: Agent, report: Report) -> None:
    """Against the stack's `start_first: false`: the new one waits until the old one has ended."""
    engine = enforcing.engine
    await engine.docker("tag", IMAGE, NEXT)
    new = Agent(enforcing.place, project="upgraded", image=NEXT)
    async with probing(enforcing.place) as probe:
        old = await enforcing.container()
        await new.up()
        await probe.passes(RATE)
        await engine.docker("stop", old)
        await adopted(new)
    report(f"upgraded, the new one started first: {probe}")
    assert probe.wrong == 0
    assert await new.restarts() == 0


async def test_killed_and_started(enforcing: Agent, report: Report) -> None:
    async with probing(enforcing.place) as probe:
        for _ in range(3):
            await enforcing.engine.docker("kill", "--signal", "KILL", await enforcing.container())
            await probe.passes()
            await enforcing.start()
            await adopted(enforcing)
    report(f"killed and started three times: {probe}")
    assert probe.wrong == 0


async def test_stopped_and_started(enforcing: Agent, report: Report) -> None:
    async with probing(enforcing.place) as probe:
        container = await enforcing.container()
        await enforcing.engine.docker("stop", container)
        ended = (await enforcing.engine.inspect(container))["State"]
        assert (ended["ExitCode"], ended["OOMKilled"]) == (0, False)
        await probe.passes(RATE)
        await enforcing.start()
        await adopted(enforcing)
    report(f"stopped and started: {probe}")
    assert probe.wrong == 0


async def test_shot_by_the_kernel_and_restarted_by_docker(enforcing: Agent, report: Report) -> None:
    """As out of memory: Docker sees a process that ended by SIGKILL, and nobody who asked for it."""
    async with probing(enforcing.place) as probe:
        os.kill(await enforcing.engine.pid(await enforcing.container()), signal.SIGKILL)
        await adopted(enforcing)
    assert await enforcing.restarts() == 1
    report(f"shot and restarted by Docker: {probe}")
    assert probe.wrong == 0


async def adopted(agent: Agent) -> None:
    """Wait until a new process enforces; it has found the table that it wants, and written nothing."""
    state = await agent.enforced()
    assert (state["kernel"]["commits"], state["kernel"]["repairs"]) == (0, 0)
    assert (await agent.engine.docker("exec", await agent.container(), "corral", "status")).startswith("ready")
