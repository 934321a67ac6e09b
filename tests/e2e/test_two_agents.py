"""Two agents on one host, as an upgrade that starts the new one first, a rollback, or two stacks make them."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from corral.dataplane.seat import NAME, WAITING
from corral.sandbox.agents import Agent
from corral.sandbox.probes import Outcome
from corral.sandbox.world import Sandbox
from corral.types import Protocol

from ..daemon.running import until
from .places import ENFORCED, allowed, one_host, verdicts

WAITS = "another agent is at work in this network namespace: waiting until it ends"


@contextmanager
def another(sandbox: Sandbox, settings: Mapping[str, str] | None = None) -> Iterator[Agent]:
    """A further agent on the first host."""
    first = sandbox.agents[0]
    agent = Agent("another", sandbox.topology.hosts[0].namespace, {**first.settings, **(settings or {})})
    agent.start()
    try:
        yield agent
    finally:
        agent.close()


@contextmanager
def asked(sandbox: Sandbox, agent: Agent) -> Iterator[None]:
    """The sandbox asks this agent whether the policy is in force."""
    first = sandbox.agents[0]
    sandbox.agents[0] = agent
    try:
        yield
    finally:
        sandbox.agents[0] = first


async def until_it_waits(agent: Agent) -> None:
    await until(lambda: told(agent)[-1:] == [WAITS], 30.0)


def told(agent: Agent) -> list[str]:
    """What its log says, by event."""
    return [json.loads(line)["event"] for line in agent.log(1 << 20).splitlines(keepends=True) if line.endswith("}\n")]


@pytest.mark.parametrize("settings", [{}, {"CORRAL_LISTEN": "127.0.0.1:8801", "CORRAL_MODE": "audit"}])
async def test_the_second_waits_and_nothing_is_fought_over(settings: dict[str, str]) -> None:
    """Without that the second of one address fails again and again, and one of another undoes what the first writes."""
    async with Sandbox(one_host(), lag=0.05) as sandbox:
        await sandbox.enforced()
        with another(sandbox, settings) as second:
            await until_it_waits(second)
            await sandbox.start_container("front/web", host=0)
            await sandbox.enforced()
            assert await verdicts(sandbox) == ENFORCED
            kernel = (await sandbox.agents[0].state())["kernel"]
            assert (kernel["repairs"], kernel["failed_commits"]) == (0, 0)
            assert told(second) == [WAITS]
            for number in (signal.SIGHUP, signal.SIGUSR1):
                second.signal(number)
            assert second.alive
            assert await second.stop() == 0


async def test_those_who_come_and_go_leave_the_place_for_who_waits() -> None:
    """As agents do that are told to start again and again, or another user's, which look now and then."""
    async with Sandbox(one_host(), lag=0.05) as sandbox:
        await sandbox.enforced()
        with sandbox.topology.hosts[0].namespace:
            for _ in range(3 * WAITING):
                with socket.socket(socket.AF_UNIX) as passer_by:
                    passer_by.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 5, 0))
                    passer_by.connect(NAME)
        with another(sandbox) as second:
            await until_it_waits(second)
            holder = json.loads(second.log(1 << 20).splitlines()[-1])
            assert holder["uid"] == os.getuid()  # only who has got a place is told


@pytest.mark.parametrize("ending", ["stop", "kill"])
async def test_the_second_takes_over_when_the_first_ends(ending: str) -> None:
    async with Sandbox(one_host(), lag=0.05) as sandbox:
        await sandbox.enforced()
        first = sandbox.agents[0]
        with another(sandbox) as second:
            await until_it_waits(second)
            async with sandbox.stream(allowed(sandbox)) as stream:
                await (first.stop() if ending == "stop" else first.kill())
                await stream.delivery()
                with asked(sandbox, second):
                    await sandbox.enforced()
                await stream.delivery()
            assert (await second.state())["kernel"]["repairs"] == 0
            # The first comes back, as in a rollback: now it is the one that waits.
            first.start()
            await until_it_waits(first)
            newcomer = await sandbox.start_container("back/job", host=0)
            with asked(sandbox, second):
                await sandbox.enforced()
            assert await sandbox.probe(sandbox.flow(newcomer.name, "front-db-1", Protocol.TCP, 80)) is Outcome.SILENT
            await second.stop()
            await sandbox.enforced()
            assert await verdicts(sandbox) == ENFORCED
