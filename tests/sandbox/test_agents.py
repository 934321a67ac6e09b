"""Real agents, on a sandbox with a policy."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from corral.errors import UnreachableError
from corral.sandbox.agents import Agent
from corral.sandbox.world import Sandbox
from tests.sandbox.conftest import SMALL


@pytest.fixture
async def agent(sandbox: Sandbox) -> AsyncIterator[Agent]:
    made = Agent("host1", sandbox.topology.hosts[0].namespace, {"CORRAL_METADATA_URL": "http://169.254.169.250/latest"})
    yield made
    made.close()


async def test_one_that_does_not_run_is_unreachable(agent: Agent) -> None:
    assert not agent.alive
    assert agent.pid == 0
    assert await agent.stop() is None
    with pytest.raises(UnreachableError, match="host1 is not running"):
        await agent.state()


async def test_one_that_fails_to_start_shows_its_log(agent: Agent) -> None:
    agent.settings["CORRAL_MODE"] = "sideways"
    agent.start()
    await agent.wait()
    with pytest.raises(UnreachableError, match=r"(?s)not running.*sideways"):
        await agent.get("/healthz")


async def test_runs_in_its_host_with_net_admin_alone_and_stops_when_told() -> None:
    policy = replace(SMALL, default_policy_action="deny")
    async with Sandbox(policy, lag=0.0, least_privilege=True) as sandbox:
        await sandbox.ready()
        await sandbox.enforced()
        first = sandbox.agents[0]
        assert (await first.get("/readyz")).status == 200
        assert (await first.state())["host"]["name"] == "host1"
        pid = first.pid
        first.start()
        assert first.pid == pid
        first.signal(signal.SIGTERM)
        assert await first.wait() == 0
        assert await sandbox.agents[1].kill() == -signal.SIGKILL
        for agent in sandbox.agents:
            agent.start()
        await sandbox.enforced()
    assert [await agent.wait() for agent in sandbox.agents] == [0, 0]
